"""What scale costs beside the estimates: ``python -m tests.benchmarks.scale [overhead] [region] [workers] [cog]``.

- overhead: dummy tiles through the pool, per worker.
- region: the real `infer` over a region of 10,000 and of 100,000 tiles of 256 px whose images are never read: workers
  answer at once. Memory of client and scheduler (one process), time per tile, and the time to find all of it done.
- workers: dummy tiles of 0.1 CPU-seconds, and blocks of 1024 px estimated by the default network from images in memory,
  on one worker and on two, in turns.
- cog: products beside GDAL's own COG driver on the same pixels.

Without arguments all of it, some ten minutes on two free cores. Load of the machine is printed: read the figures by it.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin
from rich.console import Console

from models import registry
from models.estimator import Estimator, FloatArray
from models.evaluate.tables import Table
from pipeline import compute, cube, infer
from pipeline.compute import Pool
from pipeline.config import parse
from pipeline.export import STAGE, TRACKS, ensure_stack, unit_key
from pipeline.infer_blocks import BlockTask, TileDone, estimate_block
from pipeline.passes import group
from pipeline.products import BLOCK, Band, Product, write_cog
from pipeline.progress import Silent
from pipeline.region import Region, Tile, read_area
from pipeline.sources import Query
from pipeline.storage import Folder
from tests.fakes import SpeckleSource

SIDE = {10_000: 100, 100_000: 317}
"""Tiles along each side of a region of so many tiles."""


def region_of(tiles: int) -> Region:
    """A square region in the middle of Europe, in tiles of 256 pixels of 10 m."""
    metres = SIDE[tiles] * 2560.0
    half_lat, half_lon = metres / 2 / 111_200, metres / 2 / 111_200 / np.cos(np.radians(48.0))
    settings = {
        "name": "large",
        "area": {"bbox": [10.0 - half_lon, 48.0 - half_lat, 10.0 + half_lon, 48.0 + half_lat]},
        "grid": {"crs": "EPSG:3035", "tile": 256},
        "source": {"kind": "simulated"},
        "passes": {"polarisations": ["VV"]},
        "pairs": {"mode": "chain"},
        "estimator": {"coregister": False},
    }
    config = parse(settings, "the benchmark")
    return Region(config, read_area(config.area, Path()))


def pretend_export(region: Region, folder: Folder) -> None:
    """Two passes as `export` leaves them, but for the pixels."""
    passes = tuple(group(SpeckleSource(region, days=(0, 12)).search(Query(region.area, None, None, ("VV",)))))
    track = passes[0].track
    ensure_stack(region, folder, track, passes)
    folder.write_json(TRACKS, [{"direction": track.direction, "relative_orbit": track.relative_orbit}])
    lines = (
        json.dumps({"key": unit_key(track, item.id, tile), "fingerprint": "0" * 24, "checksum": "1" * 24, "valid": 1.0})
        for item in passes
        for tile in region.tiles
    )
    folder.write_bytes(f"ledger/{STAGE}.jsonl", "\n".join(lines).encode())


class Answering(Pool):
    """A pool whose workers answer at once instead of estimating."""

    def run(
        self, function: Callable[[Any], Any], tasks: Iterable[Any], together: int = compute.MOST_TOGETHER
    ) -> Iterator[tuple[Any, Any]]:
        """The real pool, another function."""
        assert function is estimate_block
        yield from super().run(answer, tasks, together)


def answer(task: BlockTask) -> list[TileDone]:
    """What a worker says of a block."""
    return [
        TileDone(each.key, each.fingerprint, "2" * 24, 1.0, (0.01, -0.01, 0.5))
        for pair in task.pairs
        for each in pair.tiles
    ]


def pretend_chunks(region: Region, folder: Folder) -> None:
    """The pair's chunks, as links to a few files: a file system limits the names of one."""
    assert folder.local is not None
    (name,) = [f"pairs/{name}" for name in folder.names("pairs")]
    maps, source, links = cube.Cube(folder, name), folder.local / "chunk-0", 0
    source.write_bytes(b"chunk")
    for variable in infer.map_variables(("VV",)):
        for tile in region.tiles:
            path = folder.local / maps.chunk_name(variable, 0, tile)
            path.parent.mkdir(parents=True, exist_ok=True)
            if links % 20_000 == 0:
                source = folder.local / f"chunk-{links}"
                source.write_bytes(b"chunk")
            path.hardlink_to(source)
            links += 1


def one_infer(folder: str, tiles: int, workers: int) -> dict[str, float]:
    """`infer` in this process, which is to do nothing else."""
    region = region_of(tiles)
    wall, cpu = time.perf_counter(), time.process_time()
    with Answering(workers) as pool:
        outcome = infer.infer(region, Folder(folder), pool, Silent(), "cpu")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"tiles": outcome.total, "resumed": outcome.resumed, "wall": wall, "cpu": cpu, "memory": memory}


def region_cost(workers: int = 2) -> Table:
    """Two sizes of region, each done and then found done, each time in a process of its own."""
    rows = []
    for tiles in SIDE:
        with tempfile.TemporaryDirectory() as name:
            region, folder = region_of(tiles), Folder(name)
            pretend_export(region, folder)
            for what in ("done", "found done"):
                command = [sys.executable, "-m", "tests.benchmarks.scale", "one", name, str(tiles), str(workers)]
                told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                if what == "done":
                    pretend_chunks(region, folder)
                elif told["resumed"] != told["tiles"]:
                    raise RuntimeError("tiles that are done were not found")
                each = f"{1e3 * told['wall'] / told['tiles']:.2f}"
                figures = (f"{told['wall']:.1f}", f"{told['cpu']:.1f}", each, f"{told['memory']:.0f}")
                rows.append((f"{told['tiles']:.0f}", what, *figures))
    title = f"The infer stage of a large region, {workers} workers that answer at once"
    return Table(title, ("tiles", "", "wall s", "CPU s", "wall ms a tile", "memory MiB"), tuple(rows))


def nothing(tile: Tile) -> str:
    """What a worker does with a dummy tile."""
    return tile.key


def overhead(count: int = 20_000) -> Table:
    """Dummy tiles through the pool, in batches as it makes them, and each by itself."""
    rows = []
    tiles = [Tile(number // 1000, number % 1000, 512, (512_000, 512_000)) for number in range(count)]
    for workers in (1, 2, 4):
        for together in (compute.MOST_TOGETHER, 1):
            given = tiles if together > 1 else tiles[: count // 10]
            with Pool(workers) as pool:
                list(pool.run(nothing, tiles[: 16 * workers]))  # starts the workers
                wall, cpu = time.perf_counter(), time.process_time()
                done = sum(1 for _ in pool.run(nothing, given, together))
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            each = (1e3 * wall / done, 1e3 * wall * workers / done, 1e3 * cpu / done)
            rows.append((str(workers), "yes" if together > 1 else "no", *(f"{figure:.3f}" for figure in each)))
    headings = ("workers", "batches", "wall ms a tile", "ms a tile per worker", "client and scheduler, CPU ms a tile")
    return Table(f"{count} dummy tiles through the pool", headings, tuple(rows))


def heavy(seconds: float) -> float:
    """Compute for so many CPU-seconds."""
    matrix, end = np.ones((64, 64)), time.thread_time() + seconds
    while time.thread_time() < end:
        matrix = matrix @ matrix / 64
    return float(matrix[0, 0])


@lru_cache(maxsize=1)
def ready(side: int) -> tuple[Estimator, list[FloatArray]]:
    """The default estimator and a pair of images with its halo, of this process."""
    estimator, rng = registry.get(device="cpu"), np.random.default_rng(1)
    outer = side + 2 * estimator.halo
    return estimator, [rng.gamma(4.4, 1 / 4.4, (outer, outer)).astype(np.float32) for _ in range(2)]


def estimated(side: int) -> float:
    """One pair of this size, estimated; the mean coherence."""
    estimator, images = ready(side)
    return float(estimator.estimate(images[0], images[1], margin=estimator.halo)[0].mean())


def two_against_one(rounds: int = 3) -> Table:
    """Tasks on one worker and on two, in turns; the machine is the same for both."""
    kinds: dict[str, tuple[Callable[[Any], float], list[Any]]] = {
        "200 dummies of 0.1 CPU-seconds": (heavy, [0.1] * 200),
        "48 estimates of 1024 px": (estimated, [1024] * 48),
    }
    rows: list[tuple[str, ...]] = []
    ratios: dict[str, list[float]] = {name: [] for name in kinds}
    for name, (function, tasks) in kinds.items():
        for _ in range(rounds):
            walls = []
            for workers in (1, 2):
                with Pool(workers) as pool:  # one at a time: another's processes do a little even when they wait
                    list(pool.run(function, tasks[:8]))  # starts the workers, and loads what they need
                    begin = time.perf_counter()
                    list(pool.run(function, tasks))
                    walls.append(time.perf_counter() - begin)
            ratios[name].append(walls[0] / walls[1])
            rows.append((name, *(f"{wall:.1f}" for wall in walls), f"{ratios[name][-1]:.2f}"))
    medians = ", ".join(f"{name}: {statistics.median(each):.2f}" for name, each in ratios.items())
    title = f"Two workers against one, median ratios: {medians}"
    return Table(title, ("tasks", "one worker, wall s", "two workers, wall s", "ratio"), tuple(rows))


def cog(side: int = 4096, rounds: int = 3) -> Table:
    """Our products, and GDAL's COG driver given the same pixels as an uncompressed GeoTIFF."""
    rng = np.random.default_rng(1)
    coarse = rng.random((2, side // 16, side // 16), dtype=np.float32)
    pixels = np.kron(coarse, np.ones((1, 16, 16), np.float32)) * 0.9 + 0.1 * rng.random((2, side, side), np.float32)
    region = region_of(10_000)
    grid = region.grid[:side, :side]
    tiles = [Tile(row, col, 512, (side, side)) for row in range(side // 512) for col in range(side // 512)]
    bands = (Band("coherence", "coherence"), Band("sigma", "its standard deviation"))
    product = Product("p", "coherence", "p.tif", "a product", bands, "", "VV", "", "", 12, (), "")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        plain, beside = Path(name) / "plain.tif", Path(name) / "gdal.tif"
        profile = {"width": side, "height": side, "count": 2, "dtype": "float32", "crs": "EPSG:3035", "nodata": np.nan}
        with rasterio.open(plain, "w", driver="GTiff", transform=from_origin(0, 0, 10, 10), **profile) as dataset:
            dataset.write(pixels)
        for _ in range(rounds):
            begin = time.process_time()
            write_cog(Folder(name), product, grid, ((tile, pixels[:, tile.rows, tile.cols]) for tile in tiles))
            ours, begin = time.process_time() - begin, time.process_time()
            settings = {"compress": "deflate", "predictor": "floating_point", "blocksize": BLOCK}
            rasterio.shutil.copy(plain, beside, driver="COG", overview_resampling="average", **settings)
            theirs = time.process_time() - begin
            sizes = [path.stat().st_size / 1e6 for path in (Path(name) / "p.tif", beside)]
            rows.append((f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}", *(f"{size:.1f}" for size in sizes)))
    headings = ("cohmap, CPU s", "GDAL alone, CPU s", "ratio", "cohmap, MB", "GDAL, MB")
    return Table(f"A COG of {side} x {side} px, two bands, GDAL {rasterio.__gdal_version__}", headings, tuple(rows))


PARTS = {"overhead": overhead, "region": region_cost, "workers": two_against_one, "cog": cog}


def main() -> None:
    """Measure and print."""
    wanted = sys.argv[1:]
    if wanted[:1] == ["one"]:
        print(json.dumps(one_infer(wanted[1], int(wanted[2]), int(wanted[3]))))
        return
    for name in wanted or PARTS:
        before = os.getloadavg()[0]
        table = PARTS[name]()
        Console().print(table.to_rich(), f"load of the machine: {before:.1f} before, {os.getloadavg()[0]:.1f} after\n")


if __name__ == "__main__":
    main()
