"""Local means over a square window, taken over valid pixels only."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch.nn import functional

LEAST_VALID = 0.25
"""Share of a window's weight that must be valid; the corner of an image just passes, isolated pixels don't."""


def window_sum(image: torch.Tensor, size: int, *, tapered: bool = False) -> torch.Tensor:
    """Weighted sum over the window around each pixel; beyond the image everything counts as zero.

    Each sum is made of the window's own pixels, by doubling (1, 2, 4, ... pixels at a time), never as the difference
    of two running totals: a ship a thousand times brighter than the sea would leave its rounding error behind there,
    and a tile would differ from the whole image.

    Parameters
    ----------
    image
        Shape (height, width).
    size
        Side of the window in pixels, odd.
    tapered
        False: every pixel of the window weighs 1. True: a pyramid, that is a box of (size + 1) / 2 applied twice;
        near enough to a Gaussian of standard deviation 0.2 size.

    Returns
    -------
    torch.Tensor
        Same shape and type.
    """
    reach = size // 2
    total = functional.pad(image, (reach, reach, reach, reach))
    for side in _sides(size, tapered=tapered):
        total = sliding_sum(sliding_sum(total, side, 0), side, 1)
    return total


def _sides(size: int, *, tapered: bool) -> list[int]:
    """Sides of the boxes that make the window when applied one after the other."""
    return [(size + 1) // 2] * 2 if tapered else [size]


def sliding_sum(image: torch.Tensor, side: int, axis: int) -> torch.Tensor:
    """Sums of `side` neighbours along an axis, which gets shorter by side - 1."""
    length = image.shape[axis] - side + 1
    total: torch.Tensor | None = None
    start, width, run = 0, 1, image
    for bit in _bits(side):
        if bit:
            part = run.narrow(axis, start, length)
            total = part if total is None else total + part
            start += width
        if start < side:
            shorter = run.shape[axis] - width
            run = run.narrow(axis, 0, shorter) + run.narrow(axis, width, shorter)
            width *= 2
    assert total is not None  # noqa: S101 - side is at least 1, so at least one bit is set
    return total


def _bits(number: int) -> Iterator[int]:
    while number:
        yield number & 1
        number >>= 1


def weight_inside(length: int, size: int, *, tapered: bool = False) -> torch.Tensor:
    """Weight of the window inside an image of this length, along one axis."""
    line = functional.pad(torch.ones(length, dtype=torch.float64), (size // 2, size // 2))
    for side in _sides(size, tapered=tapered):
        line = sliding_sum(line, side, 0)
    return line


class Window:
    """The window over one mask of valid pixels.

    Parameters
    ----------
    valid
        Boolean, shape (height, width).
    size, tapered
        As in `window_sum`.
    """

    def __init__(self, valid: torch.Tensor, size: int, *, tapered: bool = False) -> None:
        self._valid = valid
        self._size = size
        self._tapered = tapered
        self._whole = bool(valid.all())
        if self._whole:  # the usual case: weights are then a product of two short sums
            rows, cols = (weight_inside(length, size, tapered=tapered).to(valid.device) for length in valid.shape)
            self._weight = rows[:, None] * cols
        else:
            self._weight = window_sum(valid.to(torch.float64), size, tapered=tapered)

    def mean(self, image: torch.Tensor) -> torch.Tensor:
        """Mean over the valid pixels of each window; 0 where there is none."""
        kept = image if self._whole else torch.where(self._valid, image, 0.0)
        return window_sum(kept, self._size, tapered=self._tapered) / self._weight.clamp(min=1.0)

    def filled(self, share: float = LEAST_VALID) -> torch.Tensor:
        """Whether at least this share of each window's weight is valid."""
        full = math.prod(side**2 for side in _sides(self._size, tapered=self._tapered))
        return self._weight >= share * full
