"""Numbers read back from pair maps for the report: series at places, and the spread of each pair over the region.

Memory is bounded by one tile, and the work by `TILES` tiles a pair: the median of a large region comes from a sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline import cube
from pipeline.export import variable_name
from pipeline.figures import PairValue
from pipeline.infer import map_key, maps_name
from pipeline.mosaic import Maps
from pipeline.passes import Pair, Track
from pipeline.quicklook import MapImage
from pipeline.region import Tile

# Tiles a pair whose pixels are counted for its median and quartiles.
TILES = 16
# Coherence is counted in bins this fine; medians and quartiles are right to half of it.
BIN = 0.002


@dataclass(frozen=True)
class Place:
    """A pixel whose time series is shown.

    Attributes
    ----------
    note
        Why it was chosen, where it was chosen automatically.
    """

    name: str
    lon: float
    lat: float
    row: int
    col: int
    note: str = ""


@dataclass(frozen=True)
class PairSummary:
    """One pair over the region, in one polarisation.

    Attributes
    ----------
    spread
        Median and quartiles of the coherence.
    valid
        Share of the pixels of the region's tiles that have a value.
    """

    pair: Pair
    polarisation: str
    spread: PairValue
    valid: float


class PairMaps:
    """The pair maps of a region, opened once a track."""

    def __init__(self, maps: Maps) -> None:
        self.maps = maps
        self._cubes = {track: cube.Cube(maps.folder, maps_name(track)) for track in maps.stacks.pairs}

    def shift(self, pair: Pair) -> tuple[float, float, float]:
        """What coregistration removed: dy and dx in pixels, and its quality."""
        group = self._cubes[pair.track].group
        position = self.maps.layer(pair).position
        values = [float(np.asarray(group[f"shift_{name}"])[position]) for name in ("dy", "dx", "quality")]
        return values[0], values[1], values[2]

    def series(self, track: Track, polarisation: str, place: Place) -> list[PairValue]:
        """Coherence and sigma of every pair of a track at one pixel."""
        band = variable_name(polarisation)
        arrays = [self._cubes[track].array(f"{quantity}_{band}") for quantity in ("coherence", "sigma")]
        found = []
        for pair in self.maps.stacks.pairs[track]:
            position = self.maps.layer(pair).position
            value, sigma = (float(np.asarray(array[position, place.row, place.col])) for array in arrays)
            found.append(_value(pair, value, value - sigma, value + sigma))
        return found

    def summary(self, pair: Pair, polarisation: str) -> PairSummary:
        """Median, quartiles and valid share of one pair."""
        opened, position = self._cubes[pair.track], self.maps.layer(pair).position
        counts = np.zeros(round(1 / BIN), dtype=np.int64)
        for tile in spread_out(self.maps.stacks.pair_tiles(pair), TILES):
            values = opened.read_tile(f"coherence_{variable_name(polarisation)}", position, tile)
            counts += count(values)
        low, median, high = quantiles(counts, (0.25, 0.5, 0.75))
        return PairSummary(pair, polarisation, _value(pair, median, low, high), self._valid(pair))

    def _valid(self, pair: Pair) -> float:
        tiles = self.maps.region.tiles
        records = [(tile, self.maps.ledger.get(map_key(pair, tile))) for tile in self.maps.stacks.pair_tiles(pair)]
        valid = sum(record["valid"] * _pixels(tile) for tile, record in records if record)
        return float(valid / sum(_pixels(tile) for tile in tiles))


def _value(pair: Pair, value: float, low: float, high: float) -> PairValue:
    return PairValue(pair.reference_start, pair.secondary_start, pair.days, value, low, high)


def _pixels(tile: Tile) -> int:
    return tile.shape[0] * tile.shape[1]


def spread_out(tiles: list[Tile], most: int) -> list[Tile]:
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


def given_places(maps: Maps) -> list[Place]:
    """The region's own points; those outside its grid are left out."""
    grid = maps.region.grid
    to_grid = grid.affine
    places = []
    for point in maps.region.config.products.points:
        x, y = _to_grid(maps, point.lon, point.lat)
        row, col = int((y - to_grid.f) // to_grid.e), int((x - to_grid.c) // to_grid.a)
        if 0 <= row < grid.shape[0] and 0 <= col < grid.shape[1]:
            places.append(Place(point.name, point.lon, point.lat, row, col))
    return places


def _to_grid(maps: Maps, lon: float, lat: float) -> tuple[float, float]:
    from odc.geo import CRS

    from pipeline.region import crs_of

    x, y = CRS("EPSG:4326").transformer_to_crs(crs_of(maps.region.grid))(lon, lat)
    return float(x), float(y)


def telling_places(mean: MapImage, score: MapImage | None) -> list[Place]:
    """Places chosen automatically: where the mean coherence is highest, middling and lowest, and where it dropped most.

    Taken from decimated maps, so that each stands for its neighbourhood and not for one odd pixel.
    """
    wanted: list[tuple[str, MapImage, float]] = [
        ("Highest mean coherence", mean, 100.0),
        ("Median coherence", mean, 50.0),
        ("Lowest mean coherence", mean, 0.0),
    ]
    if score is not None:
        wanted.insert(0, ("Largest drop", score, 100.0))
    places = []
    for name, image, share in wanted:
        if not image.is_empty:
            target = np.abs(image.values - image.percentile(share))
            row, col = np.unravel_index(int(np.nanargmin(target)), target.shape)
            middle = float(row) + 0.5, float(col) + 0.5
            lon, lat = image.place(*middle)
            places.append(
                Place(name, lon, lat, int(middle[0] * image.step), int(middle[1] * image.step), "chosen automatically")
            )
    return places
