"""Estimates against the truth, where the source knows it: errors of coherence, hits and misses of the change mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from pipeline.cube import FloatArray
from pipeline.figures import draw_map
from pipeline.mosaic import Maps
from pipeline.passes import Pair
from pipeline.plates import Plate, by_kind, reading_note
from pipeline.products import NO_CLASS, Product
from pipeline.quicklook import COHERENCE, ERROR, LONGEST, Averager, MapImage, Style, open_map
from pipeline.region import crs_of
from pipeline.sampling import TILES, PairMaps, spread_out

# Equal bins of true coherence from 0 to 1, by which errors are told apart.
BINS = 5
OUTCOMES = Style(
    "",
    classes={
        0: ("rightly left alone", "#eef0ea"),
        1: ("found", "#2a7f62"),
        2: ("missed", "#e0a100"),
        3: ("false alarm", "#c2261c"),
    },
)


@runtime_checkable
class KnowsTruth(Protocol):
    """A source that knows what its pixels were made from."""

    def true_coherence(self, pair: Pair, polarisation: str, window: GeoBox) -> FloatArray:
        """Population coherence of a pair on a window: shape (height, width), float32 in [0, 1]."""
        ...

    def event_mask(self, window: GeoBox) -> npt.NDArray[np.bool_]:
        """Where the event changed the ground: shape (height, width); False everywhere where there is none."""
        ...


@dataclass
class Errors:
    """Error of the coherence over many pixels, gathered piece by piece."""

    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))
    within: int = 0
    by_bin: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((BINS, 3)))

    def add(self, estimate: FloatArray, sigma: FloatArray, truth: FloatArray) -> None:
        """Count pixels in which estimate and truth are known."""
        known = np.isfinite(estimate) & np.isfinite(truth)
        x, t = estimate[known].astype(np.float64), truth[known].astype(np.float64)
        self.sums += (x.size, x.sum(), t.sum(), (x * x).sum(), (t * t).sum(), (x * t).sum())
        self.within += int(np.count_nonzero(np.abs(x - t) <= sigma[known]))
        place = np.minimum((t * BINS).astype(np.intp), BINS - 1)
        for column, values in enumerate((None, x - t, (x - t) ** 2)):
            self.by_bin[:, column] += np.bincount(place, values, BINS)

    @property
    def pixels(self) -> int:
        """How many were counted."""
        return int(self.sums[0])

    @property
    def _moments(self) -> tuple[float, float, float, float, float]:
        """Means of estimate and truth, their variances, their covariance."""
        n, x, t, xx, tt, xt = self.sums
        mean_x, mean_t = x / n, t / n
        return mean_x, mean_t, xx / n - mean_x**2, tt / n - mean_t**2, xt / n - mean_x * mean_t

    @property
    def bias(self) -> float:
        """Mean of estimate minus truth."""
        mean_x, mean_t, *_ = self._moments
        return mean_x - mean_t

    @property
    def rmse(self) -> float:
        """Root-mean-square error."""
        _, _, var_x, var_t, covariance = self._moments
        return math.sqrt(max(var_x + var_t - 2 * covariance + self.bias**2, 0.0))

    @property
    def constant_rmse(self) -> float:
        """Error of the best constant: the spread of the truth itself."""
        return math.sqrt(max(self._moments[3], 0.0))

    @property
    def correlation(self) -> float:
        """Pearson's r of estimate and truth; NaN where either doesn't vary."""
        _, _, var_x, var_t, covariance = self._moments
        return covariance / math.sqrt(var_x * var_t) if var_x > 0 and var_t > 0 else math.nan

    @property
    def coverage(self) -> float:
        """Share of the pixels whose truth lies within one sigma of the estimate."""
        return self.within / self.pixels

    @property
    def bins(self) -> list[tuple[str, float, float, float]]:
        """Share of the pixels, bias and RMSE in each bin of true coherence that holds any."""
        return [
            (f"{index / BINS:.1f}–{(index + 1) / BINS:.1f}", n / self.pixels, error / n, math.sqrt(square / n))
            for index, (n, error, square) in enumerate(self.by_bin)
            if n
        ]


@dataclass(frozen=True)
class Detection:
    """What a change mask found of the true event.

    Attributes
    ----------
    found, missed
        Pixels of the event that the mask flags, and that it doesn't.
    false_alarms, quiet
        Pixels outside the event that the mask flags, and that it doesn't.
    """

    product: Product
    found: int
    missed: int
    false_alarms: int
    quiet: int
    plate: Plate

    @property
    def rate(self) -> float:
        """Share of the event that was found; NaN where there is none."""
        event = self.found + self.missed
        return self.found / event if event else math.nan

    @property
    def false_alarm_rate(self) -> float:
        """Share of the ground outside the event that was flagged."""
        outside = self.false_alarms + self.quiet
        return self.false_alarms / outside if outside else math.nan


@dataclass(frozen=True)
class Verdict:
    """The comparison with the truth.

    Attributes
    ----------
    errors
        By polarisation and temporal baseline in days.
    plates
        Mean truth, and mean error, over the pairs of the shortest baseline.
    """

    errors: dict[tuple[str, int], Errors]
    plates: tuple[Plate, ...]
    detections: tuple[Detection, ...]


def compare_with_truth(maps: Maps, products: Sequence[Product], source: KnowsTruth) -> Verdict:
    """Compare pair maps and change masks with what the source made the pixels from.

    Memory is bounded by a tile; of large regions, `TILES` tiles a pair are compared.
    """
    bands = maps.region.config.passes.polarisations
    shortest = min(pair.days for pair in maps.pairs)
    errors = {(band, days): Errors() for band in bands for days in sorted({pair.days for pair in maps.pairs})}
    drawn_truth, drawn_error = Averager(maps.region.grid), Averager(maps.region.grid)
    reader = PairMaps(maps)
    for pair in maps.pairs:
        for tile in spread_out(maps.stacks.pair_tiles(pair), TILES):
            for band in bands:
                truth = source.true_coherence(pair, band, maps.region.window(tile))
                estimate = reader.tile(pair, "coherence", band, tile)
                errors[band, pair.days].add(estimate, reader.tile(pair, "sigma", band, tile), truth)
                if band == bands[0] and pair.days == shortest:
                    drawn_truth.add(tile, truth)
                    drawn_error.add(tile, estimate - truth)
    return Verdict(
        errors={key: found for key, found in errors.items() if found.pixels},
        plates=(
            _truth_plate(drawn_truth.image(), bands[0], shortest),
            _error_plate(drawn_error.image(), bands[0], shortest),
        ),
        detections=tuple(_detect(maps, mask, source) for mask in by_kind(products, "change-mask")),
    )


def _truth_plate(image: MapImage, band: str, days: int) -> Plate:
    title = f"True coherence in {band} at {days} days"
    caption = f"True coherence in {band}, mean over the pairs {days} days apart.{reading_note(image)}"
    return Plate(draw_map(image, COHERENCE, title), title, caption)


def _error_plate(image: MapImage, band: str, days: int) -> Plate:
    title = f"Mean error of the coherence in {band} at {days} days"
    caption = (
        f"Estimated minus true coherence in {band}, mean over the pairs {days} days apart; "
        f"brown is overestimated, purple underestimated.{reading_note(image)}"
    )
    return Plate(draw_map(image, ERROR, title), title, caption)


def _detect(maps: Maps, mask: Product, source: KnowsTruth) -> Detection:
    """Compare one mask with the event, tile by tile."""
    grid = maps.region.grid
    step = max(math.ceil(max(grid.shape) / LONGEST), 1)
    drawn = np.full((math.ceil(grid.shape[0] / step), math.ceil(grid.shape[1] / step)), np.nan, dtype=np.float32)
    counts = np.zeros(len(OUTCOMES.classes), dtype=np.int64)
    with open_map(maps.folder.address(mask.path)) as dataset:
        for tile in maps.region.tiles:
            height, width = tile.shape
            flags = dataset.read(1, window=Window(tile.cols.start, tile.rows.start, width, height))
            event = source.event_mask(maps.region.window(tile))
            outcome = np.where(flags == 1, np.where(event, 1, 3), np.where(event, 2, 0))
            known = flags != NO_CLASS
            counts += np.bincount(outcome[known], minlength=counts.size)
            # every step-th pixel, counted from the grid's corner, so that tiles meet
            picked = slice(-tile.rows.start % step, None, step), slice(-tile.cols.start % step, None, step)
            at = slice(-(-tile.rows.start // step), None), slice(-(-tile.cols.start // step), None)
            part = np.where(known, outcome, np.nan)[picked]
            drawn[at][: part.shape[0], : part.shape[1]] = part
    to_grid = grid.affine
    coarse = Affine(to_grid.a * step, 0.0, to_grid.c, 0.0, to_grid.e * step, to_grid.f)
    image = MapImage(drawn, GeoBox(drawn.shape, coarse, crs_of(grid)), step)
    title = f"Change mask {mask.polarisation} against the true event"
    note = f" One pixel of {step} × {step} is drawn." if step > 1 else ""
    caption = (
        f"What the mask in {mask.polarisation} found of the true event, what it missed, and its false alarms.{note}"
    )
    quiet, found, missed, false_alarms = (int(n) for n in counts)
    return Detection(mask, found, missed, false_alarms, quiet, Plate(draw_map(image, OUTCOMES, title), title, caption))
