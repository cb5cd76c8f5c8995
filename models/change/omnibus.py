"""The omnibus test of equal intensities, and its sequence of single steps (Conradsen et al. 2016, single polarisation).

For k intensities X of n looks each, ln Q = n (k ln k + sum ln X - k ln sum X), and -2 rho ln Q follows chi2 with k - 1
degrees of freedom where nothing changed, rho = 1 - (k + 1) / (6 n k). Q is the product of R_2 ... R_k, and R_j asks
whether the j-th date differs from those before it, given that these don't differ: -2 rho_j ln R_j follows chi2(1),
rho_j = 1 - (1 + 1 / (j (j - 1))) / (6 n).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage, special

from models.simulate.product import product_for, relative_covariance

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

LEAST = 1e-10
"""Power below it, or none, can't be told from noise that was subtracted; its logarithm would say more than it knows."""


def omnibus(images: FloatArray, looks: float) -> tuple[DoubleArray, DoubleArray]:
    """Whether all dates are alike.

    Parameters
    ----------
    images
        Linear power, shape (k, height, width), k > 1.
    looks
        Equivalent number of looks n of each.

    Returns
    -------
    statistic, p
        -2 rho ln Q, and the probability of one as great where nothing changed; shape (height, width).
    """
    x = np.maximum(images.astype(np.float64), LEAST)
    k = len(x)
    log_q = looks * (k * np.log(k) + np.log(x).sum(axis=0) - k * np.log(x.sum(axis=0)))
    statistic = np.maximum(-2 * (1 - (k + 1) / (6 * looks * k)) * log_q, 0.0)
    return statistic, special.chdtrc(k - 1, statistic)


def step(total: FloatArray, dates: IntArray | int, image: FloatArray, looks: float) -> DoubleArray:
    """Whether one more date is like those before it; `step_p` tells the statistic's probability.

    Parameters
    ----------
    total, dates
        Sum of the earlier images, and how many there are (whole numbers): j - 1, one at least where the answer is to be
        finite.
    image
        Linear power of the j-th date.

    Returns
    -------
    statistic
        -2 rho_j ln R_j.
    """
    counted = np.asarray(dates)
    with np.errstate(invalid="ignore", divide="ignore"):
        # what depends on the number of dates alone is computed once for each number, and not for every pixel
        before = np.arange(int(counted.max(initial=0)) + 1, dtype=np.float64)
        j = before + 1
        constant = (j * np.log(j) - before * np.log(before))[counted]
        factor = (-2 * (1 - (1 + 1 / (j * before)) / (6 * looks)))[counted]
        before, j = before[counted], j[counted]
        old, new = np.maximum(total.astype(np.float64), LEAST), np.maximum(image.astype(np.float64), LEAST)
        log_r = looks * (constant + before * np.log(old) + np.log(new) - j * np.log(old + new))
        return np.where(before >= 1, np.maximum(factor * log_r, 0.0), np.nan)


def step_p(statistic: DoubleArray) -> DoubleArray:
    """Probability of a step as great where nothing changed; not told by `step`, for it takes ten times as long."""
    return np.asarray(special.chdtrc(1, statistic))


def score(statistic: DoubleArray) -> FloatArray:
    """A chi2(1) statistic as a normal score of the same tail: of p = 1/2 nought, of small p large."""
    # chdtrc(1, s) = 2 Q(sqrt(s)), and ndtri of half that keeps its digits far out in the tail
    root = np.sqrt(statistic)
    p = np.clip(2 * special.ndtr(-root), 1e-300, 1 - 1e-7)
    return np.asarray(-special.ndtri(p), dtype=np.float32)


def windowed(images: Iterable[FloatArray], side: int) -> Iterator[FloatArray]:
    """Mean of each image over a window of `side` pixels of what has data; NaN where the middle has none."""
    last: BoolArray | None = None
    share: DoubleArray = np.empty(0)
    for image in images:
        there = np.isfinite(image) & (image > 0)
        if last is None or not np.array_equal(there, last):  # passes of a track mostly cover the same ground
            share = np.maximum(ndimage.uniform_filter(there.astype(np.float64), side, mode="constant"), 1e-12)
            last = there
        total = ndimage.uniform_filter(np.where(there, image, np.float32(0)).astype(np.float64), side, mode="constant")
        yield np.where(there, total / share, np.nan).astype(np.float32)


@lru_cache(maxsize=8)
def windowed_looks(spacing: float, side: int) -> float:
    """Equivalent looks of a mean over `side` x `side` pixels of the product that goes with a pixel spacing.

    Mean^2 over variance, from the closed form of the pixels' covariance (models.simulate.product).
    """
    product = product_for(spacing)
    reach = range(1 - side, side)
    total = sum(
        (side - abs(row)) * (side - abs(col)) * relative_covariance(product, (row, col))
        for row in reach
        for col in reach
    )
    return float(side**4 / total)
