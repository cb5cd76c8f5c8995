"""Coherence of complex images on sloped ground: fringes found in large windows, taken out, and summed over small ones.

A large window sees the fringe frequency well but mixes different ground; a small one keeps to its ground but would have
to find the fringe by itself, and takes noise for one. Where the frequency changes, as on curved slopes, a plane fitted
to it makes the phase model quadratic, so that even the small window needs no adapting.
"""

from __future__ import annotations

import torch

from models.slc.boxcar import normalised
from models.slc.evened import LIMIT, evened
from models.slc.fringes import NEIGHBOURS, SEARCH, SPACING, fringe_models
from models.slc.refine import correction, opposite
from models.slc.windows import Sides, margins, padded, window_sums, windows

NODES = 4
"""Nodes along each side of a block, which has one phase model."""
BLOCK = NODES * SPACING


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
    both = there & here
    cross = one * two.conj()
    height, width = cross.shape[-2:]
    before, after = margins(window)
    # blocks are centred on samples 0, BLOCK, 2 BLOCK, …
    count = ((height + BLOCK // 2 - 1) // BLOCK + 1, (width + BLOCK // 2 - 1) // BLOCK + 1)
    fringes = fringe_models(_with_neighbours(cross, count), NODES)
    around = padded(cross, _each(before, BLOCK // 2), _each(after, BLOCK))
    pieces = windows(around, (BLOCK + window[0] - 1, BLOCK + window[1] - 1), (BLOCK, BLOCK))
    pieces = pieces[..., : count[0], : count[1], :, :]
    offsets = [
        torch.arange(side, dtype=cross.real.dtype, device=cross.device) - BLOCK // 2 - margin
        for side, margin in zip(pieces.shape[-2:], before, strict=True)
    ]
    centre = (BLOCK // 2 + before[0], BLOCK // 2 + before[1])
    fringes = fringes.corrected(correction(pieces * opposite(fringes.phase(*offsets)), centre))
    sums = window_sums(pieces * opposite(fringes.phase(*offsets)), window)
    whole = sums.movedim(-3, -2).flatten(-4, -3).flatten(-2)  # (…, blocks * BLOCK, blocks * BLOCK)
    whole = whole[..., BLOCK // 2 :, BLOCK // 2 :][..., : height : stride[0], : width : stride[1]]
    powers = [torch.where(both, image.real**2 + image.imag**2, 0.0) for image in (one, two)]
    return normalised(whole, *(window_sums(padded(power, before, after), window, stride) for power in powers))


def _with_neighbours(cross: torch.Tensor, count: Sides) -> torch.Tensor:
    """With zeros around, so that so many blocks' centres have all their neighbours."""
    reach = (NEIGHBOURS // 2) * SPACING + SEARCH // 2
    after = [max(0, (number - 1) * BLOCK + reach - side) for number, side in zip(count, cross.shape[-2:], strict=True)]
    return padded(cross, (reach, reach), (after[0], after[1]))


def _each(sides: Sides, more: int) -> Sides:
    return sides[0] + more, sides[1] + more
