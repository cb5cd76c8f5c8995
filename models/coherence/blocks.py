"""An image in blocks, so that memory doesn't grow with it: a network needs a hundred numbers a pixel on its way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

SIDE = 1024
"""Pixels along both sides of what is estimated at once, without its halo, by a network that works on every pixel; a
multiple of every network's lattice.

Larger blocks waste less on halos but take more memory: such a network keeps some hundreds of bytes a pixel.
"""
LARGEST = 2048
"""The same for a network that works on cells, which keeps fewer. Who gives it images of less pays for their halo."""

Window = tuple[slice, slice]


def tiles_along(tile: int, side: int = SIDE) -> int:
    """How many tiles of this side stand along each side of a block of whole tiles: as many as fit, and one at least."""
    return max(side // tile, 1)


def blocks(
    shape: tuple[int, int], halo: int, side: int = SIDE, margin: int = 0
) -> Iterator[tuple[Window, Window, Window]]:
    """Each block in the image, the same with its halo as far as the image goes, and where it lies in that.

    An image no longer than one block with its halo is one block: it is such a block, already read with its halo.

    Parameters
    ----------
    halo
        Pixels; a multiple of the network's lattice, so that blocks with their halo begin on it.
    margin
        Pixels along the image's sides that belong to no block; a multiple of the lattice too.
    """
    for corner in product(*(_starts(length, halo, side, margin) for length in shape)):
        inner, outer, cut = zip(
            *(_along(start, length, halo, side, margin) for start, length in zip(corner, shape, strict=True)),
            strict=True,
        )
        yield inner, outer, cut


def _starts(length: int, halo: int, side: int, margin: int) -> range:
    return range(margin, margin + 1) if length <= side + 2 * halo else range(margin, length - margin, side)


def _along(start: int, length: int, halo: int, side: int, margin: int) -> tuple[slice, slice, slice]:
    whole, last = length <= side + 2 * halo, length - margin
    stop, before = last if whole else min(start + side, last), max(start - halo, 0)
    return slice(start, stop), slice(before, min(stop + halo, length)), slice(start - before, stop - before)
