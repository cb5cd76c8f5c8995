"""Where the CPU time of a whole run goes: ``python -m tests.benchmarks.shares [REGION]``.

`cohmap run` in this process, without workers, while a thread looks at all others fifty times a second: what CPU time
each has spent since the last look belongs to the innermost part of the program that it is in. Reading a chunk while a
COG is written counts as reading, and so does what Zarr does in its own threads. What a thread spent that now waits
belongs to the part that it was last seen in. Threads that Python doesn't know have a row of their own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from models.evaluate.tables import Table
from pipeline.cli import main as cohmap

REPORT = ["report", "plates", "figures", "quicklook", "truth", "catalog", "items", "sampling", "closeups", "summary"]
ZARR = "stacks and maps (Zarr)"
PARTS = (
    ("estimator", ("models/coherence/", "models/runtimes/", "models/blend", "models/tiling")),
    ("simulator", ("models/simulate/", "pipeline/sources/simulated")),
    ("COG writing", ("pipeline/products.py",)),
    ("registration", ("models/coregister", "pipeline/register")),
    ("change", ("models/change/", "pipeline/change/")),
    ("seasons", ("models/decay/", "pipeline/season/")),
    (ZARR, ("pipeline/cube.py",)),
    ("ledgers", ("pipeline/ledger", "pipeline/lines")),
    ("report and catalogue", tuple(f"pipeline/{name}" for name in REPORT)),
    ("other code of cohmap", ("pipeline/", "models/")),
)
"""What a path holds if the stack belongs to the part; of one frame the first counts."""
ZARRS_THREADS = ("zarr_io", "asyncio")
"""How the names begin of its event loop's thread, and of those in which it reads files and codes chunks."""
OTHER = "other"
ASKED = ("estimator", "simulator", "COG writing")
ROOT = Path(__file__).parents[2]


def part_of(files: Sequence[str]) -> str:
    """The part that a stack belongs to, given the files of its frames from the innermost to the outermost."""
    if any("<frozen importlib" in file for file in files):
        return "imports"
    for file in files:
        for name, paths in PARTS:
            if file.startswith(str(ROOT)) and any(path in file for path in paths):
                return name
    return OTHER


class Observer(threading.Thread):
    """Adds up what threads spend, by part, until told to stop."""

    def __init__(self, pause: float = 0.02) -> None:
        super().__init__(daemon=True)
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.all = 0.0
        self._pause = pause
        self._seen: dict[int, float] = {}
        self._last: dict[int, str] = {}
        self._enough = threading.Event()

    def run(self) -> None:
        """Look, and look again."""
        began = time.process_time()
        self._look_at_all()
        self.spent.clear()  # what was spent before
        while not self._enough.wait(self._pause):
            self._look_at_all()
        mine = time.thread_time()
        self.all = time.process_time() - began - mine
        self.spent["threads of libraries"] = self.all - sum(self.spent.values())

    def _look_at_all(self) -> None:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for thread, frame in sys._current_frames().items():
            if thread != self.ident:
                self._look(thread, names.get(thread, ""), frame)

    def _look(self, thread: int, name: str, frame: FrameType | None) -> None:
        try:
            now = time.clock_gettime(time.pthread_getcpuclockid(thread))
        except OSError:
            return  # it has ended meanwhile
        before, self._seen[thread] = self._seen.get(thread, 0.0), now
        if now <= before:
            return
        files = []
        while frame is not None:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back
        part = ZARR if name.startswith(ZARRS_THREADS) else part_of(files)
        if part == OTHER:
            part = self._last.get(thread, OTHER)
        self._last[thread] = part
        self.spent[part] += now - before

    def stop(self) -> None:
        """Look no more; what was seen can then be read."""
        self._enough.set()
        self.join()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("region", nargs="?", default="demo")
    given = parser.parse_args()
    observer = Observer()
    with tempfile.TemporaryDirectory() as output:
        observer.start()
        sys.argv = ["cohmap", "run", given.region, "--output", output, "--workers", "0", "--quiet"]
        try:
            cohmap()
        except SystemExit as end:
            if end.code:
                raise
        observer.stop()
    ranked = sorted(observer.spent.items(), key=lambda each: -each[1])
    rows = [(part, f"{spent:.1f}", f"{spent / observer.all:.1%}") for part, spent in ranked]
    asked = sum(observer.spent[part] for part in ASKED)
    rows.append((", ".join(ASKED), f"{asked:.1f}", f"{asked / observer.all:.1%}"))
    title = f"cohmap run {given.region}: {observer.all:.0f} CPU s"
    Console().print(Table(title, ("part", "CPU s", "share"), tuple(rows)).to_rich())


if __name__ == "__main__":
    main()
