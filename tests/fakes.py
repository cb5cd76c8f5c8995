"""Small stand-ins with the real interfaces: a source of speckle in memory, and regions to run on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from shapely.geometry import box

from models.estimator import within
from pipeline.config import parse
from pipeline.errors import CohmapError
from pipeline.passes import Pass, Slice, Track
from pipeline.region import Region, crs_of, read_area, to_crs
from pipeline.sources import FloatArray, Query

TRACK = Track("ascending", 15)
FIRST = dt.datetime(2023, 1, 4, 17, 14, 12, tzinfo=dt.UTC)


def make_region(**tables: Any) -> Region:
    """A region of 128 x 128 pixels of 10 m in four tiles, with the given tables changed."""
    settings: dict[str, Any] = {
        "name": "small",
        "area": {"bbox": [11.0505, 48.0020, 11.0640, 48.0105]},
        "grid": {"crs": "EPSG:32632", "tile": 64},
        "source": {"kind": "simulated"},
        "passes": {"polarisations": ["VV"]},
        "pairs": {"mode": "chain"},
        "estimator": {"name": "log-correlation"},
    }
    config = parse(settings | tables, where="test")
    return Region(config, read_area(config.area, Path()))


@dataclass
class SpeckleSource:
    """Speckle that keeps a fixed share from pass to pass: pixels depend only on their place, pass and band.

    Attributes
    ----------
    days
        Days of the passes after the first; in any order.
    empty
        Tile-sized windows (left edge, top edge in map units) that hold no data.
    """

    region: Region
    days: Sequence[int] = (0, 12, 24, 36)
    empty: set[tuple[float, float]] = field(default_factory=set)
    track: Track = TRACK
    name: str = "speckle"
    requests: int = 2
    reads: list[str] = field(default_factory=list)
    fails_after: int | None = None

    def search(self, query: Query) -> list[Slice]:
        """One slice a pass."""
        west, south, east, north = self.region.area.bounds
        slices = [
            Slice(
                id=f"scene-{day:03d}",
                order="1",
                platform="S1A",
                start=FIRST + dt.timedelta(days=day),
                track=self.track,
                hrefs=dict.fromkeys(("VV", "VH"), "memory"),
                footprint=box(west - 1, south - 1, east + 1, north + 1),
            )
            for day in self.days
        ]
        return [piece for piece in slices if query.covers(piece.start)]

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> FloatArray:
        """Half of the speckle's field is the same in every pass."""
        self.reads.append(item.id)
        if self.fails_after is not None and len(self.reads) > self.fails_after:
            raise CohmapError("the network is gone; try again later")
        left, top = window.affine.c, window.affine.f
        if (left, top) in self.empty:
            return np.full((len(bands), *window.shape), np.nan, np.float32)
        height, width = self.region.grid.shape
        origin = self.region.grid.affine
        row, col = round((origin.f - top) / 10), round((left - origin.c) / 10)
        images = []
        for band in bands:
            shared = _field((height, width), f"{band}-shared")
            own = _field((height, width), f"{band}-{item.id}")
            power = np.abs(0.8 * shared + 0.6 * own) ** 2
            images.append(0.1 * power.mean(axis=0)[row : row + window.shape[0], col : col + window.shape[1]])
        return np.stack(images).astype(np.float32)


def _field(shape: tuple[int, int], name: str) -> Any:
    rng = np.random.default_rng(list(name.encode()))
    return rng.standard_normal((4, *shape)) + 1j * rng.standard_normal((4, *shape))


class Listener:
    """Remembers what stages told of their progress."""

    def __init__(self) -> None:
        self.stages: dict[str, tuple[int, int]] = {}
        self.units = 0
        self.notes: list[str] = []

    def start(self, stage: str, total: int, resumed: int) -> None:
        """Remember the stage's totals."""
        self.stages[stage] = (total, resumed)

    def advance(self, units: int = 1) -> None:
        """Count."""
        self.units += units

    def note(self, sentence: str) -> None:
        """Keep the sentence."""
        self.notes.append(sentence)


def area_in_metres(region: Region) -> tuple[float, float, float, float]:
    """Bounds of the region's area in its grid's CRS."""
    bounds = to_crs(region.area, crs_of(region.grid)).bounds
    return bounds[0], bounds[1], bounds[2], bounds[3]


class FloorEstimator:
    """Reads a quarter whatever it is shown."""

    name, version, halo, spacing, context = "quarter", "1", 0, 10.0, 0
    runtime = "torch"

    def estimate(
        self, reference: FloatArray, secondary: FloatArray, context: Sequence[FloatArray] = (), *, margin: int = 0
    ) -> tuple[FloatArray, FloatArray]:
        """A quarter, and a tenth for sigma."""
        assert reference.shape == secondary.shape
        assert not context
        kept = within(reference, margin)
        return np.full_like(kept, 0.25), np.full_like(kept, 0.1)
