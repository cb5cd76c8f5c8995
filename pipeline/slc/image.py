"""One complex image of one date, opened and not read: what every format comes down to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ComplexArray = npt.NDArray[np.complex64]
FloatArray = npt.NDArray[np.float32]
Window = tuple[slice, slice]
"""Lines and samples, both with start and stop inside the image."""

POLARISATIONS = ("VV", "VH", "HH", "HV")


@dataclass(frozen=True)
class Image:
    """A complex image that is read by windows.

    Attributes
    ----------
    source
        Path of its file, for sentences and provenance.
    date
        Its day; None where neither the file nor its name says.
    polarisation
        One of `POLARISATIONS`, or empty where nothing says.
    shape
        Lines (azimuth, or rows of a map) and samples (range, or columns).
    spacing
        Metres between lines and between samples on the ground, None where the file doesn't say.
    read
        Window to complex64; opens the file and closes it.
    carrier
        Window to the azimuth carrier's phase in radians, for formats that tell it.
    """

    source: str
    date: dt.date | None
    polarisation: str
    shape: tuple[int, int]
    spacing: tuple[float, float] | None
    read: Callable[[Window], ComplexArray]
    carrier: Callable[[Window], FloatArray] | None = None
