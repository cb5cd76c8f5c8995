"""What a kill costs: ``python -m tests.benchmarks.ee_kills [--kills 50] [--requests 8]``.

`cohmap export` from the stand-in, which takes 300 ms for every request, is killed (SIGKILL) at random moments and given
again, until the last one may end. A kill loses what was asked for and isn't in the ledger. Part of that had no answer
yet: it was under way, and nobody could have kept it. The rest had one, and is what resuming repeats.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import ee
from rich.console import Console
from rich.table import Table

from pipeline import cli
from tests.benchmarks.ee_throughput import BANDS, LATENCY, Work, make_world
from tests.earthengine.scenes import CRS
from tests.earthengine.server import Server, serve
from tests.earthengine.world import Request

# Longest time from the first request to the kill: about as long as the export takes.
LONGEST = 3.0
# One kill in so many comes before the first request: while the process starts, searches, makes the stack.
EARLY = 6


@dataclass(frozen=True)
class Kill:
    """What one kill found, counted in passes of a tile.

    Attributes
    ----------
    lost
        Asked for by this process, not in the ledger.
    under_way
        Of these, asked for and not answered.
    requests
        Requests lost, whole or in part.
    """

    lost: int
    under_way: int
    requests: int


@dataclass(frozen=True)
class Toll:
    """What all kills cost.

    Attributes
    ----------
    passes
        Passes in one request for a tile, where none of them is there.
    exports
        How many exports were killed until they were whole, and all of these were bit-identical to the undisturbed one.
    asked, undisturbed
        Requests for all of these exports, and what they would have taken.
    """

    passes: int
    kills: tuple[Kill, ...]
    exports: int
    identical: int
    asked: int
    undisturbed: int


# Processes are forked from one that has loaded all that an export needs, so that they begin at once.
FORKED = multiprocessing.get_context("forkserver")
LOADED = [
    "pipeline.cli",
    "pipeline.compute",
    "pipeline.estimator",
    "pipeline.export",
    "pipeline.footprints",
    "pipeline.plan",
    "pipeline.sources.earthengine",
    "ee",
    "torch",
    "tests.benchmarks.ee_kills",
]


def _export(options: list[str], token: str) -> None:
    """The command line in this process, which says nothing."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    ee.deprecation._FetchDataCatalogStac = dict  # it asks a Google server for deprecated assets at every start
    os.environ["COHMAP_EE_TOKEN"] = token
    sys.argv = ["cohmap", *options]
    cli.main()


class Exports:
    """Exports of one region in processes of their own."""

    def __init__(self, work: Work, server: Server, requests: int, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._region = folder / "r.toml"
        self._region.write_text(
            f'name = "kills"\n[area]\nbbox = {list(work.region.area.bounds)}\n'
            f'[grid]\ncrs = "{CRS}"\ntile = {work.tile}\n'
            f'[source]\nkind = "earthengine"\nurl = "{server.url}"\nproject = "{server.world.project}"\n'
            f'requests = {requests}\n[passes]\npolarisations = {list(BANDS)}\n[pairs]\nmode = "chain"\n'
            '[estimator]\nname = "log-correlation"\n'
        )

    def begin(self, name: str) -> BaseProcess:
        """Start, or go on with, an export in a process of its own."""
        options = ["export", str(self._region), "--output", str(self._folder / name)]
        process = FORKED.Process(target=_export, args=(options, self._server.world.token))
        process.start()
        return process

    def finish(self, name: str) -> dict[str, bytes]:
        """Let an export end; the pixels' files."""
        process = self.begin(name)
        process.join()
        assert process.exitcode == 0
        assert not list((self._folder / name).rglob("*.partial*"))
        variables = (self._folder / name / "stack").glob("*.zarr/v*")
        return {str(f.relative_to(self._folder / name)): f.read_bytes() for v in variables for f in v.rglob("c/*/*/*")}

    def recorded(self, name: str) -> int:
        """Passes of tiles in the ledger."""
        ledger = self._folder / name / "ledger/export.jsonl"
        return sum(line.endswith(b"}") for line in ledger.read_bytes().split(b"\n")) if ledger.exists() else 0

    def kill(self, name: str, rng: random.Random) -> Kill | None:
        """Kill an export at a random moment; None where it ended before."""
        world = self._server.world
        before, there = len(world.requests("computePixels")), self.recorded(name)
        process = self.begin(name)
        if rng.randrange(EARLY):
            while len(world.requests("computePixels")) == before and process.is_alive():
                time.sleep(0.005)
        process.join(rng.uniform(0, LONGEST))
        process.kill()
        waiting = world.under_way()
        process.join()
        asked = world.requests("computePixels")[before:]
        if process.exitcode != -signal.SIGKILL:
            assert process.exitcode == 0
            return None
        lost = sum(map(passes_in, asked)) - (self.recorded(name) - there)
        return Kill(lost, sum(map(passes_in, waiting)), len(asked))


def passes_in(request: Request) -> int:
    """Passes that a request asks for; none where the kill tore it."""
    return str(request.body).count("ImageCollection.mosaic")


def measure(work: Work, kills: int, requests: int, seed: int, latency: float = LATENCY) -> Toll:
    """Kill exports until there were enough kills, and let each end."""
    rng = random.Random(seed)
    world = make_world(work)
    world.latency, world.answers = latency, {}
    FORKED.set_forkserver_preload(LOADED)
    found: list[Kill] = []
    exports = identical = 0
    with serve(world) as server, tempfile.TemporaryDirectory() as folder:
        runs = Exports(work, server, requests, Path(folder))
        whole = runs.finish("unbroken")
        assert len(whole) == work.tiles**2 * work.passes * len(BANDS)
        undisturbed = len(world.requests("computePixels"))
        while len(found) < kills:
            exports += 1
            while len(found) < kills and (toll := runs.kill(f"out{exports}", rng)):
                found.append(toll)
                Console(stderr=True).print(f"kill {len(found)} of {kills}: {toll}")
            identical += runs.finish(f"out{exports}") == whole
        asked = len(world.requests("computePixels")) - undisturbed
    return Toll(work.passes, tuple(found), exports, identical, asked, undisturbed * exports)


def show(toll: Toll) -> Table:
    """Means and worst cases, in requests for a tile."""
    table = Table(title=f"{len(toll.kills)} kills of {toll.exports} exports, {toll.identical} of them bit-identical")
    for column in ("a kill loses, in tiles", "mean", "most"):
        table.add_column(column, justify="right")
    rows = {
        "asked for, not in the ledger": [kill.lost for kill in toll.kills],
        "of these without an answer": [kill.under_way for kill in toll.kills],
        "answered, not in the ledger": [kill.lost - kill.under_way for kill in toll.kills],
    }
    for name, counts in rows.items():
        table.add_row(name, f"{sum(counts) / len(counts) / toll.passes:.2f}", f"{max(counts) / toll.passes:.2f}")
    table.add_row("requests in all, undisturbed", str(toll.asked), str(toll.undisturbed))
    return table


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--requests", type=int, default=8, help="at once")
    parser.add_argument("--tiles", type=int, default=8, help="a side of the square")
    parser.add_argument("--tile", type=int, default=128, help="pixels a side")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    work = Work(arguments.tiles, arguments.tile, arguments.passes)
    Console().print(show(measure(work, arguments.kills, arguments.requests, arguments.seed)))


if __name__ == "__main__":
    main()
