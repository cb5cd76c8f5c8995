"""What of its margin a network need not compute: each level only as far as what is kept depends on it.

A block is shown with its halo, which is thrown away afterwards. Coarse levels look far and need nearly all of it; the
fine levels of the decoder, where most of the work is, need a few cells. How many follows from the layers: each 3x3
convolution reaches one cell of its level, each bilinear enlargement one coarse cell.

What is computed here is where to cut, as cells of each level. The layers still add zeros at the cuts, and what those
spoil lies in what is cut off later: at the image's own edges, where nothing is cut, they mean what they always did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from models.coherence.blocks import Window

BLOCK_REACH = 2
"""Cells that a residual block depends on around one: two 3x3 convolutions."""


class Sides(NamedTuple):
    """On which sides of an image there is a margin that isn't kept."""

    top: bool = False
    bottom: bool = False
    left: bool = False
    right: bool = False

    def times(self, cells: int) -> tuple[int, int, int, int]:
        """So many cells on the sides that have a margin: top, bottom, left, right."""
        top, bottom, left, right = (cells * side for side in self)
        return top, bottom, left, right


WHOLE = Sides()
"""Nothing around what is kept."""


def around(kept: Window, shape: tuple[int, int], halo: int) -> tuple[Sides, Window]:
    """On which sides of a block there is a whole halo that isn't kept, and where what is kept lies without those.

    Parameters
    ----------
    kept
        Rows and columns of the block that are kept.
    shape
        Of the block, with what it is filled up with.
    """
    (top, bottom), (left, right) = ((cut.start, length - cut.stop) for cut, length in zip(kept, shape, strict=True))
    sides = Sides(*(beside >= halo for beside in (top, bottom, left, right)))
    rows, columns = (
        slice(cut.start - halo * gone, cut.stop - halo * gone)
        for cut, gone in zip(kept, (sides.top, sides.left), strict=True)
    )
    return sides, (rows, columns)


@dataclass(frozen=True)
class Cuts:
    """Cells to cut off, on each side that has a margin, in cells of the level in question.

    Attributes
    ----------
    entering
        Of what enters each level of the encoder, the finest first.
    coarse, skips
        For each level of the decoder, the finest first: of what the coarser level gave, before it is enlarged; and of
        what the encoder gave on this level.
    leaving
        Of the result, so that the whole margin is gone.
    """

    entering: tuple[int, ...]
    coarse: tuple[int, ...]
    skips: tuple[int, ...]
    leaving: int


def plan_cuts(encoder: Sequence[int], decoder: Sequence[int], margin: int, *, after_enlarging: int = 0) -> Cuts:
    """Where to cut a U-Net of residual blocks.

    Parameters
    ----------
    encoder, decoder
        Residual blocks on each level; the decoder has one level fewer.
    margin
        Around what is kept, in cells of the finest level; a multiple of 2 for every level but the first.
    after_enlarging
        Cells that a convolution between an enlargement and the blocks of its level depends on around one, on the side
        where it reaches furthest.
    """
    wanted_coarse, wanted_entering = _wanted(encoder, decoder, after_enlarging)
    levels = len(encoder)
    entering, given = [], []
    there = margin
    for level, wanted in enumerate(wanted_entering):
        whole = 2 ** (levels - 1 - level)  # cut by whole cells of the coarsest level, so that all stay aligned
        entering.append(max(there - wanted, 0) // whole * whole)
        there -= entering[-1]
        given.append(there)
        there //= 2
    coarse, skips, there = [], [], given[-1]
    for level in reversed(range(levels - 1)):
        coarse.append(max(there - wanted_coarse[level], 0))
        there = 2 * (there - coarse[-1])
        skips.append(given[level] - there)
    return Cuts(tuple(entering), tuple(reversed(coarse)), tuple(reversed(skips)), there)


def _wanted(encoder: Sequence[int], decoder: Sequence[int], after_enlarging: int) -> tuple[list[int], list[int]]:
    """Cells around what is kept that matter: of what is enlarged onto each level; of what enters each encoder level."""
    coarse, need = [], 0
    for blocks in decoder:
        need += BLOCK_REACH * blocks + after_enlarging
        need = need // 2 + 1  # a cell lies a quarter of a coarse cell inside its own, and mixes that and the next
        coarse.append(need)
    entering = []
    for level in reversed(range(len(encoder))):
        if level < len(decoder):
            need = max(2 * need, 2 * coarse[level])  # for the next coarser level, and for the decoder on this one
        need += BLOCK_REACH * encoder[level]
        entering.append(need)
    return coarse, list(reversed(entering))


def cut_off(image: torch.Tensor, sides: tuple[int, int, int, int]) -> torch.Tensor:
    """An image of shape (…, height, width) without so many rows above and below, columns left and right; a view."""
    top, bottom, left, right = sides
    height, width = image.shape[-2:]
    return image[..., top : height - bottom, left : width - right]
