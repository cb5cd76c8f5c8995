"""Numbers read back from pair maps for the report: series at places, and the spread of each pair over the region.

Memory is bounded by one tile, and the work by `TILES` tiles a pair: the median of a large region comes from a sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from scipy import ndimage

from pipeline import cube
from pipeline.cube import FloatArray
from pipeline.export import variable_name
from pipeline.figures import PairValue
from pipeline.infer import map_key, maps_name
from pipeline.mosaic import Maps
from pipeline.passes import Pair, Track
from pipeline.quicklook import MapImage
from pipeline.region import Region, Tile, crs_of

Quantity = Literal["coherence", "sigma"]

# Tiles a pair whose pixels are counted for its median and quartiles.
TILES = 16
# Coherence is counted in bins this fine; medians and quartiles are right to half of it.
BIN = 0.002
# Share of a map's longer side that lies too near to the edge of the data to be chosen.
EDGE = 0.03


@dataclass(frozen=True)
class Place:
    """A pixel whose time series is shown."""

    name: str
    lon: float
    lat: float
    row: int
    col: int


@dataclass(frozen=True)
class PairSummary:
    """One pair over the region.

    Attributes
    ----------
    spread
        Median and quartiles of the coherence by polarisation.
    valid
        Share of the pixels of the region's tiles that have a value.
    shift
        What coregistration removed: dy and dx in pixels, and its quality.
    """

    pair: Pair
    spread: Mapping[str, PairValue]
    valid: float
    shift: tuple[float, float, float]


class PairMaps:
    """The pair maps of a region, opened once a track."""

    def __init__(self, maps: Maps) -> None:
        self.maps = maps
        self._cubes = {track: cube.Cube(maps.folder, maps_name(track)) for track in maps.stacks.pairs}
        self._arrays: dict[tuple[Track, str], zarr.Array[Any]] = {}
        self._shifts: dict[Track, list[tuple[float, float, float]]] = {}

    def series(self, track: Track, polarisation: str, place: Place) -> list[PairValue]:
        """Coherence and sigma of every pair of a track at one pixel."""
        at = slice(place.row, place.row + 1), slice(place.col, place.col + 1)
        found = []
        for pair in self.maps.stacks.pairs[track]:
            value, sigma = (float(self._read(pair, q, polarisation, at)[0, 0]) for q in ("coherence", "sigma"))
            found.append(_value(pair, value, value - sigma, value + sigma))
        return found

    def tile(self, pair: Pair, quantity: Quantity, polarisation: str, tile: Tile) -> FloatArray:
        """One tile of a pair's coherence or sigma."""
        return self._read(pair, quantity, polarisation, (tile.rows, tile.cols))

    def _read(self, pair: Pair, quantity: Quantity, polarisation: str, at: tuple[slice, slice]) -> FloatArray:
        name = f"{quantity}_{variable_name(polarisation)}"
        if (pair.track, name) not in self._arrays:
            self._arrays[pair.track, name] = self._cubes[pair.track].array(name)
        return np.asarray(self._arrays[pair.track, name][self.maps.layer(pair).position, *at], dtype=np.float32)

    def summary(self, pair: Pair) -> PairSummary:
        """Spread, valid share and shift of one pair."""
        tiles = self.maps.stacks.pair_tiles(pair)
        spread = {}
        for polarisation in self.maps.region.config.passes.polarisations:
            counts = np.zeros(round(1 / BIN), dtype=np.int64)
            for tile in spread_out(tiles, TILES):
                counts += count(self.tile(pair, "coherence", polarisation, tile))
            low, median, high = quantiles(counts, (0.25, 0.5, 0.75))
            spread[str(polarisation)] = _value(pair, median, low, high)
        valid = sum(valid_share(self.maps, pair, tile) * _pixels(tile) for tile in tiles) / self._region_pixels
        return PairSummary(pair, spread, valid, self._shift(pair))

    @cached_property
    def _region_pixels(self) -> int:
        return sum(_pixels(tile) for tile in self.maps.region.tiles)

    def _shift(self, pair: Pair) -> tuple[float, float, float]:
        if pair.track not in self._shifts:
            group = self._cubes[pair.track].group
            columns = [np.asarray(group[f"shift_{name}"]).tolist() for name in ("dy", "dx", "quality")]
            self._shifts[pair.track] = list(zip(*columns, strict=True))
        return self._shifts[pair.track][self.maps.layer(pair).position]


def valid_share(maps: Maps, pair: Pair, tile: Tile) -> float:
    """Share of a tile's pixels for which the pair has a value."""
    record = maps.ledger.get(map_key(pair, tile))
    return float(record["valid"]) if record else 0.0


def _value(pair: Pair, value: float, low: float, high: float) -> PairValue:
    return PairValue(pair.reference_start, pair.secondary_start, pair.days, value, low, high)


def _pixels(tile: Tile) -> int:
    return tile.shape[0] * tile.shape[1]


def spread_out(tiles: Sequence[Tile], most: int) -> Sequence[Tile]:
    """At most `most` of the tiles, evenly spaced in their order."""
    if len(tiles) <= most:
        return tiles
    return [tiles[int(index)] for index in np.linspace(0, len(tiles) - 1, most).round()]


def count(values: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Histogram of coherence over [0, 1] in bins of `BIN`; NaN left out."""
    counts, _ = np.histogram(values[np.isfinite(values)], bins=round(1 / BIN), range=(0.0, 1.0))
    return counts.astype(np.int64)


def quantiles(counts: npt.NDArray[np.int64], shares: Iterable[float]) -> list[float]:
    """Values below which the given shares of the counted pixels lie: middles of bins; NaN where nothing was counted."""
    total = counts.sum()
    if total == 0:
        return [float("nan") for _ in shares]
    below = np.cumsum(counts)
    return [BIN * (float(np.searchsorted(below, share * total)) + 0.5) for share in shares]


def given_places(region: Region) -> list[Place]:
    """The region's own points; those outside its grid are left out."""
    found = [(point, locate(region.grid, point.lon, point.lat)) for point in region.config.products.points]
    return [Place(point.name, point.lon, point.lat, *where) for point, where in found if where is not None]


def locate(grid: GeoBox, lon: float, lat: float) -> tuple[int, int] | None:
    """Row and column of the pixel that holds a place, None outside the grid."""
    to_grid = grid.affine
    x, y = CRS("EPSG:4326").transformer_to_crs(crs_of(grid))(lon, lat)
    row, col = math.floor((y - to_grid.f) / to_grid.e), math.floor((x - to_grid.c) / to_grid.a)
    return (row, col) if 0 <= row < grid.shape[0] and 0 <= col < grid.shape[1] else None


def telling_places(region: Region, mean: MapImage, score: MapImage | None) -> list[Place]:
    """Places chosen automatically: where coherence dropped most, where its mean is highest, middling and lowest.

    Taken from decimated maps, so that each stands for its neighbourhood and not for one odd pixel; and away from the
    edges of the data, where estimates rest on fewer pixels.
    """
    wanted = [("Largest drop", score, 100.0)] if score is not None else []
    wanted += [("Highest mean coherence", mean, 100.0), ("Typical mean coherence", mean, 50.0)]
    wanted += [("Lowest mean coherence", mean, 0.0)]
    places = []
    for name, whole, share in wanted:
        if whole.is_empty:
            continue
        image = _without_edges(whole)
        away = np.abs(image.values - image.percentile(share))
        row, col = np.unravel_index(int(np.nanargmin(away)), away.shape)
        lon, lat = image.place(float(row) + 0.5, float(col) + 0.5)
        where = locate(region.grid, lon, lat)
        if where is not None:
            places.append(Place(name, lon, lat, *where))
    return places


def _without_edges(image: MapImage) -> MapImage:
    there = np.isfinite(image.values)
    inside = ndimage.binary_erosion(
        there, np.ones((3, 3), dtype=np.bool_), iterations=max(round(EDGE * max(there.shape)), 1)
    )
    return replace(image, values=np.where(inside, image.values, np.nan)) if inside.any() else image
