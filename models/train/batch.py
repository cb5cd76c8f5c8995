"""Batches: random pieces of the pool, mirrored, swapped, with holes and with fewer dates than there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.estimator import FloatArray
from models.train.pool import Pool

STEP = 4
"""Pieces begin at multiples of this many pixels."""
TRIES = 50
"""How often a piece is looked for that has truth somewhere; labels of real pairs have gaps."""
FORGOTTEN = 0.25
"""Share of the examples with further dates that are shown without them."""
HOLES = 0.05
"""Share of the examples with a hole in one image."""
BORDERS = 0.12
"""Share of the examples beyond one side of which no image has data, as at the end of a region or of a pass."""


@dataclass(frozen=True)
class Batch:
    """What the network is shown and what it should say.

    Attributes
    ----------
    images, context
        Shape (batch, 2, side, side); see `SpeckleStem.forward`.
    dates
        Number of further dates, shape (batch,).
    spacing
        Pixel spacing in metres, shape (batch,).
    coherence
        Truth, shape (batch, 1, side, side); NaN where it isn't known.
    """

    images: torch.Tensor
    context: torch.Tensor
    dates: torch.Tensor
    spacing: torch.Tensor
    coherence: torch.Tensor

    @property
    def shown(self) -> tuple[torch.Tensor, ...]:
        """What a network is shown."""
        return self.images, self.context, self.dates, self.spacing

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(tensor.to(device) for tensor in (*self.shown, self.coherence)))


def draw_batch(pool: Pool, rng: np.random.Generator, count: int, side: int) -> Batch:
    """A random batch; all that varies it follows from the generator."""
    pieces, dates, spacings = zip(*(_draw_piece(pool, rng, side) for _ in range(count)), strict=True)
    return _as_batch(np.stack(pieces), dates, spacings)


def whole_batch(pool: Pool, number: int) -> Batch:
    """One example as it is, for validation."""
    arrays, dates, spacing = pool[number]
    return _as_batch(arrays[None].astype(np.float32), [dates], [spacing])


def _as_batch(arrays: FloatArray, dates: Sequence[int], spacings: Sequence[float]) -> Batch:
    tensor = torch.from_numpy(arrays)
    spacing = torch.tensor(spacings, dtype=torch.float32)
    return Batch(tensor[:, :2], tensor[:, 2:4], torch.tensor(dates), spacing, tensor[:, 4:])


def _crop(pool: Pool, rng: np.random.Generator, side: int) -> tuple[FloatArray, int, float]:
    """A piece with truth somewhere in it, unless that can't be found."""
    for _ in range(TRIES):
        arrays, dates, spacing = pool[int(rng.integers(len(pool)))]
        row, col = STEP * rng.integers(0, (pool.size - side) // STEP + 1, 2)
        piece = arrays[:, row : row + side, col : col + side].astype(np.float32)
        if np.isfinite(piece[4]).any():
            break
    return piece, dates, spacing


def _draw_piece(pool: Pool, rng: np.random.Generator, side: int) -> tuple[FloatArray, int, float]:
    piece, dates, spacing = _crop(pool, rng, side)
    down, right, swap = rng.random(3) < 0.5
    piece = piece[:, :: -1 if down else 1, :: -1 if right else 1]
    if swap:
        piece = piece[[1, 0, 2, 3, 4]]
    piece = np.ascontiguousarray(piece)
    if dates and rng.random() < FORGOTTEN:
        dates = 0
        piece[2:4] = 0.0
    if rng.random() < HOLES:
        top, left = rng.integers(0, side - 4, 2)
        height, width = rng.integers(4, side // 2 + 4, 2)
        piece[rng.integers(2), top : top + height, left : left + width] = np.nan
    if rng.random() < BORDERS:
        beyond = np.rot90(piece, int(rng.integers(4)), (1, 2))[:, : int(rng.integers(1, side // 4))]
        beyond[:2] = np.nan
        beyond[2:4] = 0.0
    return piece, dates, spacing
