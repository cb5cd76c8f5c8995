"""Coherence of complex images on sloped ground: fringes found in large windows, taken out, and summed over small ones.

A large window sees the fringe frequency well but mixes different ground; a small one keeps to its ground but would have
to find the fringe by itself, and takes noise for one. So the phase is modelled block by block, each model a paraboloid
made from the windows around, and what remains is summed over the small window. Where the windows disagree with their
block's model, as at ridges, blocks and models are made smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from models.slc.boxcar import normalised
from models.slc.evened import LIMIT, evened
from models.slc.fringes import SEARCH, SPACING, Fringes, Nodes, fringe_models, look, wrapped
from models.slc.refine import correction, opposite
from models.slc.windows import Sides, margins, padded, products, window_sums, windows


@dataclass(frozen=True)
class Scale:
    """How closely the phase is followed.

    Attributes
    ----------
    nodes
        Nodes along each side of a block, which has one model.
    neighbours
        Nodes along each axis that a model is made from.
    region, square
        Side in samples of what a model is refined on, and of the squares that are summed up for it.
    """

    nodes: int
    neighbours: int
    region: int
    square: int

    @property
    def block(self) -> int:
        """Side of a block in samples."""
        return self.nodes * SPACING


COARSE = Scale(nodes=4, neighbours=5, region=48, square=8)
FINE = Scale(nodes=1, neighbours=3, region=16, square=4)
BLOCK = COARSE.block
_REACH = (COARSE.neighbours // 2) * SPACING
"""Samples from a block's centre to the farthest node that its model is made from."""
CLEAR = 0.035
"""Weight from which a node's own frequency is believed; noise alone has as much once in some hundred windows."""
OFF = 0.016
"""Cycles a sample by which a model may miss a node's own frequency: a tenth of a radian."""


def two_scale(
    first: torch.Tensor, second: torch.Tensor, window: Sides, stride: Sides = (1, 1), *, limit: float = LIMIT
) -> torch.Tensor:
    """Coherence over the window around each pixel, free of fringes.

    Parameters
    ----------
    first, second
        Complex samples, shape (…, height, width); NaN or 0 where there is none.
    window, stride
        Rows and columns of the window, and from one of its places to the next.
    limit
        Greatest modulus that counts, in units of the surroundings' root mean square (`models.slc.evened`).

    Returns
    -------
    torch.Tensor
        In [0, 1], NaN where a window has no sample; shape (…, ceil(height / stride), ceil(width / stride)).
    """
    (one, there), (two, here) = evened(first, limit), evened(second, limit)
    cross, *powers = products(one, two, there & here)
    sums = _level_sums(cross.reshape(-1, *cross.shape[-2:]), window).reshape(cross.shape)
    sums = sums[..., :: stride[0], :: stride[1]]
    return normalised(sums, *(window_sums(padded(power, *margins(window)), window, stride) for power in powers))


def _level_sums(cross: torch.Tensor, window: Sides) -> torch.Tensor:
    """Sums over the window around each pixel of an interferogram, its fringes taken out; shape (batch, height, width).

    Their moduli are right, their phases are not: each block has a phase of its own.
    """
    shape = (cross.shape[-2], cross.shape[-1])
    count = tuple((side + BLOCK // 2 - 1) // BLOCK + 1 for side in shape)  # blocks are centred on 0, BLOCK, 2 BLOCK, …
    seen = look(_with_nodes(cross, count))
    every = torch.ones(cross.shape[0], *count, dtype=torch.bool, device=cross.device)
    models = _refined(cross, fringe_models(seen, COARSE.neighbours, COARSE.nodes), COARSE, every)
    sums = _assembled(_block_sums(cross, models, COARSE, every, window).reshape(*every.shape, BLOCK, BLOCK))
    sums = sums[..., BLOCK // 2 :, BLOCK // 2 :][..., : shape[0], : shape[1]]

    poor = _missed(seen, Fringes(*(part.reshape(*every.shape, -1) for part in (models.frequency, models.gradient))))
    if poor.any():
        inner = _REACH // SPACING - FINE.neighbours // 2
        near = Nodes(*(part[:, inner:, inner:] for part in (seen.frequency, seen.weight, seen.power)))
        finer = fringe_models(near, FINE.neighbours, FINE.nodes)
        poor = poor[:, : -(-(shape[0] + SPACING // 2) // SPACING), : -(-(shape[1] + SPACING // 2) // SPACING)]
        finer = Fringes(*(part[:, : poor.shape[1], : poor.shape[2]] for part in (finer.frequency, finer.gradient)))
        redone = _block_sums(cross, _refined(cross, finer, FINE, poor), FINE, poor, window)
        half, after = SPACING // 2, [poor.shape[axis + 1] * SPACING - shape[axis] - SPACING // 2 for axis in (0, 1)]
        pieces = windows(
            padded(sums, (half, half), (max(0, after[0]), max(0, after[1]))), (SPACING, SPACING), (SPACING, SPACING)
        ).clone()
        coarse = pieces[poor]
        pieces[poor] = torch.where(redone.abs() > coarse.abs(), redone, coarse)  # a model may fail far from its node
        sums = _assembled(pieces)[..., half:, half:][..., : shape[0], : shape[1]]
    return sums


def _with_nodes(cross: torch.Tensor, count: tuple[int, ...]) -> torch.Tensor:
    """With zeros around, so that so many blocks' centres have all their neighbours, and the last nodes theirs."""
    before = _REACH + SEARCH // 2
    after = [
        (number - 1) * BLOCK + before + SPACING - side for number, side in zip(count, cross.shape[-2:], strict=True)
    ]
    return padded(cross, (before, before), (after[0], after[1]))


def _refined(cross: torch.Tensor, models: Fringes, scale: Scale, chosen: torch.Tensor) -> Fringes:
    """Chosen blocks' models, corrected by what they leave."""
    half = scale.region // 2
    pieces = _pieces(cross, scale, chosen, (half, half), (half - scale.block, half - scale.block))
    models = models.of(chosen)
    offsets = torch.arange(scale.region, dtype=cross.real.dtype, device=cross.device) - half
    return models.corrected(correction(pieces * opposite(models.phase(offsets, offsets)), (half, half), scale.square))


def _block_sums(
    cross: torch.Tensor, models: Fringes, scale: Scale, chosen: torch.Tensor, window: Sides
) -> torch.Tensor:
    """Sums over the window around each pixel of chosen blocks, shape (blocks, block, block)."""
    half, (before, after) = scale.block // 2, margins(window)
    pieces = _pieces(cross, scale, chosen, (half + before[0], half + before[1]), (after[0] - half, after[1] - half))
    offsets = [
        torch.arange(side, dtype=cross.real.dtype, device=cross.device) - half - margin
        for side, margin in zip(pieces.shape[-2:], before, strict=True)
    ]
    return window_sums(pieces * opposite(models.phase(*offsets)), window)


def _pieces(cross: torch.Tensor, scale: Scale, chosen: torch.Tensor, before: Sides, after: Sides) -> torch.Tensor:
    """Chosen blocks' surroundings: so many samples before their centres, and after their ends counted from there."""
    sides = [scale.block + one + two for one, two in zip(before, after, strict=True)]
    more = [
        max(0, (number - 1) * scale.block + side - one - length)
        for number, side, one, length in zip(chosen.shape[1:], sides, before, cross.shape[-2:], strict=True)
    ]
    around = windows(padded(cross, before, (more[0], more[1])), (sides[0], sides[1]), (scale.block, scale.block))
    return around[:, : chosen.shape[1], : chosen.shape[2]][chosen]


def _assembled(blocks: torch.Tensor) -> torch.Tensor:
    """Blocks of shape (batch, rows, cols, side, side) as images."""
    return blocks.movedim(-2, -3).flatten(-2).flatten(-3, -2)


def _missed(seen: Nodes, models: Fringes) -> torch.Tensor:
    """Nodes from 0, SPACING, 2 SPACING, … whose block's model isn't what they see, and those beside them."""
    inner = _REACH // SPACING
    rows, cols = (side * COARSE.nodes - 1 for side in models.frequency.shape[1:3])
    own = seen.frequency[:, inner : inner + rows, inner : inner + cols]
    clear = seen.weight[:, inner : inner + rows, inner : inner + cols] > CLEAR
    node = [torch.arange(side, device=own.device) for side in (own.shape[1], own.shape[2])]
    last = (models.frequency.shape[1] - 1, models.frequency.shape[2] - 1)
    block = [((part + COARSE.nodes // 2) // COARSE.nodes).clamp(max=end) for part, end in zip(node, last, strict=True)]
    nearest = Fringes(*(part[:, block[0]][:, :, block[1]] for part in (models.frequency, models.gradient)))
    y, x = (SPACING * (part - COARSE.nodes * place).to(own.dtype) for part, place in zip(node, block, strict=True))
    expected = torch.stack(nearest.frequency_at(y[:, None], x), -1)
    missed = clear & (wrapped(own - expected).square().sum(-1) > OFF**2)
    spread = torch.nn.functional.max_pool2d(missed[:, None].to(own.dtype), 3, 1, 1)[:, 0]
    return spread > 0
