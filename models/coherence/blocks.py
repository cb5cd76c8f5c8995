"""An image in blocks, so that memory doesn't grow with it: a network needs a hundred numbers a pixel on its way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

SIDE = 1024
"""Pixels along both sides of what is estimated at once; a multiple of every network's lattice."""

Window = tuple[slice, slice]


def blocks(shape: tuple[int, int], halo: int, side: int = SIDE) -> Iterator[tuple[Window, Window, Window]]:
    """Each block in the image, the same with its halo as far as the image goes, and where it lies in that.

    Parameters
    ----------
    halo
        Pixels; a multiple of the network's lattice, so that blocks with their halo begin on it.
    """
    for corner in product(*(range(0, length, side) for length in shape)):
        inner, outer, cut = zip(
            *(_along(start, length, halo, side) for start, length in zip(corner, shape, strict=True)), strict=True
        )
        yield inner, outer, cut


def _along(start: int, length: int, halo: int, side: int) -> tuple[slice, slice, slice]:
    stop, before = min(start + side, length), max(start - halo, 0)
    return slice(start, stop), slice(before, min(stop + halo, length)), slice(start - before, stop - before)
