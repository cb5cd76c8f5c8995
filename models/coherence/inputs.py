"""From images of linear power to what a network is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.estimator import FloatArray


def logarithm(image: FloatArray) -> FloatArray:
    """Natural logarithm of power, NaN where there is none (zero or less is what noise subtraction leaves)."""
    with np.errstate(invalid="ignore"):  # NaN compares false
        positive = image > 0
    log: FloatArray = np.where(positive, np.log(np.where(positive, image, np.float32(1.0))), np.float32(np.nan))
    return log


def summarise(context: Sequence[FloatArray], shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the logarithms of further dates, over those that have data at a pixel.

    Parameters
    ----------
    context
        Linear power of each date, shape as given.

    Returns
    -------
    mean, deviation
        float32. Both are zero without any date; the deviation is zero with one.
    """
    count, total, square = (np.zeros(shape, np.float32) for _ in range(3))
    for image in context:
        log = logarithm(image)
        there = np.isfinite(log)
        log[~there] = 0.0
        count += there
        total += log
        square += log**2
    most = np.maximum(count, np.float32(1.0))
    mean = np.divide(total, most, dtype=np.float32)
    variance = np.maximum(square / most - mean**2, np.float32(0.0)) * most / np.maximum(most - 1, np.float32(1.0))
    return mean, np.sqrt(variance, dtype=np.float32)
