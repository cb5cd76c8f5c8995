"""How far an estimate is from the true coherence, in sums that add up: memory stays flat however many scenes come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.estimator import FloatArray

DoubleArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Bounds of the bins of true coherence; a value on a bound counts to the bin above it, 1 to the last."""
LEVELS = (0.2, 0.4, 0.6, 0.68, 0.8, 0.9, 0.95)
"""Confidence levels of the intervals whose coverage is counted."""
EDGE_STEP, EDGE_REACH = 0.15, 3
"""An edge: true coherence spans more than this within 3 x 3 pixels; pixels up to this far away count to it."""
SSIM_SIDE = 7
"""Side of the window of the structural similarity, in pixels."""
RESAMPLES = 1000
LEAST_VARIANCE = 1e-7
"""What varies less is a constant: its correlation is rounding noise."""

_QUANTILES = np.array([NormalDist().inv_cdf(0.5 + 0.5 * level) for level in LEVELS])


@dataclass
class Sums:
    """What scores are made of, summed over pixels; sums of several scenes are added.

    Attributes
    ----------
    cells
        Shape (2, bins, 3): inside and at edges, by bin of true coherence: pixels, sum of the error (estimate - truth),
        sum of its square.
    moments
        Sums of estimate, truth, estimate^2, truth^2, estimate x truth.
    absolute
        Sum of the absolute error.
    similarity
        Sum of the structural similarity, and over how many windows.
    covered
        For each of `LEVELS`, pixels whose interval holds the truth; the last entry is how many have a sigma.
    seconds
        CPU time spent on the estimate.
    """

    cells: DoubleArray
    moments: DoubleArray
    absolute: DoubleArray
    similarity: DoubleArray
    covered: DoubleArray
    seconds: DoubleArray

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def pixels(self) -> float:
        """Pixels compared."""
        return float(self.cells[..., 0].sum())

    @property
    def square(self) -> float:
        """Sum of the squared error."""
        return float(self.cells[..., 2].sum())

    def to_json(self) -> dict[str, Any]:
        """Eight digits of every number, which a ledger's line can carry."""
        return {field.name: [float(f"{x:.8g}") for x in getattr(self, field.name).ravel()] for field in fields(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Sums:
        """What `to_json` gave."""
        arrays = {field.name: np.array(content[field.name], np.float64) for field in fields(cls)}
        arrays["cells"] = arrays["cells"].reshape(2, len(BINS) - 1, 3)
        return cls(**arrays)


@dataclass(frozen=True)
class Scores:
    """An estimator against the truth; NaN where there is nothing to say.

    Attributes
    ----------
    rmse, rmse_low, rmse_high
        Root-mean-square error over all pixels, and its 95 % interval by resampling scenes.
    mae, bias
        Mean absolute error; mean of estimate - truth.
    r
        Pearson correlation over all pixels; NaN for a constant.
    ssim
        Mean structural similarity (see `similarity`).
    rmse_by_bin, bias_by_bin
        By true coherence, bounds `BINS`.
    rmse_edges, rmse_inside
        Near edges of the true coherence (see `edges`), and away from them.
    coverage
        For each of `LEVELS`, the share of pixels whose interval estimate +- z sigma holds the truth, z from the normal
        distribution. Clipping the interval to [0, 1] changes nothing, as the truth lies there.
    seconds
        CPU-seconds per megapixel.
    pixels, scenes
        How many were compared.
    """

    rmse: float
    rmse_low: float
    rmse_high: float
    mae: float
    bias: float
    r: float
    ssim: float
    rmse_by_bin: tuple[float, ...]
    bias_by_bin: tuple[float, ...]
    rmse_edges: float
    rmse_inside: float
    coverage: tuple[float, ...]
    seconds: float
    pixels: int
    scenes: int

    def coverage_at(self, level: float) -> float:
        """Coverage of one of `LEVELS`."""
        return self.coverage[LEVELS.index(level)]


def measure(
    estimate: FloatArray,
    truth: FloatArray,
    sigma: FloatArray | None = None,
    *,
    seconds: float = math.nan,
    at_edge: BoolArray | None = None,
) -> Sums:
    """Sums of one scene, over the pixels where both estimate and truth are there.

    Parameters
    ----------
    estimate, truth
        Coherence, shape (height, width), NaN where there is none.
    sigma
        Standard deviation that the estimator states, same shape; left out where it states none.
    seconds
        CPU time that the estimate took.
    at_edge
        `edges` of the truth, where it is known already.
    """
    kept = np.isfinite(estimate) & np.isfinite(truth)
    found, true = estimate[kept].astype(np.float64), truth[kept].astype(np.float64)
    error = found - true
    ratio = None if sigma is None else np.abs(error) / np.maximum(sigma[kept].astype(np.float64), 1e-9)
    similar = similarity(estimate, truth)
    return Sums(
        cells=cells_of(true, (edges(truth) if at_edge is None else at_edge)[kept], error, np.ones_like(error)),
        moments=np.array([found.sum(), true.sum(), found @ found, true @ true, found @ true]),
        absolute=np.array([np.abs(error).sum()]),
        similarity=np.array([similar.sum(), similar.size]),
        covered=np.zeros(len(LEVELS) + 1) if ratio is None else covered_by(ratio, np.ones_like(error)),
        seconds=np.array([seconds]),
    )


def cells_of(true: DoubleArray, at_edge: BoolArray, error: DoubleArray, weight: DoubleArray) -> DoubleArray:
    """`Sums.cells` of pixels, all arguments one-dimensional; a pixel counts `weight` times."""
    bins = len(BINS) - 1
    place = np.clip(np.digitize(true, BINS) - 1, 0, bins - 1) + bins * at_edge
    sums = [np.bincount(place, weight * error**power, 2 * bins).astype(np.float64) for power in range(3)]
    return np.stack(sums, axis=-1).reshape(2, bins, 3)


def covered_by(ratio: DoubleArray, weight: DoubleArray) -> DoubleArray:
    """`Sums.covered` of pixels whose absolute error is `ratio` sigmas, each counting `weight` times."""
    return np.array([*(weight[ratio <= quantile].sum() for quantile in _QUANTILES), weight.sum()])


def edges(truth: FloatArray) -> BoolArray:
    """Pixels within `EDGE_REACH` pixels, diagonals included, of a jump of true coherence above `EDGE_STEP`.

    A jump is looked for within 3 x 3 pixels, because the resolution cell spreads a sharp border over about as many.
    """
    high: FloatArray = ndimage.maximum_filter(np.where(np.isfinite(truth), truth, -np.inf), 3, mode="nearest")
    low: FloatArray = ndimage.minimum_filter(np.where(np.isfinite(truth), truth, np.inf), 3, mode="nearest")
    jump = high - low > EDGE_STEP
    near: BoolArray = ndimage.maximum_filter(jump, 2 * EDGE_REACH + 1, mode="constant")
    return near


def similarity(estimate: FloatArray, truth: FloatArray) -> DoubleArray:
    """Structural similarity of every 7 x 7 window without gaps; one-dimensional.

    After Wang, Bovik, Sheikh & Simoncelli 2004, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13(4), equation 13 with K1 = 0.01, K2 = 0.03 and a data range of 1; uniform windows.
    """
    there = np.isfinite(estimate) & np.isfinite(truth)
    x, y = (np.where(there, image, 0.0).astype(np.float64) for image in (estimate, truth))

    def mean(image: DoubleArray) -> DoubleArray:
        return ndimage.uniform_filter(image, SSIM_SIDE, mode="constant")

    full = mean(there.astype(np.float64)) > 1.0 - 0.5 / SSIM_SIDE**2
    mean_x, mean_y = mean(x), mean(y)
    covariance = mean(x * y) - mean_x * mean_y
    variances = mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2
    low, contrast = 0.01**2, 0.03**2
    index = (2.0 * mean_x * mean_y + low) * (2.0 * covariance + contrast)
    index /= (mean_x**2 + mean_y**2 + low) * (variances + contrast)
    kept: DoubleArray = index[full]
    return kept


def summarise(scenes: Sequence[Sums]) -> Scores:
    """Scores over scenes: every pixel weighs the same, and the interval of the RMSE resamples whole scenes.

    Pixels of one scene aren't independent, so resampling pixels would give an interval far too narrow.
    """
    total = scenes[0]
    for scene in scenes[1:]:
        total = total + scene
    count, error, square = total.cells.sum(axis=(0, 1))
    by_bin = total.cells.sum(axis=0)
    by_edge = total.cells.sum(axis=1)
    low, high = interval(np.array([[scene.pixels, scene.square] for scene in scenes]))
    return Scores(
        rmse=_root(square, count),
        rmse_low=low,
        rmse_high=high,
        mae=_ratio(total.absolute[0], count),
        bias=_ratio(error, count),
        r=_correlation(total.moments, count),
        ssim=_ratio(*total.similarity),
        rmse_by_bin=tuple(_root(cell[2], cell[0]) for cell in by_bin),
        bias_by_bin=tuple(_ratio(cell[1], cell[0]) for cell in by_bin),
        rmse_edges=_root(by_edge[1, 2], by_edge[1, 0]),
        rmse_inside=_root(by_edge[0, 2], by_edge[0, 0]),
        coverage=tuple(_ratio(covered, total.covered[-1]) for covered in total.covered[:-1]),
        seconds=_ratio(1e6 * total.seconds[0], count),
        pixels=int(count),
        scenes=len(scenes),
    )


def median(seeds: Sequence[Scores], bounds: tuple[float, float]) -> Scores:
    """The median of each score over seeds; the interval of the RMSE is given: a median of intervals means little."""
    combined: dict[str, Any] = {}
    for field in fields(Scores):
        values = np.array([getattr(scores, field.name) for scores in seeds], np.float64)
        middle = np.median(values, axis=0)
        combined[field.name] = float(middle) if middle.ndim == 0 else tuple(float(value) for value in middle)
    combined["rmse_low"], combined["rmse_high"] = bounds
    combined["pixels"], combined["scenes"] = (sum(getattr(s, name) for s in seeds) for name in ("pixels", "scenes"))
    return Scores(**combined)


def interval(scenes: DoubleArray) -> tuple[float, float]:
    """95 % interval of the RMSE over resampled scenes; `scenes` has a row each: pixels, sum of the squared error."""
    if not scenes[:, 0].sum() > 0:
        return math.nan, math.nan
    drawn = np.random.default_rng(0).integers(0, len(scenes), (RESAMPLES, len(scenes)))
    count, square = scenes[drawn].sum(axis=1).T
    low, high = np.quantile(np.sqrt(square / np.maximum(count, 1.0)), (0.025, 0.975))
    return float(low), float(high)


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else math.nan


def _root(square: float, count: float) -> float:
    return math.sqrt(_ratio(max(square, 0.0), count)) if count > 0 else math.nan


def _correlation(moments: DoubleArray, count: float) -> float:
    if count < 2:
        return math.nan
    x, y, xx, yy, xy = moments / count
    variances = xx - x * x, yy - y * y
    return float((xy - x * y) / math.sqrt(math.prod(variances))) if min(variances) > LEAST_VARIANCE else math.nan
