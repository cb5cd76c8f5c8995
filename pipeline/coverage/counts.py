"""What is counted for each pixel: passes, pairs, gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.coverage.edges import Edges, outlines_on_grid
from pipeline.coverage.sightings import Study
from pipeline.coverage.signatures import Runs, Signatures, TrackRuns
from pipeline.products import Band
from pipeline.region import Region, Tile

DoubleArray = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

# Signatures whose counts are kept for blocks to come; some 200 bytes each.
MOST_KEPT = 500_000


def count_bands(baselines: Sequence[int]) -> tuple[Band, ...]:
    """The bands that are counted."""
    return (
        Band("passes", "passes of all tracks"),
        Band("ascending", "ascending passes"),
        Band("descending", "descending passes"),
        Band("tracks", "tracks with a pass: each looks from its own place"),
        *(Band(f"pairs_{days}", f"pairs of one track, {days} days apart") for days in baselines),
        Band("gap_mean", "mean days between successive passes of any track"),
        Band("gap_max", "longest time in days between successive passes of any track"),
        Band("interval", "median days between successive passes of one track, of the track where that is shortest"),
    )


@dataclass(frozen=True)
class TrackCount:
    """What is counted of the passes of one track."""

    days: DoubleArray
    pairs: tuple[int, ...]
    interval: float


def count_track(days: DoubleArray, baselines: Sequence[int]) -> TrackCount:
    """Pairs per baseline, and the median time between successive passes.

    Parameters
    ----------
    days
        When the passes were, rising. A pair has the baseline that its days, rounded, are.
    """
    if days.size < 2:
        return TrackCount(days, (0,) * len(baselines), math.nan)
    lags = np.asarray(baselines, np.float64)[:, None]
    late, early = (np.searchsorted(days, (days + lags + half).ravel()).reshape(-1, days.size) for half in (0.5, -0.5))
    pairs = tuple(int(number) for number in (late - early).sum(axis=1))
    steps = np.sort(days[1:] - days[:-1])
    interval = float(steps[(steps.size - 1) // 2] + steps[steps.size // 2]) / 2  # much quicker than numpy's median
    return TrackCount(days, pairs, interval)


@dataclass(frozen=True)
class Block:
    """The counts of a block: one row a signature, and the runs that say where each lies."""

    runs: Runs
    counts: FloatArray
    """Shape (signatures, bands)."""
    seen: npt.NDArray[np.bool_]
    """Shape (signatures, tracks): which tracks see it."""


class Counter:
    """Counts the passes of a study on the grid of a region, block by block."""

    def __init__(self, study: Study, region: Region, baselines: Sequence[int]) -> None:
        self.tracks, self._baselines = study.tracks, tuple(baselines)
        self.interval_band = len(count_bands(baselines)) - 1
        number = {track: index for index, track in enumerate(self.tracks)}
        self._days = [np.array(sighting.days) for sighting in study.sightings]
        outlines = outlines_on_grid([sighting.outline for sighting in study.sightings], region.grid)
        tracks = np.array([number[sighting.track] for sighting in study.sightings], np.int64)
        self._signatures = Signatures(Edges(outlines), tracks)
        self._ascending = np.array([track.direction == "ascending" for track in self.tracks])
        self._track_counts: dict[tuple[int, int], TrackCount] = {}
        self._rows: dict[int, tuple[FloatArray, npt.NDArray[np.bool_]]] = {}

    def block(self, block: Tile) -> Block:
        """Counts of one block."""
        runs, by_track = self._signatures.block(block)
        if len(self._rows) > MOST_KEPT:
            self._rows.clear()
            self._track_counts.clear()
        keys = [int(key) for key in runs.signatures]
        new = [index for index, key in enumerate(keys) if key not in self._rows]
        if new:
            places = runs.first[new]
            seen = {number: track.at(places) for number, track in by_track.items()}
            for at, index in enumerate(new):
                found = {}
                for number, hashes in seen.items():
                    if hashes[at]:
                        found[number] = self._track_count(number, int(hashes[at]), by_track, int(places[at]))
                self._rows[keys[index]] = self._row(found)
        rows = [self._rows[key] for key in keys]
        return Block(runs, np.array([row for row, _ in rows]), np.array([there for _, there in rows]))

    def _track_count(self, number: int, key: int, by_track: dict[int, TrackRuns], place: int) -> TrackCount:
        if (number, key) not in self._track_counts:
            members = by_track[number].members(place)
            days = np.sort(np.concatenate([self._days[index] for index in members]))
            self._track_counts[number, key] = count_track(days, self._baselines)
        return self._track_counts[number, key]

    def _row(self, found: dict[int, TrackCount]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        seen = np.zeros(len(self.tracks), bool)
        seen[list(found)] = True
        passes = np.zeros(len(self.tracks), np.int64)
        for number, count in found.items():
            passes[number] = count.days.size
        pairs = np.sum([count.pairs for count in found.values()], axis=0) if found else np.zeros(len(self._baselines))
        total, ascending = int(passes.sum()), int(passes[self._ascending].sum())
        gap_mean = gap_max = interval = math.nan
        if total > 1:
            days = np.sort(np.concatenate([count.days for count in found.values()]))
            gap_mean, gap_max = (days[-1] - days[0]) / (total - 1), float(np.diff(days).max())
            known = [count.interval for count in found.values() if not math.isnan(count.interval)]
            interval = min(known, default=math.nan)
        row = [total, ascending, total - ascending, int(seen.sum()), *pairs, gap_mean, gap_max, interval]
        return np.array(row, np.float32), seen
