"""How labels are made; by itself, because the command line names the ways before it loads SciPy and PyTorch."""

from __future__ import annotations

from enum import StrEnum


class Sampling(StrEnum):
    """How a complex image is detected: sample by sample, or in five range looks on pixels of 10 m as GRD products."""

    amplitude = "amplitude"
    grd = "grd"


class Truth(StrEnum):
    """How a label's coherence is estimated: whatever fringes there are, or where there are none."""

    two_scale = "two-scale"
    boxcar = "boxcar"
