"""Random fields as pure functions of place: the same value at a place whichever window it is asked for in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

DoubleArray = npt.NDArray[np.float64]
KeyArray = npt.NDArray[np.uint64]
IntLike = int | npt.NDArray[np.int64] | KeyArray


def key(seed: int, *parts: IntLike) -> KeyArray:
    """A 64-bit key of whole numbers, elementwise over arrays (SplitMix64's mixing function, Steele et al. 2014)."""
    mixed = _mix(np.asarray(seed).astype(np.uint64))
    for part in parts:
        mixed = _mix(mixed ^ _mix(np.asarray(part).astype(np.uint64)))
    return mixed


def _mix(value: KeyArray) -> KeyArray:
    with np.errstate(over="ignore"):
        value = value + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: KeyArray = value ^ (value >> np.uint64(31))
    return mixed


def uniform(keys: KeyArray) -> DoubleArray:
    """Uniform numbers inside (0, 1), one a key."""
    return ((keys >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(keys: KeyArray) -> DoubleArray:
    """Standard normal numbers, one a key."""
    drawn: DoubleArray = ndtri(uniform(keys))
    return drawn


def smooth(seed: int, x: DoubleArray, y: DoubleArray, scale: float, octaves: int = 1) -> DoubleArray:
    """Smooth noise of mean 0 and standard deviation about 0.4: random values on a lattice, blended between.

    Parameters
    ----------
    x, y
        Places in metres, one shape.
    scale
        Lattice spacing of the coarsest octave in metres; each further octave has half the spacing and half the height.
    """
    total = np.zeros(x.shape)
    for octave in range(octaves):
        step = scale / 2**octave
        col, across = _cell(x, step)
        row, along = _cell(y, step)
        first_col, first_row = int(col.min()), int(row.min())
        cols = np.arange(first_col, int(col.max()) + 2)
        rows = np.arange(first_row, int(row.max()) + 2)
        nodes = 2.0 * uniform(key(seed, octave, rows[:, np.newaxis], cols[np.newaxis])) - 1.0
        corner = (row - first_row) * cols.size + (col - first_col)
        flat = nodes.ravel()
        top = flat[corner]
        top += (flat[corner + 1] - top) * across
        corner += cols.size
        bottom = flat[corner]
        bottom += (flat[corner + 1] - bottom) * across
        top += (bottom - top) * along
        total += top / 2**octave
    return total


def _cell(place: DoubleArray, step: float) -> tuple[npt.NDArray[np.int64], DoubleArray]:
    """Lattice cell, and the blend across it: Perlin's quintic, flat at both ends."""
    scaled = place / step
    below = np.floor(scaled)
    inside = scaled - below
    blend = inside * inside * inside * (inside * (inside * 6.0 - 15.0) + 10.0)
    return below.astype(np.int64), blend


@dataclass(frozen=True)
class Sites:
    """For each place, the nearest of randomly scattered sites.

    Attributes
    ----------
    key
        The site's key, a source of its further properties.
    x, y
        Where the site is, metres.
    border
        Distance in metres to the border with the next site's cell, roughly.
    """

    key: KeyArray
    x: DoubleArray
    y: DoubleArray
    border: DoubleArray


def nearest_site(seed: int, x: DoubleArray, y: DoubleArray, scale: float) -> Sites:
    """Voronoi cells of scattered sites: one in each cell of a lattice `scale` metres wide, somewhere in its middle."""
    cell_col, cell_row = np.floor(x / scale).astype(np.int64), np.floor(y / scale).astype(np.int64)
    first_col, first_row = int(cell_col.min()) - 1, int(cell_row.min()) - 1
    cols = np.arange(first_col, int(cell_col.max()) + 2)
    rows = np.arange(first_row, int(cell_row.max()) + 2)
    keys = key(seed, rows[:, np.newaxis], cols[np.newaxis])
    site_x = (cols[np.newaxis] + 0.1 + 0.8 * uniform(_mix(keys))) * scale
    site_y = (rows[:, np.newaxis] + 0.1 + 0.8 * uniform(_mix(_mix(keys)))) * scale

    nearest = np.full(x.shape, np.inf)
    second = np.full(x.shape, np.inf)
    chosen = np.zeros(x.shape, np.int64)
    for row_step in (0, 1, 2):
        for col_step in (0, 1, 2):
            index = (cell_row - first_row - 1 + row_step) * cols.size + cell_col - first_col - 1 + col_step
            distance = np.hypot(x - site_x.ravel()[index], y - site_y.ravel()[index])
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            chosen = np.where(closer, index, chosen)
            nearest = np.where(closer, distance, nearest)
    return Sites(keys.ravel()[chosen], site_x.ravel()[chosen], site_y.ravel()[chosen], 0.5 * (second - nearest))


def split(seed: int, place: DoubleArray, width: DoubleArray, keys: KeyArray) -> tuple[KeyArray, DoubleArray]:
    """Cut a line into pieces of uneven length, differently for each key.

    Returns
    -------
    tuple
        A key for each place's piece, and the distance in metres to the piece's nearer end.
    """
    scaled = place / width
    post = np.floor(scaled + 0.5).astype(np.int64)

    def where(number: npt.NDArray[np.int64]) -> DoubleArray:
        return number + 0.7 * (uniform(key(seed, keys, number)) - 0.5)

    beyond = scaled >= where(post)
    piece = np.where(beyond, post, post - 1)
    to_end = np.minimum(np.abs(scaled - where(piece)), np.abs(where(piece + 1) - scaled)) * width
    return key(seed + 1, keys, piece), to_end
