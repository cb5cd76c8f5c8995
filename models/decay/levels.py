"""Many readings of one baseline as one: median, inverse-variance mean, its standard error, and how many there were."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.estimator import LEAST_SIGMA
from models.median import median_of_known

FloatArray = npt.NDArray[np.float32]


def combine(coherence: FloatArray, sigma: FloatArray) -> FloatArray:
    """Combine readings of one baseline at each pixel.

    Parameters
    ----------
    coherence, sigma
        Readings and the standard deviations that the estimator states, shape (pairs, height, width); NaN: no data.

    Returns
    -------
    combined
        Median, mean weighted by the inverse variance, its standard error, number of readings; float32, shape
        (4, height, width), NaN (number: 0) where there is none.

    Notes
    -----
    The standard error is that of independent readings with these sigmas, widened (Birge's ratio) where the readings
    scatter more than that: weather differs from pair to pair, and sigma knows nothing of it.
    """
    there = np.isfinite(coherence) & np.isfinite(sigma)
    values = np.where(there, coherence, 0.0).astype(np.float64)
    weights = np.where(there, 1.0 / np.maximum(np.where(there, sigma, 1.0).astype(np.float64), LEAST_SIGMA) ** 2, 0.0)
    count, total = there.sum(axis=0), weights.sum(axis=0)
    safe = np.where(count > 0, total, 1.0)
    mean = (weights * values).sum(axis=0) / safe
    chi2 = (weights * (values - mean) ** 2).sum(axis=0)
    error = np.sqrt(np.maximum(chi2 / np.maximum(count - 1, 1), 1.0) / safe)
    median = median_of_known(np.where(there, coherence, np.nan))
    empty = count == 0
    return np.stack([median, *(np.where(empty, np.nan, each) for each in (mean, error)), count]).astype(np.float32)
