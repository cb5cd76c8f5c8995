"""Traps that an honest estimator avoids: coherence read off texture, and tiles that differ from the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from models.estimator import Estimator, FloatArray
from models.evaluate.contenders import Contender, registered
from models.evaluate.scores import Sums, measure, summarise
from models.simulate.draw import Recipe, Sample, draw

Probe = Callable[[Recipe, int, int], tuple[Sample, FloatArray]]
"""(recipe, seed, number) -> a pair without common speckle, and a coherence that it could have had."""
NO_COHERENCE = 1e4
"""Exponent that leaves nothing of any coherence the simulator draws (at most 0.98)."""


@dataclass(frozen=True)
class Leak:
    """What an estimator makes of pairs that share no speckle.

    Attributes
    ----------
    r
        Correlation of its answer with a coherence that the scene's layout could have had, but the pair hasn't.
    mean
        Mean answer: its floor over textured ground.
    """

    r: float
    mean: float


def other_speckle(recipe: Recipe, seed: int, number: int) -> tuple[Sample, FloatArray]:
    """One ground twice with other speckle, and the coherence that the same draw would have had."""
    sample = draw(replace(recipe, exponent=NO_COHERENCE), seed, number)
    return sample, draw(recipe, seed, number).coherence


def unrelated(recipe: Recipe, seed: int, number: int) -> tuple[Sample, FloatArray]:
    """The reference of one scene with every other date of another, and the coherence of the first."""
    one, other = draw(recipe, seed, number), draw(recipe, seed + 1, number)
    return replace(one, secondary=other.secondary, context=other.context), one.coherence


def leak(
    contender: Contender,
    recipe: Recipe,
    pairs: Probe,
    *,
    seed: int,
    scenes: int,
) -> Leak:
    """Give pairs without coherence (`other_speckle` or `unrelated`) to a contender, registered as any pair is."""
    found: list[Sums] = []
    for number in range(scenes):
        sample, fictitious = pairs(recipe, seed, number)
        answer, _ = contender.answer(registered(sample))
        found.append(measure(answer, fictitious))
    scores = summarise(found)
    total = sum(sums.moments[0] for sums in found)
    return Leak(0.0 if np.isnan(scores.r) else scores.r, float(total / max(scores.pixels, 1)))


def tiling_difference(
    estimator: Estimator,
    reference: FloatArray,
    secondary: FloatArray,
    context: Sequence[FloatArray] = (),
    *,
    tile: int,
) -> float:
    """Largest difference, in coherence or sigma, between the whole image's estimate and that of its tiles.

    Parameters
    ----------
    reference, secondary, context
        Linear power, shape (height, width).
    tile
        Side of the tiles in pixels; each is estimated with the estimator's halo around it, as far as the image goes.

    Returns
    -------
    float
        Infinite where one has an estimate and the other hasn't.
    """
    whole = estimator.estimate(reference, secondary, context)
    height, width = reference.shape
    largest = 0.0
    for top, left in product(range(0, height, tile), range(0, width, tile)):
        rows, cols = (slice(max(start - estimator.halo, 0), start + tile + estimator.halo) for start in (top, left))
        part = estimator.estimate(
            reference[rows, cols], secondary[rows, cols], [image[rows, cols] for image in context]
        )
        for mine, all_of_it in zip(part, whole, strict=True):
            here = mine[top - rows.start :, left - cols.start :][:tile, :tile]
            there = all_of_it[top : top + tile, left : left + tile]
            if not np.array_equal(np.isnan(here), np.isnan(there)):
                return float("inf")
            largest = max(largest, float(np.nanmax(np.abs(here - there), initial=0.0)))
    return largest
