"""Earth Engine that fails one request in five: ``python -m tests.benchmarks.ee_faults [--requests 10000]``.

The real client and the `earthengine` source against the stand-in server, which lets a share of the requests go wrong
(tests/earthengine/faults.py says how). Tiles are tiny and the size limit is scaled down with them, so that a request
holds four passes of one tile. Waits are counted, not waited for.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import ee
import numpy as np
from google.oauth2.credentials import Credentials
from odc.geo.geobox import GeoBox
from rich.console import Console
from shapely.geometry import box

from pipeline import config
from pipeline.errors import CohmapError
from pipeline.passes import Pass, group
from pipeline.sources import Query, ee_requests
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_pace import Patience
from tests.earthengine import pixels
from tests.earthengine.faults import PASSING, SPLITTING, Chance
from tests.earthengine.images import Image
from tests.earthengine.scenes import START, image, native_grid
from tests.earthengine.server import serve
from tests.earthengine.world import S1, World

TILE = 4
PASSES = 4
BAND = "VV"

# Most faults pass by themselves; memory and time run out more rarely, and cost two more requests each time.
WEIGHTS = dict.fromkeys(PASSING, 10.0) | dict.fromkeys(SPLITTING, 2.0)

# Longer than an answer takes on a busy machine, shorter than a body that trickles in.
DEADLINE = 3.0


@dataclass(frozen=True)
class Tally:
    """What came of one run.

    Attributes
    ----------
    reads
        Reads of four passes of a tile: requests where nothing fails.
    requests
        Requests for pixels that arrived at the server.
    faults
        How many of them were made to fail.
    wrong
        Reads that gave up, or gave a wrong pixel.
    hopeless, refused
        Reads of a pass that is gone, and how many refusals the server had to send for them.
    oversize
        Requests above the limits.
    under_way
        Most requests at once.
    waited
        Seconds that would have been waited, over all threads.
    """

    reads: int
    requests: int
    faults: int
    wrong: int
    hopeless: int
    refused: int
    oversize: int
    under_way: int
    waited: float

    @property
    def ratio(self) -> float:
        """Requests beside those of a run without faults."""
        return self.requests / (self.reads + self.hopeless)


@contextmanager
def small_limit() -> Iterator[None]:
    """The size limit of one request, scaled so that four tiny passes fit exactly."""
    before = ee_requests.MOST_BYTES
    ee_requests.MOST_BYTES = pixels.MOST_BYTES = PASSES * TILE * TILE * ee_requests.BYTES_A_VALUE
    try:
        yield
    finally:
        ee_requests.MOST_BYTES = pixels.MOST_BYTES = before


class Waits:
    """A clock that only waits move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


def measure(reads: int, share: float, seed: int, requests: int = 16, hopeless: int = 0, latency: float = 0.01) -> Tally:
    """Read every tile with faults, then a pass that has gone."""
    side = math.ceil(math.sqrt(reads))
    grid = native_grid(width=side * TILE, height=side * TILE)
    scenes = [image(f"P{day}", START + dt.timedelta(days=day), grid, (BAND,), data_take=day) for day in range(PASSES)]
    world, waits = World(), Waits()
    world.add(scenes)
    patience = Patience(attempts=12, garbled=8, deadline=DEADLINE, sleep=waits.sleep, clock=waits.clock)
    with small_limit(), serve(world) as server:
        settings = config.EarthEngineSource.model_validate(
            {"kind": "earthengine", "url": server.url, "project": world.project, "requests": requests}
        )
        source = EarthEngineSource(settings, credentials=Credentials(world.token), patience=patience)
        items = group(source.search(Query(box(-118, 34, -116, 36), None, None, (BAND,))))
        whole = GeoBox((grid.height, grid.width), grid.transform, grid.crs)
        tiles = [divmod(number, side) for number in range(reads)]
        world.chance, world.latency = Chance(seed, share, WEIGHTS), latency

        def right(tile: tuple[int, int]) -> bool:
            return is_right(source, items, scenes, whole, tile)

        with ThreadPoolExecutor(requests) as pool:
            wrong = reads - sum(pool.map(right, tiles))
            faults = world.chance.drawn
            world.chance = Chance(seed, share, dict.fromkeys(PASSING, 1.0))
            world.vanish(f"{S1}/P0")
            in_vain = list(pool.map(lambda tile: fails(source, items[0], whole[place(tile)]), tiles[:hopeless]))
        asked = world.requests("computePixels")
        ee.Reset()
    sizes = [request.body["grid"]["dimensions"] for request in asked]
    oversize = sum("Total request size" in message for message in world.refusals.elements())
    assert all(max(size.values()) <= TILE for size in sizes)
    return Tally(
        reads=reads,
        requests=len(asked),
        faults=(faults + world.chance.drawn).total(),
        wrong=wrong,
        hopeless=sum(in_vain),
        refused=world.refusals.total() - oversize,
        oversize=oversize,
        under_way=world.most_under_way,
        waited=waits.now,
    )


def place(tile: tuple[int, int]) -> tuple[slice, slice]:
    row, col = tile[0] * TILE, tile[1] * TILE
    return slice(row, row + TILE), slice(col, col + TILE)


def is_right(
    source: EarthEngineSource, items: list[Pass], scenes: list[Image], whole: GeoBox, tile: tuple[int, int]
) -> bool:
    """Whether four passes of a tile come out bit for bit."""
    try:
        blocks = source.read_many(items, whole[place(tile)], (BAND,))
    except CohmapError as error:
        Console(stderr=True).print(f"tile {tile}: {error}")
        return False
    truth = [scene.bands[BAND].values[place(tile)].astype(np.float32) for scene in scenes]  # type: ignore[attr-defined]
    return all(block[0].tobytes() == values.tobytes() for block, values in zip(blocks, truth, strict=True))


def fails(source: EarthEngineSource, item: Pass, window: GeoBox) -> bool:
    """Whether a pass that is gone ends with its sentence."""
    try:
        source.read(item, window, (BAND,))
    except CohmapError as error:
        return "no longer on Earth Engine" in str(error)
    return False


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="that a run without faults would take")
    parser.add_argument("--share", type=float, default=0.2, help="of requests that fail")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    ee.deprecation._FetchDataCatalogStac = dict  # it asks a Google server for deprecated assets at every start
    start = time.monotonic()
    tally = measure(arguments.requests, arguments.share, arguments.seed, hopeless=100)
    console = Console()
    console.print(tally)
    console.print(f"{tally.ratio:.3f} x the requests of a run without faults, in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
