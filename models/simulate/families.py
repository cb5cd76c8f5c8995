"""Families of common texture: what varies the backscatter of a cover in both images alike, in dB.

Common texture is what an estimator may mistake for coherence, so there are many kinds of it, of every strength. Some
families are never trained on: they tell how an estimator fares on texture that it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from models.simulate.fields import FloatArray, fractal_noise, rotated, smooth_noise

Family = Callable[[np.random.Generator, tuple[int, int]], FloatArray]

CORNER_DB = 18.0
"""Greatest brightness of a wall or corner above its town."""


def _smooth(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:  # noqa: ARG001 - a family's signature
    """No texture at all: speckle alone."""
    return np.zeros(shape, np.float32)


def _lognormal(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Gaussian in dB, from pixel to pixel or over several of them."""
    return rng.uniform(0.3, 3.5) * smooth_noise(rng, shape, float(rng.choice([0.4, 0.8, 1.5, 3.0, 6.0])))


def _fractal(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Alike at every scale, as relief and vegetation are."""
    return np.float32(rng.uniform(0.5, 3.5)) * fractal_noise(rng, shape, rng.uniform(1.0, 3.0))


def _forest(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Crowns and the shadows between them: fine, skewed to the dark, over a slow change of density."""
    crowns = smooth_noise(rng, shape, rng.uniform(0.6, 1.6))
    density = np.float32(rng.uniform(0.0, 1.2)) * smooth_noise(rng, shape, 9.0)
    return np.float32(rng.uniform(0.4, 2.0)) * np.minimum(crowns, np.float32(0.8)) + density


def _water(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Slicks and gusts, drawn out along the wind; slow and faint."""
    along = smooth_noise(rng, (shape[0], -(-shape[1] // 4) + 1), rng.uniform(2.0, 8.0))
    streaks: FloatArray = np.repeat(along, 4, axis=1)[:, : shape[1]]
    return np.float32(rng.uniform(0.2, 1.5)) * streaks


def _rock(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Ridges: bright lines where a fractal surface bends."""
    ridges: FloatArray = np.float32(1.0) - np.float32(2.0) * np.abs(fractal_noise(rng, shape, rng.uniform(1.5, 2.5)))
    return np.float32(rng.uniform(1.0, 3.5)) * ridges


def _town(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Blocks and streets on a grid, bright walls along them as layover draws them, corners brighter still."""
    along, across = rotated(shape, rng.uniform(0.0, np.pi))
    decibels = np.zeros(shape, np.float32)
    houses = np.zeros(shape, np.bool_)
    for coordinate in (along, across):
        period = rng.uniform(5.0, 16.0)
        place = np.mod(coordinate + rng.uniform(0.0, 2.0) * smooth_noise(rng, shape, 20.0), period)
        decibels[place < rng.uniform(0.8, 2.0)] -= rng.uniform(1.0, 6.0)
        houses |= (place > 0.4 * period) & (place < 0.4 * period + 1.3)
    strength = rng.uniform(0.5, 4.0)
    walls = houses & (smooth_noise(rng, shape, 2.0) > 0.3)
    decibels[walls] += strength * rng.uniform(0.0, 2.0, int(walls.sum())).astype(np.float32)
    corners = houses & (rng.random(shape, dtype=np.float32) < 0.02)
    decibels[corners] += rng.uniform(2.0, CORNER_DB, int(corners.sum())).astype(np.float32)
    return decibels + rng.uniform(0.5, 2.0) * smooth_noise(rng, shape, 1.0)


def _relief(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Slopes facing the radar and away from it, and shadow where they are steep."""
    height = smooth_noise(rng, shape, rng.uniform(6.0, 25.0)) + 0.3 * fractal_noise(rng, shape, 3.0)
    slope = ndimage.sobel(height, axis=1)
    slope /= max(float(slope.std()), 1e-6)
    shade = rng.uniform(0.5, 3.0) * slope
    return np.where(shade < -rng.uniform(4.0, 8.0), -12.0, shade).astype(np.float32)


def _rows(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Vines, ridges of a field, waves: a period of 2.5 to 12 px in one direction, bent a little."""
    along, _ = rotated(shape, rng.uniform(0.0, np.pi))
    bent = along + rng.uniform(0.0, 3.0) * smooth_noise(rng, shape, 30.0)
    wave = np.sin(2.0 * np.pi * bent / rng.uniform(2.5, 12.0))
    shaped: FloatArray = np.sign(wave) * np.abs(wave) ** np.float32(rng.uniform(0.3, 2.0))
    return np.float32(rng.uniform(0.5, 3.5)) * shaped


def _gamma(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Correlated gamma-distributed power, which makes intensity K-distributed: spikes of sea, scrub and suburbs."""
    order = float(np.exp(rng.uniform(np.log(0.8), np.log(8.0))))
    length = rng.uniform(0.5, 3.0)
    parts = max(1, round(2.0 * order))
    power = np.mean([smooth_noise(rng, shape, length) ** 2 for _ in range(parts)], axis=0)
    decibels: FloatArray = (10.0 * np.log10(np.maximum(power, 1e-2))).astype(np.float32)
    return decibels


def _clearings(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Round spots of one size with hard edges, bright or dark: orchards, karst, rigs, tussocks."""
    density = rng.uniform(0.002, 0.02)
    radius = int(rng.integers(1, 4))
    offsets = np.arange(-radius, radius + 1)
    disc = offsets[:, np.newaxis] ** 2 + offsets**2 <= (radius + 0.3) ** 2
    spots = ndimage.binary_dilation(rng.random(shape, dtype=np.float32) < density, disc)
    spot_db = rng.choice([-1.0, 1.0]) * rng.uniform(2.0, 8.0)
    return np.where(spots, np.float32(spot_db), np.float32(0.0))


TRAINING: dict[str, Family] = {
    "smooth": _smooth,
    "lognormal": _lognormal,
    "fractal": _fractal,
    "forest": _forest,
    "water": _water,
    "rock": _rock,
    "town": _town,
    "relief": _relief,
}
HELD_OUT: dict[str, Family] = {"rows": _rows, "gamma": _gamma, "clearings": _clearings}
FAMILIES: dict[str, Family] = TRAINING | HELD_OUT
TRAINING_FAMILIES, HELD_OUT_FAMILIES = tuple(TRAINING), tuple(HELD_OUT)


def texture(rng: np.random.Generator, shape: tuple[int, int], name: str) -> FloatArray:
    """One drawing of a family.

    Returns
    -------
    FloatArray
        dB to add to the backscatter, shape as given.
    """
    return FAMILIES[name](rng, shape).astype(np.float32, copy=False)
