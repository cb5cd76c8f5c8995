"""Memory of a whole run on a region and on one ten times as large: ``python -m tests.benchmarks.memory``.

Each stage is a command in a process of its own, as a user gives it, with one worker, on GeoTIFFs of simulated speckle
and with a windowed estimator unless another is named. From outside, the most memory that each process of the
command ever held (``VmHWM`` of Linux, which unlike ``ru_maxrss`` begins anew with each program) is asked for five times
a second.
"""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
import rasterio
from rich.console import Console

from models.evaluate.tables import Table
from pipeline.config import parse
from pipeline.region import Region, read_area
from tests.benchmarks.processes import members

STAGES = ("export", "infer", "mosaic", "change", "report")
TILE = 256
PASSES = 6
FIRST = dt.datetime(2023, 1, 1, 5, 30, tzinfo=dt.UTC)
"""Of the passes, twelve days apart; the event falls between the fourth and the fifth."""
GROUND = 1024
"""Side of the square of ground that is repeated over a region, for speed."""
REGION = """
name = "{name}"
[area]
bbox = [{west}, {south}, {east}, {north}]
[grid]
crs = "EPSG:32632"
tile = {tile}
[source]
kind = "archive"
path = "{name}-images"
layout = "pattern"
pattern = '(?P<date>\\d{{8}})_(?P<polarisation>vv)\\.tif'
units = "linear"
relative_orbit = 15
direction = "ascending"
platform = "S1A"
[passes]
polarisations = ["VV"]
[pairs]
mode = "chain"
[estimator]
name = "{estimator}"
[change]
event = 2023-02-10
"""


def region_file(folder: Path, rows: int, cols: int, estimator: str) -> Path:
    """A region about so many tiles high and wide, with its images."""
    south, west = 48.0, 9.0
    metres = TILE * 10.0
    north, east = south + rows * metres / 111_200 * 0.94, west + cols * metres / 74_600 * 0.94
    path = folder / f"r{rows}x{cols}.toml"
    box = {"west": west, "south": south, "east": round(east, 5), "north": round(north, 5)}
    path.write_text(REGION.format(name=path.stem, tile=TILE, estimator=estimator, **box))
    write_images(region_of(path), folder / f"{path.stem}-images")
    return path


def write_images(region: Region, folder: Path) -> None:
    """One GeoTIFF a pass on the region's grid: the same ground under other speckle."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    ground = np.exp(rng.normal(-2.5, 0.7, (GROUND // 16, GROUND // 16)).repeat(16, 0).repeat(16, 1))
    height, width = region.grid.shape
    for number in range(PASSES):
        day = FIRST + dt.timedelta(days=12 * number)
        image = (ground * rng.gamma(4.4, 1 / 4.4, ground.shape)).astype(np.float32)
        profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": "float32", "tiled": True}
        profile |= {"crs": str(region.grid.crs), "transform": region.grid.affine, "nodata": np.nan}
        with rasterio.open(folder / f"{day:%Y%m%d}_vv.tif", "w", **profile) as dataset:
            for row in range(0, height, GROUND):
                strip = np.tile(image, (1, -(-width // GROUND)))[: height - row, :width]
                dataset.write(strip, 1, window=((row, row + len(strip)), (0, width)))


def region_of(path: Path) -> Region:
    """The region that a file describes."""
    config = parse(tomllib.loads(path.read_text()), "the benchmark")
    return Region(config, read_area(config.area, path.parent))


def peaks(command: list[str]) -> dict[str, float]:
    """MiB that the command's own process, and the largest of its workers, held at most."""
    found = {"client": 0.0, "worker": 0.0}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            while process.poll() is None:
                for member in members(process.pid):
                    role = "client" if member == process.pid else "worker"
                    found[role] = max(found[role], highest(member))
                time.sleep(0.2)
        finally:
            process.terminate()  # Ctrl-C doesn't reach a session of its own; nothing where it has ended
        said = process.stderr.read() if process.stderr else ""
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {said}")
    return found


def highest(process: int) -> float:
    """MiB that a process has ever held at once; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, nargs=2, default=(9, 11), help="rows and columns of tiles of one region")
    parser.add_argument("--large", type=int, nargs=2, default=(30, 34), help="rows and columns of tiles of the other")
    parser.add_argument("--estimator", default="log-correlation")
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES, help="stages shown")
    arguments = parser.parse_args()
    seen: list[dict[str, dict[str, float]]] = []
    sizes = []
    with tempfile.TemporaryDirectory() as name:
        for rows, cols in (arguments.small, arguments.large):
            region = region_file(Path(name), rows, cols, arguments.estimator)
            sizes.append(len(region_of(region).tiles))
            output = Path(name) / region.stem
            seen.append({})
            for stage in STAGES[: 1 + max(STAGES.index(stage) for stage in arguments.stages)]:
                workers = [] if stage in {"export", "report"} else ["--workers", "1"]
                given = [str(region), "--output", str(output), "--quiet", *workers]
                command = [sys.executable, "-m", "pipeline.cli", stage, *given]
                seen[-1][stage] = peaks(command)
                print(sizes[-1], "tiles,", stage, seen[-1][stage], file=sys.stderr, flush=True)
    rows_of = []
    for stage in arguments.stages:
        for role in ("client", "worker"):
            small, large = (each[stage][role] for each in seen)
            if small and large:
                rows_of.append((stage, role, f"{small:.0f}", f"{large:.0f}", f"{large / small:.2f}"))
    headings = ("stage", "process", f"{sizes[0]} tiles, MiB", f"{sizes[1]} tiles, MiB", "ratio")
    Console().print(Table("Peak memory of each stage", headings, tuple(rows_of)).to_rich())


if __name__ == "__main__":
    main()
