"""Random fields and layouts that random ground is put together from; float32, and seeded by the generator given."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

COARSEST = 3.0
"""Correlation length in pixels of the coarse grid that longer ones are drawn on."""


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], length: float) -> FloatArray:
    """Gaussian noise of zero mean, unit variance and this correlation length in pixels.

    Long ones are drawn on a coarser grid and enlarged, which costs a fraction and looks the same.
    """
    factor = max(1, math.floor(length / COARSEST))
    coarse = tuple(-(-side // factor) + 3 for side in shape)
    white = rng.standard_normal(coarse, dtype=np.float32)
    noise: FloatArray = ndimage.gaussian_filter(white, length / factor, mode="wrap", output=np.float32)
    if factor > 1:
        rows, cols = (_enlarging(side, small, factor) for side, small in zip(shape, coarse, strict=True))
        noise = (rows @ noise @ cols.T).astype(np.float32, copy=False)
    else:
        noise = noise[: shape[0], : shape[1]]
    noise -= noise.mean()
    noise /= max(float(noise.std()), 1e-6)
    return noise


def _enlarging(side: int, coarse: int, factor: int) -> FloatArray:
    """Matrix (side, coarse) of linear interpolation."""
    places = (np.arange(side) + 0.5) / factor
    base = np.floor(places).astype(np.int64)
    share = (places - base).astype(np.float32)
    matrix = np.zeros((side, coarse), np.float32)
    matrix[np.arange(side), base] = 1.0 - share
    matrix[np.arange(side), base + 1] = share
    return matrix


def fractal_noise(rng: np.random.Generator, shape: tuple[int, int], slope: float) -> FloatArray:
    """Noise whose power falls as frequency to the power -slope; zero mean, unit variance."""
    sides = [fft.next_fast_len(side, real=True) for side in shape]
    spectrum = fft.rfft2(rng.standard_normal(sides, dtype=np.float32))
    frequencies = np.hypot(np.fft.fftfreq(sides[0])[:, np.newaxis], np.fft.rfftfreq(sides[1]))
    frequencies[0, 0] = np.inf
    field = fft.irfft2(spectrum * (frequencies ** (-0.5 * slope)).astype(np.float32), sides)[: shape[0], : shape[1]]
    field -= field.mean()
    field /= max(float(field.std()), 1e-6)
    return field.astype(np.float32)


def rotated(shape: tuple[int, int], angle: float) -> tuple[FloatArray, FloatArray]:
    """Coordinates in pixels along and across a direction."""
    rows = np.arange(shape[0], dtype=np.float32)[:, np.newaxis]
    cols = np.arange(shape[1], dtype=np.float32)
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return rows * cosine + cols * sine, cols * cosine - rows * sine


def patches(rng: np.random.Generator, shape: tuple[int, int]) -> IntArray:
    """Labels 0, 1, … of irregular cells, of level sets or of rectangular fields, 10 to 120 px across."""
    size = float(np.exp(rng.uniform(np.log(10.0), np.log(120.0))))
    kind = rng.choice(["cells", "levels", "fields"])
    if kind == "levels":
        noise = smooth_noise(rng, shape, size / 3.0)
        limits = np.quantile(noise[::4, ::4], np.linspace(0.0, 1.0, rng.integers(3, 9))[1:-1])
        return np.digitize(noise, limits).astype(np.int64)
    if kind == "cells":
        return _cells(rng, shape, size)
    along, across = rotated(shape, rng.uniform(0.0, np.pi))
    strip = np.floor(along / size)
    field = np.floor((across + 0.37 * size * strip) / (size * rng.uniform(0.5, 2.0)))
    strip, field = (part - part.min() for part in (strip, field))
    return dense(strip * (field.max() + 1.0) + field)


def _cells(rng: np.random.Generator, shape: tuple[int, int], size: float) -> IntArray:
    """The nearest of random points: a Voronoi mosaic, drawn out along rows or columns."""
    count = max(2, round(shape[0] * shape[1] / size**2))
    points = np.unique(rng.integers(0, shape[0] * shape[1], count))
    labels = np.zeros(shape, np.int64)
    labels.ravel()[points] = np.arange(points.size)
    background = np.ones(shape, np.bool_)
    background.ravel()[points] = False
    sampling = [1.0, rng.uniform(0.4, 1.0)]
    if rng.random() < 0.5:
        sampling.reverse()
    rows, cols = ndimage.distance_transform_edt(background, sampling, return_distances=False, return_indices=True)
    nearest: IntArray = labels[rows, cols]
    return nearest


def dense(labels: npt.NDArray[np.generic]) -> IntArray:
    """The same labels numbered from 0 without gaps."""
    inverse: IntArray = np.unique(labels.astype(np.int64), return_inverse=True)[1].reshape(labels.shape)
    return inverse
