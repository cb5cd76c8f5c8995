"""From a name to a ready estimator. Light to import: PyTorch is loaded when an estimator is built."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import get_args

from models.coherence.tables import Mode, windows
from models.errors import ModelError
from models.estimator import Estimator

DEFAULT = "log-moments"


@dataclass(frozen=True)
class EstimatorInfo:
    """What there is to know of an estimator before it is built.

    Attributes
    ----------
    name, summary, source
        Its name, one line about it, and where it comes from.
    window, windows
        Default side of its window in pixels, and those it is calibrated for.
    modes
        What becomes of its statistic, the default first: calibrated, inverted, raw.
    """

    name: str
    summary: str
    source: str
    window: int
    windows: tuple[int, ...]
    modes: tuple[Mode, ...]


@dataclass(frozen=True)
class _Entry:
    summary: str
    source: str
    window: int
    modes: tuple[Mode, ...]
    build: Callable[[int, Mode, float, str], Estimator]


def _classical(name: str, window: int, mode: Mode, spacing: float, device: str) -> Estimator:
    from models.coherence import intensity, logarithm
    from models.coherence.classical import ClassicalEstimator

    statistics = (
        intensity.GUARNIERI_PRATI,
        intensity.RIGNOT_VAN_ZYL,
        intensity.TOUZI_INTENSITY,
        logarithm.LOG_CORRELATION,
        logarithm.LOG_MOMENTS,
    )
    statistic = {each.name: each for each in statistics}[name]
    return ClassicalEstimator(statistic, window=window, mode=mode, spacing=spacing, device=device)


_ALL_MODES: tuple[Mode, ...] = ("calibrated", "inverted", "raw")

_ENTRIES: dict[str, _Entry] = {
    "log-moments": _Entry(
        summary="log-correlation and the spread of the log ratio read together; common texture hardly counts",
        source="all second moments of the high-passed logarithms, mapped to coherence by simulation",
        window=21,
        modes=("calibrated",),
        build=partial(_classical, "log-moments"),
    ),
    "log-correlation": _Entry(
        summary="correlation of high-passed logarithms, gamma = sqrt(rho); needs no knowledge of the product",
        source="Touzi et al. 1999 (see touzi-intensity), on logarithms less their 3x3 mean, which takes texture away",
        window=21,
        modes=_ALL_MODES,
        build=partial(_classical, "log-correlation"),
    ),
    "guarnieri-prati": _Entry(
        summary="uncentred correlation of intensities, gamma^2 = (L + 1) rho - L; bright targets fill its window",
        source='Monti Guarnieri & Prati 1997, "SAR interferometry: a quick and dirty coherence estimator for data '
        'browsing", IEEE TGRS 35(3); extended to L looks by the Siegert relation',
        window=15,
        modes=_ALL_MODES,
        build=partial(_classical, "guarnieri-prati"),
    ),
    "rignot-van-zyl": _Entry(
        summary="decorrelation of speckle, gamma^2 = L (E[I1 I2] / (E[I1] E[I2]) - 1); texture counts as coherence",
        source='Rignot & van Zyl 1993, "Change detection techniques for ERS-1 SAR data", IEEE TGRS 31(4), '
        "doi 10.1109/36.239913; here the Siegert relation solved for gamma",
        window=9,
        modes=_ALL_MODES,
        build=partial(_classical, "rignot-van-zyl"),
    ),
    "touzi-intensity": _Entry(
        summary="centred sample correlation of intensities, gamma = sqrt(rho); texture counts as coherence",
        source='Touzi, Lopes, Bruniquel & Vachon 1999, "Coherence estimation for SAR imagery", IEEE TGRS 37(1)',
        window=9,
        modes=_ALL_MODES,
        build=partial(_classical, "touzi-intensity"),
    ),
}


def available() -> list[EstimatorInfo]:
    """Every estimator there is, the default first."""
    return [
        EstimatorInfo(name, entry.summary, entry.source, entry.window, windows(name), entry.modes)
        for name, entry in _ENTRIES.items()
    ]


def get(
    name: str = DEFAULT,
    *,
    window: int | None = None,
    mode: str | None = None,
    spacing: float = 10.0,
    device: str = "auto",
) -> Estimator:
    """Build an estimator.

    Parameters
    ----------
    name
        One of `available()`.
    window
        Side of its window in pixels, one it is calibrated for; its default where left out.
    mode
        calibrated, inverted or raw; its default where left out.
    spacing
        Pixel spacing of the images in metres. The calibration made for the nearest spacing by ratio is taken: that
        for 10 m up to 14 m, for 20 m up to 24 m, for 30 m beyond; more than a factor 1.5 away is refused.
    device
        auto, cpu or cuda.

    Raises
    ------
    ModelError
        No such estimator, or it has no such window or mode, or no calibration near this spacing, or no such device.
    """
    if name not in _ENTRIES:
        close = difflib.get_close_matches(name, _ENTRIES, n=2)
        hint = f"did you mean {' or '.join(repr(match) for match in close)}? " if close else ""
        raise ModelError(f"unknown estimator '{name}'; {hint}there are: {', '.join(_ENTRIES)}")
    entry = _ENTRIES[name]
    size = entry.window if window is None else window
    return entry.build(size, _checked_mode(name, entry, mode), spacing, device)


def _checked_mode(name: str, entry: _Entry, mode: str | None) -> Mode:
    for known in entry.modes:
        if mode in {None, known}:
            return known
    aside = "" if mode in get_args(Mode) else "unknown "
    raise ModelError(f"estimator '{name}' has no {aside}mode '{mode}'; choose one of {', '.join(entry.modes)}")
