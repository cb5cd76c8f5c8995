"""Random ground to calibrate and score estimators on: backscatter and coherence, tied to each other only in part.

A toy landscape where coherence follows texture would teach an estimator to read texture. Here covers have their own
brightness, texture and coherence, but in half of the scenes coherence has a layout of its own, and common texture,
bright targets and change of brightness come with coherent and incoherent ground alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, spatial

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
DoubleArray = npt.NDArray[np.float64]

HIGHEST = 0.98
"""Coherence of the most stable ground; thermal noise alone keeps it below 1."""


@dataclass(frozen=True)
class Scene:
    """Ground as `models.simulate.pair.simulate_pair` takes it.

    Attributes
    ----------
    coherence
        float32 in [0, 1], shape (height, width).
    backscatter
        Linear power at the two dates, float32, same shape.
    noise
        Noise-equivalent backscatter, linear power.
    """

    coherence: FloatArray
    backscatter: tuple[FloatArray, FloatArray]
    noise: float


def flat_scene(coherence: float, shape: tuple[int, int]) -> Scene:
    """Homogeneous ground: the same coherence and unit power everywhere, no noise."""
    power = np.ones(shape, np.float32)
    return Scene(np.full(shape, coherence, np.float32), (power, power), 0.0)


def random_scene(rng: np.random.Generator, shape: tuple[int, int]) -> Scene:
    """Covers with texture, lines and bright targets, and coherence tied to them in part.

    Parameters
    ----------
    shape
        Height and width in pixels; sizes on the ground are drawn in pixels, broadly, so they serve every spacing.
    """
    cover = _patches(rng, shape)
    covers = int(cover.max()) + 1
    contrast = rng.uniform(0.1, 1.0)
    decibels = (rng.uniform(-8.0, 8.0, covers) * contrast)[cover] + rng.uniform(-14.0, -8.0)
    decibels += _texture(rng, cover, covers)
    coherence = _coherence(rng, cover, covers)
    for _ in range(rng.integers(0, 5)):
        _draw_line(rng, decibels, coherence)
    if rng.random() < 0.6:
        _scatter_targets(rng, decibels, coherence)
    power = 10.0 ** (decibels / 10.0)
    other = power * 10.0 ** (_change(rng, shape) / 10.0)
    noise = 10.0 ** (rng.uniform(-30.0, -20.0) / 10.0)
    return Scene(
        np.clip(coherence, 0.0, HIGHEST).astype(np.float32),
        (power.astype(np.float32), other.astype(np.float32)),
        float(noise),
    )


def _draw_coherence(rng: np.random.Generator, count: int) -> DoubleArray:
    """Any coherence alike, and one patch in eight with none: water, ploughed land, fast-changing canopy."""
    drawn = rng.uniform(0.0, HIGHEST, count)
    drawn[rng.random(count) < 0.125] = 0.0
    return drawn


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int], length: float) -> DoubleArray:
    """Gaussian noise of unit variance and this correlation length in pixels."""
    noise: DoubleArray = ndimage.gaussian_filter(rng.standard_normal(shape), length, mode="wrap")
    noise -= noise.mean()
    noise /= noise.std()
    return noise


def _patches(rng: np.random.Generator, shape: tuple[int, int]) -> IntArray:
    """Labels of irregular cells, of level sets or of rectangular fields, 8 to 90 px across."""
    size = float(np.exp(rng.uniform(np.log(8.0), np.log(90.0))))
    kind = rng.choice(["cells", "levels", "fields"])
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    angle = rng.uniform(0.0, np.pi)
    along = rows * np.cos(angle) + cols * np.sin(angle)
    across = cols * np.cos(angle) - rows * np.sin(angle)
    if kind == "cells":
        across *= rng.uniform(0.4, 1.0)
        places = np.stack([along.ravel(), across.ravel()], axis=1)
        count = max(2, round(shape[0] * shape[1] / size**2))
        low, high = places.min(axis=0), places.max(axis=0)
        labels = spatial.KDTree(rng.uniform(low, high, (count, 2))).query(places)[1].reshape(shape)
    elif kind == "levels":
        noise = _smooth_noise(rng, shape, size / 3.0)
        labels = np.digitize(noise, np.quantile(noise, np.linspace(0.0, 1.0, rng.integers(3, 9))[1:-1]))
    else:
        strip = np.floor(along / size)
        field = np.floor((across + 0.37 * size * strip) / (size * rng.uniform(0.5, 2.0)))
        labels = (strip - strip.min()) * (field.max() - field.min() + 1.0) + field - field.min()
    dense: IntArray = np.unique(labels, return_inverse=True)[1].reshape(shape).astype(np.int64)
    return dense


def _texture(rng: np.random.Generator, cover: IntArray, covers: int) -> DoubleArray:
    """Common texture in dB: none to strong, from pixel to pixel or over several of them, as each cover has it."""
    strength = rng.choice([0.0, 0.0, 0.5, 1.0, 2.0, 3.5], covers)
    return strength[cover] * _smooth_noise(rng, cover.shape, rng.choice([0.4, 0.8, 1.5, 3.0, 6.0]))


def _coherence(rng: np.random.Generator, cover: IntArray, covers: int) -> DoubleArray:
    """Coherence with the covers' layout, a layout of its own, or between the two; some scenes have one value."""
    if rng.random() < 0.15:
        return np.full(cover.shape, _draw_coherence(rng, 1)[0])
    tied = _draw_coherence(rng, covers)[cover]
    layout = _patches(rng, cover.shape)
    independent = _draw_coherence(rng, int(layout.max()) + 1)[layout]
    weight = rng.choice([0.0, 0.0, 0.5, 1.0, 1.0])
    coherence = weight * independent + (1.0 - weight) * tied
    if rng.random() < 0.3:
        coherence *= 1.0 + 0.25 * _smooth_noise(rng, cover.shape, rng.uniform(5.0, 30.0))
    clipped: DoubleArray = np.clip(coherence, 0.0, HIGHEST)
    return clipped


def _draw_line(rng: np.random.Generator, decibels: DoubleArray, coherence: DoubleArray) -> None:
    """A road or a river, 1 to 6 px wide, winding or straight; most have a coherence of their own."""
    rows, cols = np.mgrid[: decibels.shape[0], : decibels.shape[1]].astype(np.float64)
    angle = rng.uniform(0.0, np.pi)
    row, col = rng.uniform(0.0, 1.0, 2) * decibels.shape
    along = (cols - col) * np.cos(angle) - (rows - row) * np.sin(angle)
    across = (rows - row) * np.cos(angle) + (cols - col) * np.sin(angle)
    across += rng.uniform(0.0, 8.0) * np.sin(along / rng.uniform(8.0, 40.0))
    line = np.abs(across) < rng.uniform(0.5, 3.0)
    decibels[line] = rng.uniform(-20.0, -2.0)
    if rng.random() < 0.7:
        coherence[line] = _draw_coherence(rng, 1)[0]


def _scatter_targets(rng: np.random.Generator, decibels: DoubleArray, coherence: DoubleArray) -> None:
    """Bright targets, 4 to 20 dB above the ground, in clumps; very stable in half of the scenes."""
    density = np.exp(rng.uniform(np.log(3e-4), np.log(3e-2)))
    clump = _smooth_noise(rng, decibels.shape, 20.0) > rng.uniform(-1.5, 1.0)
    there = clump & (rng.random(decibels.shape) < density)
    count = int(there.sum())
    decibels[there] += rng.uniform(4.0, 20.0, count)
    if rng.random() < 0.5:
        coherence[there] = HIGHEST * rng.beta(5.0, 1.5, count)


def _change(rng: np.random.Generator, shape: tuple[int, int]) -> DoubleArray:
    """Change of brightness in dB between the dates: none, or some patches wetter, drier, grown or cut."""
    if rng.random() < 0.5:
        return np.zeros(shape)
    layout = _patches(rng, shape)
    patches = int(layout.max()) + 1
    changed = np.where(rng.random(patches) < 0.3, rng.normal(0.0, 2.0, patches), 0.0)
    return changed[layout] + rng.normal(0.0, 0.5)
