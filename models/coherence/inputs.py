"""From images of linear power to what a network is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from models.coherence.stem import is_whole
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


def summarised(logarithms: Sequence[torch.Tensor], like: torch.Tensor) -> torch.Tensor:
    """As `summarise`, from logarithms that aren't finite where there is no data.

    Parameters
    ----------
    like
        A tensor of the shape and on the device wanted, for where there is no further date.

    Returns
    -------
    torch.Tensor
        Mean and standard deviation, shape (2, height, width).
    """
    count, total, square = (torch.zeros_like(like) for _ in range(3))
    whole = all(is_whole(logarithm) for logarithm in logarithms)
    for logarithm in logarithms:
        known = logarithm
        if not whole:
            there = torch.isfinite(logarithm)
            known = logarithm.masked_fill(~there, 0.0)  # a number in `where` would go to a GPU as a copy of its own
            count += there
        total += known
        square.addcmul_(known, known)
    most = like.new_full((), max(len(logarithms), 1.0)) if whole else count.clamp(min=1.0)
    mean = total.div_(most)
    variance = square.div_(most).addcmul_(mean, mean, value=-1.0).clamp_(min=0.0)
    return torch.stack([mean, variance.mul_(most / (most - 1.0).clamp_(min=1.0)).sqrt_()])
