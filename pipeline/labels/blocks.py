"""The split by place: a scene is cut into blocks, and a whole block is trained on or kept aside.

All dates and pairs share one split. Blocks shrink on their inner sides, so that a gap lies between any two. Examples
are cut from within a block, and a network sees nothing of what is beyond its example: the gap need only be as wide as
the window of a label, with what its estimator looks at beyond, and then no sample counts on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.train.supply import TRAINING, VALIDATION
from pipeline.errors import CohmapError
from pipeline.slc.image import Window

FEWEST = 2
"""Blocks along each side, at least."""
SPARE = 2
"""Samples by which the gap is wider than the window of a label: averaging onto pixels reaches that far."""


@dataclass(frozen=True)
class Block:
    """A piece of the scene.

    Attributes
    ----------
    part
        `training` or `validation`.
    window
        Its lines and samples, without the gap.
    """

    number: int
    part: str
    window: Window

    @property
    def shape(self) -> tuple[int, int]:
        """Lines and samples."""
        lines, samples = self.window
        return lines.stop - lines.start, samples.stop - samples.start


def gap_for(
    window: tuple[int, int], reach: tuple[int, int], spacing: tuple[float, float], metres: float
) -> tuple[int, int]:
    """Lines and samples between blocks: so many metres, and never less than what a label rests on."""
    lines, samples = (
        max(side + 2 * more + SPARE, int(np.ceil(metres / step)))
        for side, more, step in zip(window, reach, spacing, strict=True)
    )
    return lines, samples


def divide(
    shape: tuple[int, int],
    spacing: tuple[float, float],
    gap: tuple[int, int],
    *,
    side: float,
    share: float,
    seed: int,
) -> list[Block]:
    """Cut a scene into blocks.

    Parameters
    ----------
    shape, spacing
        Lines and samples of the scene, and metres between them.
    gap
        Lines and samples between blocks.
    side
        Of a block in metres, about.
    share
        Of the blocks that are kept aside; at least one is, and one isn't.
    seed
        Which ones.

    Raises
    ------
    CohmapError
        The scene is so small that gaps leave nothing of it.
    """
    bounds = []
    for length, step, between in zip(shape, spacing, gap, strict=True):
        count = max(FEWEST, round(length * step / side))
        edges = np.linspace(0, length, count + 1).round().astype(int).tolist()
        bounds.append(
            [
                slice(low + (between - between // 2) * (low > 0), high - between // 2 * (high < length))
                for low, high in pairwise(edges)
            ]
        )
    if any(each.stop - each.start < 1 for axis in bounds for each in axis):
        raise CohmapError(
            f"a scene of {shape[0]} x {shape[1]} samples in blocks of {side:g} m leaves nothing between gaps of "
            f"{gap[0]} x {gap[1]} samples; give larger blocks (--block), a smaller --window or --gap, or a larger scene"
        )
    windows = [(lines, samples) for lines in bounds[0] for samples in bounds[1]]
    aside = min(max(1, round(share * len(windows))), len(windows) - 1)
    chosen = set(np.random.default_rng([seed, len(windows)]).permutation(len(windows))[:aside].tolist())
    return [
        Block(number, VALIDATION if number in chosen else TRAINING, window) for number, window in enumerate(windows)
    ]


def around(window: Window, margin: tuple[int, int], shape: tuple[int, int]) -> Window:
    """A window with so many lines and samples more on each side, as far as the scene goes."""
    lines, samples = (
        slice(max(0, side.start - more), min(length, side.stop + more))
        for side, more, length in zip(window, margin, shape, strict=True)
    )
    return lines, samples
