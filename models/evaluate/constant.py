"""The constant predictor: it answers its set's mean coherence everywhere, with the set's spread as its sigma.

An estimator that doesn't beat it knows nothing. The mean is known only when every scene was seen, so each scene leaves
a histogram of its true coherence, and the sums follow from those without a second pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.estimator import FloatArray
from models.evaluate.scores import Sums, cells_of, covered_by, edges

DoubleArray = npt.NDArray[np.float64]

STEPS = 100
"""Bins of the histogram over [0, 1]; each counts as its middle, which moves an RMSE of 0.2 by less than 0.0001."""


def histogram(truth: FloatArray) -> DoubleArray:
    """Pixels by true coherence, away from edges and at edges; shape (2, STEPS)."""
    kept = np.isfinite(truth)
    place = np.clip((truth[kept].astype(np.float64) * STEPS).astype(np.int64), 0, STEPS - 1)
    counts = np.bincount(place + STEPS * edges(truth)[kept], minlength=2 * STEPS)
    return counts.reshape(2, STEPS).astype(np.float64)


def predict(histograms: Sequence[DoubleArray]) -> list[Sums]:
    """Sums of the constant predictor for each scene of a set; structural similarity and CPU time are left out."""
    middles = (np.arange(STEPS) + 0.5) / STEPS
    total = np.sum(histograms, axis=(0, 1))
    count = max(float(total.sum()), 1.0)
    mean = float(total @ middles) / count
    spread = math.sqrt(max(float(total @ (middles - mean) ** 2) / count, 1e-18))
    error = np.tile(mean - middles, 2)
    true, at_edge = np.tile(middles, 2), np.repeat([False, True], STEPS)
    ratio = np.abs(error) / spread
    return [_scene(weight.ravel(), true, at_edge, error, ratio, mean) for weight in histograms]


def _scene(
    weight: DoubleArray,
    true: DoubleArray,
    at_edge: npt.NDArray[np.bool_],
    error: DoubleArray,
    ratio: DoubleArray,
    mean: float,
) -> Sums:
    count, first, second = (float(weight @ true**power) for power in range(3))
    return Sums(
        cells=cells_of(true, at_edge, error, weight),
        moments=np.array([count * mean, first, count * mean**2, second, mean * first]),
        absolute=np.array([weight @ np.abs(error)]),
        similarity=np.zeros(2),
        covered=covered_by(ratio, weight),
        seconds=np.array([math.nan]),
    )
