"""A survey to plan on: three years of passes over 100 x 100 km, none of which holds a pixel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pyproj import Transformer
from shapely.geometry import Polygon

from pipeline import config
from pipeline.region import Region
from tests.earthengine.images import Band, Image, PixelGrid, Pixels, Precision, sentinel1
from tests.earthengine.scenes import CRS
from tests.earthengine.world import S1

FIRST = dt.datetime(2016, 1, 3, 1, 59, 4, tzinfo=dt.UTC)
LAST_DAY = dt.date(2018, 12, 31)


def on_map(west: float, south: float, east: float, north: float) -> Polygon:
    """A rectangle of UTM zone 11, in kilometres, as longitudes and latitudes of its four corners."""
    corners = [(west, south), (east, south), (east, north), (west, north)]
    to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    return Polygon([to_degrees.transform(1000 * x, 1000 * y) for x, y in corners])


# 100 x 100 km inside 26 x 26 tiles of 4 km, two kilometres from the outermost edges.
AREA = on_map(450, 3850, 550, 3950)
TILE = 400


def region(**source: object) -> Region:
    """The area in tiles of 4 km, VV and VH, at 10 m."""
    made = config.parse(
        {
            "name": "survey",
            "area": {"bbox": list(AREA.bounds)},
            "grid": {"crs": CRS, "tile": TILE},
            "source": {"kind": "earthengine", **source},
            "passes": {"start": FIRST.date(), "end": LAST_DAY, "polarisations": ["VV", "VH"]},
            "estimator": {"name": "log-correlation"},
        },
        where="test",
    )
    return Region(made, AREA)


@dataclass(frozen=True)
class Unread:
    """A band that must not be read."""

    precision: Precision = "float"
    native: PixelGrid | None = None

    def read(self, grid: PixelGrid) -> Pixels:
        raise AssertionError(f"a pixel was asked for: {grid}")

    def resampled(self, mode: str) -> Band:
        raise AssertionError(f"a pixel was asked for, by {mode}")


@dataclass(frozen=True)
class Orbit:
    """Passes of one track, every so many days.

    Attributes
    ----------
    slices
        Outlines on the map, in kilometres, of what each pass is cut into.
    """

    relative: int
    slices: tuple[tuple[float, float, float, float], ...]
    every: int = 6
    offset: int = 0
    direction: str = "ASCENDING"

    def images(self) -> Iterator[Image]:
        """Every slice as an image without pixels."""
        outlines = [on_map(*edges) for edges in self.slices]
        bands: dict[str, Band] = {"VV": Unread(), "VH": Unread(), "angle": Unread()}
        day = FIRST + dt.timedelta(days=self.offset)
        take = 0
        while day.date() <= LAST_DAY:
            take += 1
            for number, outline in enumerate(outlines):
                start = day + dt.timedelta(seconds=25 * number)
                name = f"{S1}/T{self.relative:03d}_{start:%Y%m%dT%H%M%S}"
                made = sentinel1(
                    name, bands, start, direction=self.direction, relative_orbit=self.relative, data_take=take
                )
                yield replace(made, footprint=outline)
            day += dt.timedelta(days=self.every)
