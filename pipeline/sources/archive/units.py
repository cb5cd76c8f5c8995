"""Units of backscatter: linear power out of what files hold, and a check that they hold what they are said to hold."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Units = Literal["linear", "db", "amplitude"]

# calibrated backscatter in dB, from far below any noise floor to above the brightest corner reflector
_DB_RANGE = (-100.0, 60.0)
_NOT_DB = "it looks like linear power or amplitude: set source.units = 'linear' or 'amplitude'"
_ENOUGH = 64
"""Pixels from which on a statement about all of them says something about the file."""


def to_power(values: FloatArray, units: Units) -> FloatArray:
    """Linear power of pixels in the given units; what is no power (zero, negative, not finite) becomes NaN.

    Parameters
    ----------
    values
        Any shape, NaN where there is no data. Values that already are linear power come back with the same bits.
    """
    if units == "db":
        power = np.power(10.0, values.astype(np.float64) / 10.0).astype(np.float32)
    elif units == "amplitude":
        power = np.square(values)
    else:
        power = values
    return np.where((power > 0) & np.isfinite(power), power, np.float32(np.nan))


def complaint(values: FloatArray, units: Units) -> tuple[str, str] | None:
    """What speaks against the units, and the settings that would mend it; None where nothing does.

    Parameters
    ----------
    values
        Pixels as the file holds them, NaN where there is no data.

    Notes
    -----
    Only certain contradictions count: power and amplitude can't be negative; dB of calibrated backscatter lie within
    -100 and 60 and are not all positive; and many pixels of exactly 0 dB are a border filled with zeros.
    """
    valid = values[np.isfinite(values)]
    if not valid.size:
        return None
    low, high = float(valid.min()), float(valid.max())
    return _against_db(valid, low, high) if units == "db" else _against_power(valid, low)


def _against_power(valid: FloatArray, low: float) -> tuple[str, str] | None:
    if low >= 0:
        return None
    negative = valid[valid < 0]
    if float(negative.max()) == low:
        return f"holds the value {low:g}", f"if that marks pixels without data set source.nodata = {low:g}"
    what = f"holds negative values down to {low:g}"
    if 2 * negative.size > valid.size:
        return what, "it looks like dB: set source.units = 'db'"
    return what, "no power is negative: write such pixels (of noise removed too far?) as NaN"


def _against_db(valid: FloatArray, low: float, high: float) -> tuple[str, str] | None:
    beyond = valid[(valid < _DB_RANGE[0]) | (valid > _DB_RANGE[1])]
    if beyond.size:
        if float(beyond.min()) == float(beyond.max()):
            value = float(beyond[0])
            return f"holds the value {value:g}", f"if that marks pixels without data set source.nodata = {value:g}"
        return f"holds values from {low:g} to {high:g}", _NOT_DB
    zeros = int(np.count_nonzero(valid == 0))
    if zeros >= max(_ENOUGH, valid.size // 100):
        return f"holds {zeros} pixels of exactly 0", "if they are a border without data set source.nodata = 0"
    if low >= 0 and valid.size >= _ENOUGH:
        return "holds no negative value", _NOT_DB
    return None
