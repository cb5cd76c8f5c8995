"""Simulated complex pairs for `tests.benchmarks.slc`: homogeneous ground, fringes on it, a reflector, mountains."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from models.slc.modes import estimate_by

DoubleArray = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]
Pair = tuple[torch.Tensor, torch.Tensor]

TERRAIN = Path(__file__).resolve().parents[2] / "../shared/data/dem-everest-srtm3/everest.dat"
TURNS_A_METRE = 1.0 / 350.0
"""Fringes a metre of height: the height of ambiguity is 350 m, that of a perpendicular baseline of some 50 m."""
ENLARGED = 4
"""Samples to a cell of the elevation model."""
REFLECTOR = 10.0 ** (30.0 / 20.0)
"""Amplitude of a corner reflector of 30 dB, beside speckle of unit power."""


def homogeneous(gamma: float, shape: tuple[int, ...], seed: int) -> Pair:
    """Independent circular-Gaussian samples of unit power and this coherence."""
    rng = torch.Generator().manual_seed(seed)
    same, other = (torch.view_as_complex(torch.randn(*shape, 2, generator=rng)) * math.sqrt(0.5) for _ in range(2))
    return same, gamma * same + math.sqrt(1.0 - gamma**2) * other


def fringed(
    image: torch.Tensor, *, slope: tuple[float, float] = (0.0, 0.0), bend: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> torch.Tensor:
    """An image with a phase on it: slope at its middle in rad a sample, bend (rows, both, columns) in rad a sample²."""
    rows, cols = (torch.arange(side, dtype=torch.float64) - side / 2 for side in image.shape[-2:])
    rows = rows[:, None]
    phase = (
        slope[0] * rows + slope[1] * cols + 0.5 * bend[0] * rows**2 + bend[1] * rows * cols + 0.5 * bend[2] * cols**2
    )
    return image * torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


def with_reflector(mode: str, window: int, gamma: float, *, stable: bool) -> FloatArray:
    """Estimates in all windows that hold a reflector: one sample, the same at both dates or turned by chance."""
    scenes, side = 24, 64
    first, second = homogeneous(gamma, (scenes, side, side), seed=4)
    first, second = first.clone(), second.clone()
    turns = torch.rand(2, scenes, generator=torch.Generator().manual_seed(5)) * 2.0 * math.pi
    bright = REFLECTOR * torch.polar(torch.ones_like(turns), turns)
    middle = side // 2
    first[:, middle, middle] += bright[0]
    second[:, middle, middle] += bright[0] if stable else bright[1]
    found = estimate_by(mode)(first, second, (window, window), (1, 1))
    reach = window // 2 - 1
    around: FloatArray = found[:, middle - reach : middle + reach, middle - reach : middle + reach].numpy()
    return around


def per_pixel_loop(first: torch.Tensor, second: torch.Tensor, window: int) -> float:
    """MPix per CPU-second of what one writes first: for every pixel, the peak of numpy's FFT of its window."""
    cross = (first * second.conj()).numpy()
    powers = [(image.abs() ** 2).numpy() for image in (first, second)]
    begin, count = time.process_time(), 0
    for row in range(cross.shape[0] - window + 1):
        for col in range(cross.shape[1] - window + 1):
            place = np.s_[row : row + window, col : col + window]
            peak = np.abs(np.fft.fft2(cross[place], (2 * window, 2 * window))).max()
            _ = peak / math.sqrt(float(powers[0][place].sum() * powers[1][place].sum()))
            count += 1
    return count / 1e6 / (time.process_time() - begin)


def terrain() -> DoubleArray:
    """Topographic phase in radians over real mountains, an elevation model of 3 arc-seconds enlarged by splines."""
    heights = np.loadtxt(TERRAIN)
    fine: DoubleArray = ndimage.zoom(heights, ENLARGED, order=3)
    return 2.0 * math.pi * TURNS_A_METRE * fine
