"""Resampling of backscatter at exact positions, so that a tile's pixels don't depend on where the tile's edges lie.

GDAL's warper approximates positions between nodes that depend on the output's extent (up to 1/8 pixel): with nearest
neighbour, neighbouring tiles then disagree about which pixel of speckle they show. Here every position is exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.config import Resampling

FloatArray = npt.NDArray[np.float32]
Positions = npt.NDArray[np.float64]
Kernel = Callable[[Positions], Positions]

REACH = {"nearest": 1, "bilinear": 1, "cubic": 2}
"""Pixels around a position that a method looks at."""

# positions this close below the next pixel (in pixels) are rounding errors of an exact boundary
_ROUNDING = 1e-6


def resample(source: FloatArray, rows: Positions, cols: Positions, method: Resampling) -> FloatArray:
    """Values of a raster at given positions.

    Parameters
    ----------
    source
        Linear power, shape (height, width), NaN where there is no data.
    rows, cols
        Where to look, in pixels of `source` (0 = upper or left edge of the first pixel), any shape.
    method
        nearest, bilinear, or cubic (Keys 1981, a = -1/2).

    Returns
    -------
    FloatArray
        Shape of `rows`. NaN outside of the raster and where the pixel that the position lies in has no data; bilinear
        leaves missing neighbours out; cubic becomes bilinear beside missing pixels and where it would undershoot to no
        power at all.

    Notes
    -----
    Nothing is averaged: on a much coarser grid pixels are skipped, not multilooked.
    """
    home = _take(source, np.floor(rows + _ROUNDING), np.floor(cols + _ROUNDING))
    if method == "nearest":
        return home
    weighed, weight = _convolve(source, rows, cols, _linear, (0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        result = weighed / weight
    if method == "cubic":
        weighed, weight = _convolve(source, rows, cols, _cubic, (-1, 0, 1, 2))
        # the weights of all sixteen pixels sum to 1; less or more means that one is missing
        whole = (np.abs(weight - 1) < 1e-9) & (weighed > 0)
        result = np.where(whole, weighed, result)
    return np.where(np.isnan(home), np.float32(np.nan), result.astype(np.float32))


def _take(source: FloatArray, rows: Positions, cols: Positions) -> FloatArray:
    """Pixels by whole-numbered positions, NaN outside."""
    height, width = source.shape
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    taken = source[np.where(inside, rows, 0).astype(np.intp), np.where(inside, cols, 0).astype(np.intp)]
    return np.where(inside, taken, np.float32(np.nan))


def _convolve(
    source: FloatArray, rows: Positions, cols: Positions, kernel: Kernel, taps: tuple[int, ...]
) -> tuple[Positions, Positions]:
    """Weighted sum of the valid pixels around each position, and the sum of their weights."""
    first_row, first_col = np.floor(rows - 0.5), np.floor(cols - 0.5)
    along, across = rows - 0.5 - first_row, cols - 0.5 - first_col
    total, weights = np.zeros(rows.shape), np.zeros(rows.shape)
    for down in taps:
        for right in taps:
            value = _take(source, first_row + down, first_col + right)
            weight = np.where(np.isnan(value), 0.0, kernel(along - down) * kernel(across - right))
            total += np.nan_to_num(value) * weight
            weights += weight
    return total, weights


def _linear(distance: Positions) -> Positions:
    return np.asarray(np.maximum(1 - np.abs(distance), 0), dtype=np.float64)


def _cubic(distance: Positions) -> Positions:
    """Keys (1981), equation 15: the cubic convolution kernel of third order."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.asarray(np.where(x <= 1, near, np.where(x < 2, far, 0.0)), dtype=np.float64)
