"""The map of a study: what is counted, from where it is seen, and what coherence and noise that leaves."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from odc.geo import CRS
from rasterio.features import geometry_mask

from models.decay.curve import coherence_at
from models.orbit.swath import incidence_at
from models.phase_noise import displacement_deviation, phase_deviation
from pipeline.coverage.counts import Block, Counter, count_bands
from pipeline.coverage.ground import Ground
from pipeline.coverage.settings import Coverage
from pipeline.coverage.sightings import Study, View
from pipeline.coverage.summary import Summary
from pipeline.products import Band
from pipeline.progress import Progress
from pipeline.region import Region, crs_of
from pipeline.tiles import Tile, Tiles

FloatArray = npt.NDArray[np.float32]

# Pixels of a block along each side: 24 bands of it take 100 MB.
BLOCK = 1024
# Incidence bends slowly: it is computed at places this many metres apart, and lines are drawn between.
LATTICE = 10_000.0


def map_bands(settings: Coverage) -> tuple[Band, ...]:
    """All bands of a study's map, in their order."""
    return (
        *count_bands(settings.baselines),
        Band("incidence_min", "smallest incidence angle of any track, degrees, on the ellipsoid"),
        Band("incidence_max", "largest incidence angle of any track, degrees, on the ellipsoid"),
        Band("coherence", "coherence expected of a pair of successive passes, `interval` days apart"),
        Band("phase_noise", f"standard deviation of that pair's phase, radians, {settings.looks:g} looks"),
        Band("displacement_noise", f"that in millimetres along the line of sight, {settings.looks:g} looks"),
    )


def blocks_of(region: Region) -> Tiles:
    """Blocks that touch the area."""
    return region.tiles_of(BLOCK)


class Mapper:
    """Makes the blocks of a study's map, and sums them up on the way."""

    def __init__(self, study: Study, region: Region, settings: Coverage, ground: Ground, progress: Progress) -> None:
        self.summary = Summary(study, settings, ground.classes, [band.name for band in map_bands(settings)])
        self._counter = Counter(study, region, settings.baselines)
        self._study, self._region, self._settings = study, region, settings
        self._ground, self._progress = ground, progress

    def blocks(self) -> Iterator[tuple[Tile, FloatArray]]:
        """Each block with its bands."""
        for tile in blocks_of(self._region):
            counted = self._counter.block(tile)
            bands = [counted.runs.paint(counted.counts[:, index]) for index in range(counted.counts.shape[1])]
            bands += self._incidence(tile, counted)
            kinds = self._ground.kinds(tile)
            if self._ground.uniform is not None:  # what all pixels of a signature share needs no map to be computed
                interval = counted.counts[:, self._counter.interval_band]
                bands += [counted.runs.paint(values) for values in self._noise(interval, self._ground.uniform)]
            else:
                bands += self._noise(bands[self._counter.interval_band], self._ground.decay(tile, kinds))
            values = np.stack(bands)
            # tracks that miss the area were never asked for: beyond it counts would be too small
            window = self._region.window(tile)
            values[:, geometry_mask([self._region.area_on_grid], window.shape, window.affine, all_touched=True)] = (
                np.nan
            )
            self.summary.add(values, self._ground.land(tile), kinds)
            yield tile, values
            self._progress.advance()

    def _noise(self, interval: FloatArray, decay: tuple[npt.ArrayLike, npt.ArrayLike]) -> list[FloatArray]:
        coherence = np.asarray(coherence_at(interval, *decay), np.float32)
        phase = phase_deviation(coherence, self._settings.looks)
        displacement = displacement_deviation(phase, self._settings.wavelength * 1e3)
        return [coherence, phase.astype(np.float32), displacement.astype(np.float32)]

    def _incidence(self, tile: Tile, counted: Block) -> list[FloatArray]:
        low, high = (np.full(tile.shape, np.nan, np.float32) for _ in range(2))
        for number, track in enumerate(self._counter.tracks):
            view = self._study.views.get(track)
            if view is None or not counted.seen[:, number].any():
                continue
            there = counted.runs.paint(np.where(counted.seen[:, number], 0, np.nan).astype(np.float32))
            angle = there + self._angle(view, tile)
            np.fmin(low, angle, out=low)
            np.fmax(high, angle, out=high)
        return [low, high]

    def _angle(self, view: View, tile: Tile) -> FloatArray:
        """Incidence angle over a block, from a lattice of places."""
        window = self._region.window(tile)
        height, width = tile.shape
        step = LATTICE / abs(window.affine.a)
        rows, cols = (np.linspace(0.5, side - 0.5, max(2, math.ceil(side / step) + 1)) for side in (height, width))
        down, across = np.meshgrid(rows, cols, indexing="ij")
        to_map = window.affine
        x, y = to_map.c + to_map.a * across, to_map.f + to_map.e * down
        lon, lat = crs_of(window).transformer_to_crs(CRS("EPSG:4326"))(x.ravel(), y.ravel())
        found = incidence_at(view.orbit, view.node, lon, lat, ascending=view.ascending).reshape(down.shape)
        return (_between(rows, height) @ found @ _between(cols, width).T).astype(np.float32)


def _between(nodes: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """Weights of the nodes at each pixel's centre."""
    centres = np.arange(side) + 0.5
    after = np.clip(np.searchsorted(nodes, centres), 1, nodes.size - 1)
    share = (centres - nodes[after - 1]) / (nodes[after] - nodes[after - 1])
    weights = np.zeros((side, nodes.size))
    weights[np.arange(side), after - 1] = 1 - share
    weights[np.arange(side), after] = share
    return weights
