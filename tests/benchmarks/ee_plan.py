"""How long a large region takes to plan: ``python -m tests.benchmarks.ee_plan [--images 5000]``.

100 x 100 km over three years against the stand-in for Earth Engine on this machine, no pixel asked for: the command
as a user gives it, and its parts. The stand-in's own time to list the images is in it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ee
from google.oauth2.credentials import Credentials
from rich.console import Console
from rich.table import Table

from pipeline import config
from pipeline.coverage import draw_coverage
from pipeline.plan import make_plan
from pipeline.sources.earthengine import EarthEngineSource
from tests.earthengine.server import Server, serve
from tests.earthengine.survey import AREA, FIRST, LAST_DAY, TILE, Orbit, region
from tests.earthengine.world import World

# Outlines of slices on the map in kilometres; overlapping tracks from both sides, a pass a day in some of them.
HALVES = ((400, 3900, 600, 4080), (400, 3720, 600, 3900))
TRACKS = (
    Orbit(64, HALVES, every=1),
    Orbit(137, HALVES, every=2, offset=1),
    Orbit(71, HALVES, every=2, direction="DESCENDING"),
    Orbit(173, HALVES, every=4, direction="DESCENDING", offset=1),
)


def fill(world: World, images: int) -> None:
    """Add so many images, fewer where the tracks have no more."""
    everything = [image for track in TRACKS for image in track.images()]
    step = len(everything) / min(images, len(everything))
    world.add(everything[int(number * step)] for number in range(min(images, len(everything))))


def measure_parts(server: Server) -> list[tuple[str, float]]:
    """Seconds of the search and of what follows, in this process."""
    table = {"kind": "earthengine", "url": server.url, "project": server.world.project}
    settings = config.EarthEngineSource.model_validate(table)
    source = EarthEngineSource(settings, credentials=Credentials(server.world.token))
    marks = [time.perf_counter()]
    plan = make_plan(region(), source)
    marks.append(time.perf_counter())
    plan.to_json()
    marks.append(time.perf_counter())
    draw_coverage(plan)
    marks.append(time.perf_counter())
    names = ("search, passes, pairs, caveats", "tiles and costs", "picture")
    return [(name, after - before) for name, before, after in zip(names, marks, marks[1:], strict=False)]


def measure_command(server: Server, folder: Path) -> tuple[float, dict[str, object]]:
    """Seconds of ``cohmap plan REGION --json`` in a process of its own, and what it said."""
    file = folder / "survey.toml"
    file.write_text(
        f'name = "survey"\n[area]\nbbox = {list(AREA.bounds)}\n[grid]\ntile = {TILE}\n[source]\nkind = "earthengine"\n'
        f'url = "{server.url}"\nproject = "{server.world.project}"\n[estimator]\nname = "log-correlation"\n'
        f'[passes]\nstart = {FIRST.date()}\nend = {LAST_DAY}\npolarisations = ["VV", "VH"]\n'
    )
    command = [sys.executable, "-m", "pipeline.cli", "plan", str(file), "--json", "--output", str(folder / "out")]
    begin = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, "COHMAP_EE_TOKEN": server.world.token}, capture_output=True, check=True
    )
    return time.perf_counter() - begin, json.loads(done.stdout)


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    images = parser.parse_args().images
    ee.deprecation._FetchDataCatalogStac = dict  # asks a Google server at every start
    with serve(World()) as server, tempfile.TemporaryDirectory() as folder:
        fill(server.world, images)
        seconds, told = measure_command(server, Path(folder))
        table = Table("what", "seconds", title=f"{images} images, {told['tiles']} tiles, {told['reads']} reads")
        table.add_row("cohmap plan --json, whole", f"{seconds:.1f}")
        for name, part in measure_parts(server):
            table.add_row(f"  {name}", f"{part:.2f}")
        asked = len(server.world.requests("computePixels"))
    Console().print(table, f"requests for pixels: {asked}")


if __name__ == "__main__":
    main()
