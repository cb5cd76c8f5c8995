"""Measure an estimator's response on simulated series: what it reads on average over pairs, at each true coherence."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import numpy.typing as npt

from models.decay.response import Response
from models.errors import ModelError
from models.estimator import Estimator
from models.simulate.decaying import DecayingScene, draw_decaying
from models.simulate.product import product_for

DoubleArray = npt.NDArray[np.float64]

# Seeds of the scenes; scoring begins at 900,001, and training and calibration keep to other numbers.
SEED = 700_001
SCENES, SIZE = 12, 256
DAYS = tuple(6.0 * step for step in range(10))
LONGEST = 48.0
BINS = 25
# A bin of true coherence with fewer pixels than this says nothing.
FEWEST = 500


def tally(
    estimator: Estimator,
    number: int,
    *,
    contexts: int | None = None,
    spacing: float | None = None,
    size: int = SIZE,
    seed: int = SEED,
) -> DoubleArray:
    """Readings of one simulated scene, by true coherence.

    Parameters
    ----------
    number
        Of the scene.
    contexts
        Further dates to show; as many as the estimator makes use of where left out.
    spacing
        Pixel spacing in metres; the one that the estimator was calibrated for where left out.

    Returns
    -------
    counts
        Shape (3, bins): pixels, sum of the readings, sum of their squares. A reading is the mean estimate over the
        pairs of one baseline, at a pixel away from the edges of patches.
    """
    scene = draw_decaying(DAYS, product_for(spacing or estimator.spacing), size, seed, number)
    dates = estimator.context if contexts is None else contexts
    counts = np.zeros((3, BINS))
    for pairs in pairs_by_baseline(scene.days, LONGEST).values():
        truth = np.mean([scene.truth(*pair) for pair in pairs], axis=0)
        reading = np.mean([estimate(estimator, scene, *pair, contexts=dates)[0] for pair in pairs], axis=0)
        there = scene.inside & np.isfinite(reading)
        bins = np.minimum((truth[there] * BINS).astype(np.intp), BINS - 1)
        for power in range(3):
            counts[power] += np.bincount(bins, reading[there].astype(np.float64) ** power, BINS)
    return counts


def pairs_by_baseline(days: tuple[float, ...], longest: float) -> dict[float, list[tuple[int, int]]]:
    """Pairs of dates up to a longest baseline, the earlier one first, by baseline."""
    found: dict[float, list[tuple[int, int]]] = {}
    for first, second in combinations(range(len(days)), 2):
        if days[second] - days[first] <= longest:
            found.setdefault(days[second] - days[first], []).append((first, second))
    return dict(sorted(found.items()))


def estimate(
    estimator: Estimator, scene: DecayingScene, first: int, second: int, *, contexts: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Coherence and sigma of a pair, with the dates nearest to its middle as context."""
    middle = (scene.days[first] + scene.days[second]) / 2
    others = [index for index in range(len(scene.days)) if index not in {first, second}]
    nearest = sorted(others, key=lambda index: (abs(scene.days[index] - middle), index))[:contexts]
    context = [scene.images[index] for index in sorted(nearest)]
    return estimator.estimate(scene.images[first], scene.images[second], context)


def response(tallies: Iterable[DoubleArray]) -> Response:
    """The response that the tallies of several scenes make.

    Raises
    ------
    ModelError
        They hold too few pixels.
    """
    count, total, squares = np.sum(list(tallies), axis=0)
    known = count >= FEWEST
    if known.sum() < 2:
        raise ModelError("the simulated scenes are too small, or too few, to measure the estimator's response on")
    middles = ((np.arange(BINS) + 0.5) / BINS)[known]
    mean = total[known] / count[known]
    spread = np.sqrt(np.maximum(squares[known] / count[known] - mean**2, 1e-6))
    rising = np.maximum.accumulate(mean)
    # the ends lie beyond the middles of the outer bins: as much is read there as the nearest bins lead one to expect
    low = rising[0] - (rising[1] - rising[0]) / (middles[1] - middles[0]) * middles[0]
    high = rising[-1] + (rising[-1] - rising[-2]) / (middles[-1] - middles[-2]) * (1 - middles[-1])
    return Response(
        (0.0, *(float(node) for node in middles), 1.0),
        (float(max(low, 0.0)), *(float(node) for node in rising), float(np.clip(high, rising[-1], 1.0))),
        (float(spread[0]), *(float(node) for node in spread), float(spread[-1])),
    )
