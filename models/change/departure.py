"""How far the coherence of a pair departs from that of pairs that are normal, as a standard normal score.

On x = logit(coherence^2) (as Stephenson et al. 2021 score forecast errors): x spreads evenly where coherence itself
crowds towards 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

# Weight, in pairs, of the estimator's own sigma when the spread of a few normal pairs is estimated.
PRIOR_PAIRS = 4.0
# Coherence outside is moved to these ends before the logit; the estimators resolve nothing beyond them.
LOWEST, HIGHEST = 0.05, 0.98
# A difference is held against this much besides its own spread, in units of x: small differences, however sure, are no
# change that a map should show. At a coherence of .5 to .8 it is a drop of about .2 (a moderated score, as in Tusher et
# al. 2001).
MODERATION = 1.0
# One value says nothing about a spread.
FEWEST = 2


def logit_of_square(coherence: FloatArray) -> FloatArray:
    """X = logit(coherence^2), its ends clipped; NaN stays."""
    square = np.clip(coherence, LOWEST, HIGHEST).astype(np.float32) ** 2
    return np.asarray(np.log(square / (1 - square)), dtype=np.float32)


def logit_variance(coherence: FloatArray, sigma: FloatArray) -> FloatArray:
    """Variance of x that the estimator's sigma of the coherence g amounts to: dx/dg = 2 / (g (1 - g^2))."""
    g = np.clip(coherence, LOWEST, HIGHEST)
    return np.asarray((2 * sigma / (g * (1 - g**2))) ** 2, dtype=np.float32)


def departure(x: FloatArray, variance: FloatArray, tested: int, normal: Sequence[int]) -> FloatArray:
    """Score of one pair against others: positive where its coherence is lower.

    The spread of the normal pairs is shrunk towards what the estimator's sigma predicts, as if that were `PRIOR_PAIRS`
    more pairs: s^2 = (p v + sum (x - mean)^2) / (p + n - 1). The difference is divided by the root of s^2 (1 + 1/n) and
    `MODERATION` squared together. What comes out has at most the tails of Student's t with p + n - 1 degrees of
    freedom, and is moved to a normal score of that tail probability, so that scores from few and from many pairs
    compare.

    Parameters
    ----------
    x, variance
        Of all pairs, shape (pairs, height, width), NaN where there is no data.
    tested, normal
        Positions of the pair that is tested and of those that it is held against.

    Returns
    -------
    score
        Shape (height, width), float32; NaN where the tested pair or all but one of the others have no data.
    """
    others = x[list(normal)]
    there = np.isfinite(others)
    count = there.sum(axis=0, dtype=np.float32)
    known = np.maximum(count, 1.0)
    mean = np.where(there, others, np.float32(0)).sum(axis=0) / known
    squares = np.where(there, (others - mean) ** 2, np.float32(0)).sum(axis=0)
    predicted = np.where(there, variance[list(normal)], np.float32(0)).sum(axis=0) / known
    freedom = PRIOR_PAIRS + known - 1
    variance_of_one = (PRIOR_PAIRS * predicted + squares) / freedom
    t = (mean - x[tested]) / np.sqrt(variance_of_one * (1 + 1 / known) + MODERATION**2)
    return np.where(count >= FEWEST, normal_score(t, freedom), np.float32(np.nan)).astype(np.float32)


def normal_score(t: FloatArray, freedom: FloatArray) -> FloatArray:
    """The normal score of the same tail probability as Student's t (Wallace 1959), to a few hundredths."""
    score = np.sqrt(freedom * np.log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
    return np.asarray(np.copysign(score, t), dtype=np.float32)


def normal_mean(coherence: FloatArray, normal: Sequence[int]) -> FloatArray:
    """Mean coherence of the normal pairs that have data; NaN where none has."""
    there = np.isfinite(coherence[list(normal)])
    count = there.sum(axis=0)
    total = np.where(there, coherence[list(normal)], np.float32(0)).sum(axis=0, dtype=np.float64)
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return np.asarray(mean, dtype=np.float32)
