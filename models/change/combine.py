"""Several opinions on one change as one score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage, special

FloatArray = npt.NDArray[np.float32]

# A change that matters is wider than a pixel: scores are averaged over a window of this side.
NEIGHBOURHOOD = 5


def fisher(scores: list[FloatArray]) -> FloatArray:
    """Fisher's combination of normal scores, as a normal score again.

    -2 sum ln p follows chi2 with two degrees of freedom an opinion where nothing happened and the opinions are
    independent. Where they aren't, what comes out is no normal score, but still a score: its null distribution is
    counted, not assumed (`models.change.null`). One strong opinion is enough for a high score, which an average of
    scores would not give: a flood is dark, a collapsed house is not.
    """
    if len(scores) == 1:
        return scores[0]
    total = -2 * sum((special.log_ndtr(-score.astype(np.float64)) for score in scores), np.float64(0))
    p = special.chdtrc(2 * len(scores), total)
    return np.asarray(-special.ndtri(np.clip(p, 1e-300, 1 - 1e-12)), dtype=np.float32)


def smoothed(score: FloatArray) -> FloatArray:
    """Mean over `NEIGHBOURHOOD` pixels of what is known; NaN where the middle isn't."""
    there = np.isfinite(score)
    # in double precision, and added row by row: a tile with its halo then has the same bits as the whole map
    ones = np.ones(NEIGHBOURHOOD)

    def added(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        rows = ndimage.correlate1d(values, ones, axis=0, mode="constant")
        return np.asarray(ndimage.correlate1d(rows, ones, axis=1, mode="constant"))

    total, count = added(np.where(there, score, 0.0).astype(np.float64)), added(there.astype(np.float64))
    return np.where(there, total / np.maximum(count, 1.0), np.nan).astype(np.float32)
