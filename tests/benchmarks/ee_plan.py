"""How long a large region takes to plan: ``python -m tests.benchmarks.ee_plan [--images 5000]``.

100 x 100 km over three years against the stand-in for Earth Engine on this machine, no pixel asked for: the command
as a user gives it, and its parts. Wall time of both, in which the stand-in's listing of the images is; and processor
time, which a busy machine doesn't stretch: the command's without the stand-in, the parts' with it.
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
from pipeline.plan import make_plan
from pipeline.plan_picture import draw_plan
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


def measure_parts(server: Server) -> list[tuple[str, float, float]]:
    """Wall and processor seconds of the search and of what follows, in this process."""
    table = {"kind": "earthengine", "url": server.url, "project": server.world.project}
    settings = config.EarthEngineSource.model_validate(table)
    source = EarthEngineSource(settings, credentials=Credentials(server.world.token))
    marks = [_clocks()]
    plan = make_plan(region(), source)
    marks.append(_clocks())
    plan.to_json()
    marks.append(_clocks())
    draw_plan(plan)
    marks.append(_clocks())
    names = ("search, passes, pairs, caveats", "tiles and costs", "picture")
    parts = zip(names, marks, marks[1:], strict=False)
    return [(name, after[0] - before[0], after[1] - before[1]) for name, before, after in parts]


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def measure_command(server: Server, folder: Path) -> tuple[float, float, dict[str, object]]:
    """Wall and processor seconds of ``cohmap plan REGION --json`` in a process of its own, and what it said."""
    file = folder / "survey.toml"
    file.write_text(
        f'name = "survey"\n[area]\nbbox = {list(AREA.bounds)}\n[grid]\ntile = {TILE}\n[source]\nkind = "earthengine"\n'
        f'url = "{server.url}"\nproject = "{server.world.project}"\n[estimator]\nname = "log-correlation"\n'
        f'[passes]\nstart = {FIRST.date()}\nend = {LAST_DAY}\npolarisations = ["VV", "VH"]\n'
    )
    command = [sys.executable, "-m", "pipeline.cli", "plan", str(file), "--json", "--output", str(folder / "out")]
    begin, before = time.perf_counter(), os.times()
    done = subprocess.run(
        command, env={**os.environ, "COHMAP_EE_TOKEN": server.world.token}, capture_output=True, check=True
    )
    wall, after = time.perf_counter() - begin, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used, json.loads(done.stdout)


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    images = parser.parse_args().images
    ee.deprecation._FetchDataCatalogStac = dict  # asks a Google server at every start
    with serve(World()) as server, tempfile.TemporaryDirectory() as folder:
        fill(server.world, images)
        wall, used, told = measure_command(server, Path(folder))
        table = Table(
            "what", "wall s", "processor s", title=f"{images} images, {told['tiles']} tiles, {told['reads']} reads"
        )
        table.add_row("cohmap plan --json, whole", f"{wall:.1f}", f"{used:.1f}")
        for name, *seconds in measure_parts(server):
            table.add_row(f"  {name}", *(f"{each:.2f}" for each in seconds))
        asked = len(server.world.requests("computePixels"))
    Console().print(table, f"requests for pixels: {asked}")


if __name__ == "__main__":
    main()
