"""From what a mode says to the coherence of homogeneous ground for which that would be the mean.

Every estimate from few samples is too high where coherence is low. For the boxcar the mean is known in closed form;
for all others it is simulated: circular-Gaussian speckle of one coherence, without texture and fringes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from models.slc.coherence import expected_coherence
from models.slc.modes import estimate_by
from models.slc.windows import Sides

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

LEVELS = np.sin(np.linspace(0.0, 0.5 * np.pi, 13))
"""Coherences simulated, closer together towards 1."""
SIDE = 320
"""Of the simulated scenes, in samples."""
WINDOWS = 1500
"""Independent windows, about, that a mean is taken over."""
SEED = 20
FILLS = 10
"""Shares of the band are rounded to so many parts, so that few curves are simulated."""


@dataclass(frozen=True)
class Curve:
    """Mean of an estimate for each true coherence.

    Attributes
    ----------
    truth, mean
        Both rising, float64.
    """

    truth: DoubleArray
    mean: DoubleArray

    def invert(self, estimate: FloatArray) -> FloatArray:
        """The true coherence whose mean an estimate is; 0 below the mean of no coherence, NaN stays."""
        found: FloatArray = np.interp(estimate, self.mean, self.truth).astype(np.float32)
        return found


def curve(mode: str, window: Sides, fill: tuple[float, float] = (1.0, 1.0)) -> Curve:
    """The curve of a mode.

    Parameters
    ----------
    window
        Rows and columns.
    fill
        Share of the sampled band along rows and columns that the images fill; 1: samples are independent.
    """
    return _curve(mode, window, (max(1, round(fill[0] * FILLS)), max(1, round(fill[1] * FILLS))))


@lru_cache(maxsize=64)
def _curve(mode: str, window: Sides, parts: tuple[int, int]) -> Curve:
    estimate = estimate_by(mode)
    if mode == "boxcar":
        looks = max(1.5, window[0] * window[1] * parts[0] * parts[1] / FILLS**2)
        return Curve(LEVELS, np.array([expected_coherence(float(level), looks) for level in LEVELS]))
    fill = (parts[0] / FILLS, parts[1] / FILLS)
    margin = 40 + max(window)  # sums that reach beyond the scene, and phase models made there, are left out
    stride = window if mode != "two-scale" else (1, 1)
    side = SIDE + 2 * margin
    scenes = max(1, round(WINDOWS * window[0] * window[1] / SIDE**2))
    total = np.zeros_like(LEVELS)
    for number in range(scenes):
        same, other = (band_limited((side, side), fill, seed) for seed in (SEED + 2 * number, SEED + 2 * number + 1))
        for place, level in enumerate(LEVELS):
            found = estimate(same, level * same + float(np.sqrt(1.0 - level**2)) * other, window, stride)
            rows, cols = (slice(-(-margin // step), (side - margin) // step) for step in stride)
            total[place] += float(found[rows, cols].mean())
    return Curve(LEVELS, np.maximum.accumulate(total / scenes))


def band_limited(shape: Sides, fill: tuple[float, float], seed: int) -> torch.Tensor:
    """Circular-Gaussian speckle of unit power whose spectrum is flat over part of the band, complex64."""
    rng = np.random.default_rng(seed)
    spectrum = rng.standard_normal(shape, np.float32) + 1j * rng.standard_normal(shape, np.float32)
    for axis, share in enumerate(fill):
        outside = np.abs(np.fft.fftfreq(shape[axis])) > 0.5 * share
        spectrum[(slice(None),) * axis + (outside,)] = 0.0
    samples = np.fft.ifft2(spectrum)
    return torch.from_numpy((samples / np.sqrt((np.abs(samples) ** 2).mean())).astype(np.complex64))
