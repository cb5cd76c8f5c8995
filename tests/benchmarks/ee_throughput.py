"""How fast pixels come from Earth Engine: ``python -m tests.benchmarks.ee_throughput [--requests 16]``.

The real client against the stand-in, which runs in a process of its own, takes 300 ms for every request, and has each
answer ready, encoded. Three readers take the same passes of the same tiles: `cohmap export` with its stack and its
ledger on disk; Xee, into memory, with as many threads; and a plain loop that asks for one image of one tile after the
other and writes it to a file, as `geemap.ee_export_image` would, which asks for an address first besides. With n
requests at once and b bytes in each, n / 0.3 s * b is the most there can be.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ee
import numpy as np
import numpy.typing as npt
import xarray as xr
from google.oauth2.credentials import Credentials
from odc.geo.geobox import GeoBox
from rich.console import Console
from rich.table import Table

from pipeline import config
from pipeline.cube import Cube
from pipeline.export import export, stack_name
from pipeline.plan import Plan, make_plan
from pipeline.progress import Silent
from pipeline.region import Region, crs_of
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_requests import grid_of
from pipeline.storage import Folder
from tests.earthengine.apart import Apart, serve_apart
from tests.earthengine.images import PixelGrid
from tests.earthengine.scenes import CRS, START, image
from tests.earthengine.survey import on_map
from tests.earthengine.world import S1, World

BANDS = ("VV", "VH")
LATENCY = 0.3
# A corner of the lattice of tiles, in kilometres, whatever the tile's size in pixels of 10 m.
WEST, NORTH = 389.12, 3891.2


Pixels = npt.NDArray[np.float32]
Read = Callable[[], Callable[[], Pixels]]
"""Reads against the clock; what it returns gives the pixels, which may lie on disk."""


@dataclass(frozen=True)
class Work:
    """What is read: passes of a square of tiles."""

    tiles: int
    tile: int
    passes: int

    @property
    def region(self) -> Region:
        """The square, a little less than its tiles, so that no other tile touches it."""
        side = self.tiles * self.tile / 100
        area = on_map(WEST + 0.2, NORTH - side + 0.2, WEST + side - 0.2, NORTH - 0.2)
        settings = {
            "name": "throughput",
            "area": {"bbox": list(area.bounds)},
            "grid": {"crs": CRS, "tile": self.tile},
            "source": {"kind": "earthengine"},
            "passes": {"polarisations": list(BANDS)},
            "pairs": {"mode": "chain"},
            "estimator": {"name": "log-correlation"},
        }
        return Region(config.parse(settings, where="benchmark"), area)

    @property
    def names(self) -> list[str]:
        """The passes' images."""
        return [f"P{number}" for number in range(self.passes)]


def make_world(work: Work) -> World:
    """Speckle on the region's own grid."""
    grid = work.region.grid
    pixels = PixelGrid(CRS, grid.affine, grid.shape.x, grid.shape.y)
    world = World()
    days = enumerate(work.names)
    world.add([image(name, START + dt.timedelta(days=12 * n), pixels, BANDS, data_take=n) for n, name in days])
    return world


@dataclass(frozen=True)
class Timing:
    """What one reader did.

    Attributes
    ----------
    pixels
        The stack, shape (bands, passes, height, width).
    size
        Bytes of power read.
    at_once
        Most requests under way.
    """

    seconds: float
    cpu: float
    requests: int
    at_once: int
    pixels: Pixels

    @property
    def size(self) -> int:
        """Bytes of power read."""
        return self.pixels.nbytes

    @property
    def rate(self) -> float:
        """Megabytes a second."""
        return self.size / self.seconds / 1e6


def timed(server: Apart, read: Read, latency: float = LATENCY) -> Timing:
    server.take(latency)
    start, cpu = time.monotonic(), time.process_time()
    pixels = read()
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    count = server.count()
    return Timing(seconds, cpu, count.requests, count.most_under_way, pixels())


class Readers:
    """Three ways to the same pixels."""

    def __init__(self, work: Work, server: Apart, requests: int, folder: Path) -> None:
        self._server, self._requests, self._folder = server, requests, folder
        self._work, self._region, self._runs = work, work.region, 0
        self._source = self._new_source()
        self._plan: Plan = make_plan(self._region, self._source)

    def _new_source(self) -> EarthEngineSource:
        settings = config.EarthEngineSource.model_validate(
            {
                "kind": "earthengine",
                "url": self._server.url,
                "project": self._server.project,
                "requests": self._requests,
            }
        )
        return EarthEngineSource(settings, credentials=Credentials(self._server.token))

    def cohmap(self) -> Callable[[], Pixels]:
        """The export stage as a run has it, into a stack on disk."""
        self._runs += 1
        output = Folder(str(self._folder / f"run{self._runs}"))
        export(self._plan, self._source, output, Silent())
        (track,) = self._plan.passes
        stack = Cube(output, stack_name(track))
        return lambda: np.stack([np.asarray(stack.array(band.lower())[:], dtype=np.float32) for band in BANDS])

    def xee(self) -> Callable[[], Pixels]:
        """Xee, told to use as many threads and the same tiles and passes a request."""
        grid, work = self._region.grid, self._work
        images = ee.ImageCollection([ee.Image(f"{S1}/{name}").select(list(BANDS)) for name in work.names])
        dataset = xr.open_dataset(
            images,
            engine="ee",
            crs=CRS,
            crs_transform=tuple(grid.affine)[:6],
            shape_2d=(grid.shape.x, grid.shape.y),
            io_chunks={"index": work.passes, "width": work.tile, "height": work.tile},
            executor_kwargs={"max_workers": self._requests},
        )
        found = [dataset[band].transpose("time", "y", "x").to_numpy() for band in BANDS]
        return lambda: np.stack(found).astype(np.float32)

    def loop(self, rows: int) -> Callable[[], Pixels]:
        """One image of one tile after the other, on the first rows of tiles."""
        tile, grid = self._work.tile, self._region.grid
        found = np.full((len(BANDS), self._work.passes, rows * tile, grid.shape.x), np.nan, dtype=np.float32)
        for number, name in enumerate(self._work.names):
            for row in range(rows):
                for col in range(self._work.tiles):
                    window = grid[row * tile : (row + 1) * tile, col * tile : (col + 1) * tile]
                    answer = self._ask(name, window)
                    np.save(self._folder / f"{name}_{row}_{col}.npy", answer)
                    for band, layer in zip(BANDS, found, strict=True):
                        layer[number, row * tile : (row + 1) * tile, col * tile : (col + 1) * tile] = answer[band]
        return lambda: found

    def _ask(self, name: str, window: GeoBox) -> Any:
        assert crs_of(window)
        asked = {"expression": ee.Image(f"{S1}/{name}").select(list(BANDS)), "grid": grid_of(window)}
        return ee.data.computePixels({**asked, "fileFormat": "NUMPY_NDARRAY"})


def measure(work: Work, requests: int, rows: int, repeats: int) -> dict[str, list[Timing]]:
    """Every reader once with no latency, which makes the answers ready, then `repeats` times against the clock."""
    with serve_apart(make_world, work) as server, tempfile.TemporaryDirectory() as folder:
        readers = Readers(work, server, requests, Path(folder))
        ways = {"cohmap": readers.cohmap, "Xee": readers.xee, "plain loop": lambda: readers.loop(rows)}
        found: dict[str, list[Timing]] = {name: [] for name in ways}
        for read in ways.values():
            timed(server, read, latency=0.0)
        for _ in range(repeats):  # in turns, so that other work on the machine strikes all alike
            for name, read in ways.items():
                found[name].append(timed(server, read))
        ee.Reset()
    truth = found["cohmap"][0].pixels
    for timing in (timing for each in found.values() for timing in each):
        height = timing.pixels.shape[2]
        assert timing.pixels.tobytes() == np.ascontiguousarray(truth[:, :, :height]).tobytes(), "the pixels differ"
    return found


def show(found: dict[str, list[Timing]], work: Work, requests: int) -> Table:
    """A table with the median run of each reader."""
    each = work.tile**2 * len(BANDS) * work.passes * 4
    most = requests / LATENCY * each / 1e6
    title = f"{work.tiles**2} tiles of {work.tile} px, {work.passes} passes, VV and VH; {requests} requests at once"
    table = Table(title=f"{title}: {most:.2f} MB/s at most")
    for column in ("reader", "requests", "at once", "MB", "seconds", "CPU s", "MB/s", "of the most", "cohmap's ratio"):
        table.add_column(column, justify="right")
    ours = middle(found["cohmap"]).rate
    for name, timings in found.items():
        run = middle(timings)
        row = (run.requests, run.at_once, f"{run.size / 1e6:.1f}", f"{run.seconds:.2f}", f"{run.cpu:.2f}")
        shares = [timing.rate / most for timing in timings]
        spread = f"{run.rate / most:.0%} ({min(shares):.0%} to {max(shares):.0%})"
        table.add_row(name, *map(str, row), f"{run.rate:.2f}", spread, f"{ours / run.rate:.1f}")
    return table


def middle(timings: list[Timing]) -> Timing:
    """The median run."""
    return sorted(timings, key=lambda timing: timing.rate)[len(timings) // 2]


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=8, help="at once")
    parser.add_argument("--tiles", type=int, default=16, help="a side of the square")
    parser.add_argument("--tile", type=int, default=128, help="pixels a side")
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--rows", type=int, default=2, help="of tiles that the plain loop reads")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    ee.deprecation._FetchDataCatalogStac = dict  # it asks a Google server for deprecated assets at every start
    work = Work(arguments.tiles, arguments.tile, arguments.passes)
    assert math.isqrt(len(work.region.tiles)) == work.tiles
    found = measure(work, arguments.requests, arguments.rows, arguments.repeats)
    Console(width=160).print(show(found, work, arguments.requests))


if __name__ == "__main__":
    main()
