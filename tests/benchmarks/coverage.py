"""Ten thousand footprints over a country: ``python -m tests.benchmarks.coverage [--footprints 10000] [--spacing 100]``.

Footprints as Sentinel-1 leaves them (simulated): twelve tracks over the bounding box of Austria, slices of 25 seconds
whose edges wander from pass to pass by the width of the orbital tube and by where the cut between slices falls. Each
stage's wall and processor time, and the most memory that the process took; the maps are written and summed up.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import shapely
from rich.console import Console
from rich.table import Table
from shapely.affinity import translate
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from pipeline.config import parse
from pipeline.coverage.run import coverage
from pipeline.coverage.scenarios import study_scenario
from pipeline.coverage.settings import Scenario
from pipeline.passes import Slice
from pipeline.progress import Silent
from pipeline.region import Region
from pipeline.sources import Query
from pipeline.storage import Folder
from tests.fakes import SpeckleSource

AREA = box(9.5, 46.4, 17.2, 49.0)
START = dt.date(2015, 1, 1)
# Degrees: standard deviation of the track's place across, about 100 m, and length of a slice along.
TUBE, SLICE = 0.0013, 1.53


class Listing(SpeckleSource):
    """A source that has the given footprints."""

    def __init__(self, region: Region, slices: list[Slice]) -> None:
        super().__init__(region)
        self._slices = slices

    def search(self, query: Query) -> list[Slice]:
        """All of them: each meets the area."""
        del query
        return self._slices


def make_slices(number: int) -> list[Slice]:
    """So many slices, in the order of time."""
    rng = np.random.default_rng(1)
    study = study_scenario(Scenario(name="two", satellites=2), AREA, START, 365 * 12)
    found: list[Slice] = []
    overflights = sorted((day, sighting) for sighting in study.sightings for day in sighting.days)
    for day, sighting in overflights:
        start = dt.datetime.combine(START, dt.time(), dt.UTC) + dt.timedelta(days=day)
        strip = translate(sighting.outline, rng.normal(0, TUBE), 0)
        for part in _cut(strip, rng.uniform(0, SLICE)):
            if len(found) == number:
                return found
            name = f"{len(found):06d}"
            found.append(Slice(name, name, "S1A", start, sighting.track, {"VV": ""}, part))
    raise SystemExit(f"only {len(found)} footprints in 12 years")


def _cut(strip: BaseGeometry, offset: float) -> list[BaseGeometry]:
    """The strip in slices along the track, those that meet the area."""
    west, south, east, north = strip.bounds
    edges = np.arange(south - SLICE + offset, north + SLICE, SLICE)
    parts = [strip.intersection(box(west, low, east, high)) for low, high in itertools.pairwise(edges)]
    return [part for part in parts if not part.is_empty and part.intersects(AREA)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--footprints", type=int, default=10_000)
    parser.add_argument("--spacing", type=float, default=100.0)
    given = parser.parse_args()
    config = parse(
        {
            "name": "austria",
            "area": {"bbox": list(AREA.bounds)},
            "source": {"kind": "simulated"},
            "coverage": {"spacing": given.spacing, "scenarios": []},
        },
        where="benchmark",
    )
    region = Region(config, AREA)
    slices = make_slices(given.footprints)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, processor = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        results = coverage(region, Folder(folder), Silent(), lambda: Listing(region, slices))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.tif")) / 2**20
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    row = results.rows[0]
    table = Table(
        "footprints", "passes", "tracks", "pixels of land", "wall s", "CPU s", "peak MiB", "before", "COG MiB"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = (len(slices), results.studies[0].passes, row["tracks"], row["pixels"])
    table.add_row(
        *(f"{count:,}" for count in counts),
        f"{wall:.1f}",
        f"{processor:.1f}",
        f"{peak:.0f}",
        f"{before:.0f}",
        f"{size:.0f}",
    )
    Console(width=140).print(table)
    print(f"{platform.machine()}, Python {platform.python_version()}, shapely {shapely.__version__}")


if __name__ == "__main__":
    main()
