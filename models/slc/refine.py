"""What a phase model left over: the phases of small squares, once it is taken out, tell how it must be corrected."""

from __future__ import annotations

import math

import torch

from models.slc.fringes import Fringes
from models.slc.windows import Sides

WORTH = 1.02
"""By what factor the sum of all squares must grow for a quadratic correction to be believed."""


def correction(level: torch.Tensor, centre: Sides, square: int) -> Fringes:
    """The model of the phase that is left in pieces of an interferogram.

    First the frequency, from the turn between neighbouring squares; then a paraboloid through what phase remains, where
    that makes the squares agree better.

    Parameters
    ----------
    level
        Products z1 conj(z2) with a model taken out, shape (…, height, width), at least 3 squares each way.
    centre
        Row and column of the sample that phases are counted from.
    square
        Side in samples of the squares; half a turn across one is the most that can be put right.
    """
    sums, rows, cols = _squares(level, centre, square)
    down = _turn((sums[..., 1:, :] * sums[..., :-1, :].conj()).sum((-2, -1)))
    right = _turn((sums[..., :, 1:] * sums[..., :, :-1].conj()).sum((-2, -1)))
    frequency = torch.stack([down, right], -1) / square
    tilted = Fringes(frequency, frequency.new_zeros((*frequency.shape[:-1], 3)))
    sums = sums * opposite(tilted.phase(rows, cols))
    bent = _paraboloid(sums, rows, cols, square)
    before, after = sums.sum((-2, -1)).abs(), (sums * opposite(bent.phase(rows, cols))).sum((-2, -1)).abs()
    keep = (after > WORTH * before)[..., None]
    return tilted.corrected(Fringes(bent.frequency * keep, bent.gradient * keep))


def _squares(level: torch.Tensor, centre: Sides, square: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sums over the squares that fit in, and where their middles lie from the centre along each axis."""
    places = []
    for axis, middle in zip((-2, -1), centre, strict=True):
        count = level.shape[axis] // square
        start = (level.shape[axis] - count * square) // 2
        level = level.narrow(axis, start, count * square)
        steps = torch.arange(count, dtype=level.real.dtype, device=level.device)
        places.append(start + square * steps + 0.5 * (square - 1) - middle)
    shape = (places[0].numel(), square, places[1].numel(), square)
    return level.reshape(*level.shape[:-2], *shape).sum((-3, -1)), places[0], places[1]


def _paraboloid(sums: torch.Tensor, rows: torch.Tensor, cols: torch.Tensor, square: int) -> Fringes:
    """Weighted least squares through the phases, counted from that of the whole sum."""
    y, x = (part / square for part in torch.meshgrid(rows, cols, indexing="ij"))
    basis = torch.stack([torch.ones_like(y), y, x, 0.5 * y * y, y * x, 0.5 * x * x], -1).reshape(-1, 6)
    whole = sums.sum((-2, -1), keepdim=True)
    phase = _turn(sums * whole.conj()).flatten(-2)
    weight = (sums.real**2 + sums.imag**2).flatten(-2)
    weight = weight / weight.mean(-1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
    normal = torch.einsum("...n,ni,nj->...ij", weight, basis, basis)
    right = torch.einsum("...n,ni->...i", weight * phase, basis)
    found = torch.linalg.solve(normal + torch.eye(6).to(normal), right)
    return Fringes(found[..., 1:3] / square, found[..., 3:] / square**2)


def _turn(values: torch.Tensor) -> torch.Tensor:
    """Phase in cycles."""
    return torch.atan2(values.imag, values.real) / (2.0 * math.pi)


def opposite(cycles: torch.Tensor) -> torch.Tensor:
    """What takes a phase in cycles out of a product."""
    turns = -2.0 * math.pi * cycles
    return torch.complex(turns.cos(), turns.sin())
