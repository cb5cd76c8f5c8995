"""How labels' images are detected; by itself, because the command line names the ways before it loads SciPy."""

from __future__ import annotations

from enum import StrEnum


class Sampling(StrEnum):
    """How a complex image is detected: sample by sample, or in five range looks on pixels of 10 m as GRD products."""

    amplitude = "amplitude"
    grd = "grd"
