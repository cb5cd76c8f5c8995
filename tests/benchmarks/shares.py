"""Where the CPU time of a whole run goes: ``python -m tests.benchmarks.shares [REGION] [--workers N]``.

`py-spy` looks at every process of `cohmap run` from outside, so many times a second, and notes the Python stack of each
thread that is not waiting. A stack belongs to the innermost part of the program that is in it: reading a chunk while a
COG is written counts as reading. On a busy machine a thread that waits for a core counts as one that has it; the
shares stay what they are, the seconds don't, so only shares are told.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from models.evaluate.tables import Table

REPORT = ["report", "plates", "figures", "quicklook", "truth", "catalog", "items", "sampling", "closeups", "summary"]
PARTS = (
    ("estimator", ("models/coherence/", "models/runtimes/", "models/blend", "models/tiling")),
    ("simulator", ("models/simulate/", "pipeline/sources/simulated")),
    ("COG writing", ("pipeline/products.py",)),
    ("registration", ("models/coregister", "pipeline/register")),
    ("change", ("models/change/", "pipeline/change/")),
    ("seasons", ("models/decay/", "pipeline/season/")),
    ("stacks and maps (Zarr)", ("pipeline/cube.py",)),
    ("ledgers", ("pipeline/ledger", "pipeline/lines")),
    ("report and catalogue", tuple(f"pipeline/{name}" for name in REPORT)),
    ("other code of cohmap", ("pipeline/", "models/")),
    ("imports", ("<frozen importlib",)),
    ("Dask", ("/distributed/", "/dask/", "/tornado/")),
)
"""What a path holds if the stack belongs to the part; of one frame the first counts."""
ASKED = ("estimator", "simulator", "COG writing")
ROOT = Path(__file__).parents[2]


def part_of(frames: Iterable[str]) -> str:
    """The part that a stack belongs to, given from the outermost frame to the innermost."""
    innermost = list(frames)[::-1]
    if any("<frozen importlib" in frame for frame in innermost):
        return "imports"
    for frame in innermost:
        for name, paths in PARTS:
            if any(path in frame for path in paths) and (name == "Dask" or str(ROOT) in frame):
                return name
    return "other"


def count(recorded: str) -> Counter[tuple[str, str]]:
    """Samples by role of the process and part, from what py-spy recorded: stacks, and how often each was seen."""
    found: Counter[tuple[str, str]] = Counter()
    for line in recorded.splitlines():
        stack, _, times = line.rpartition(" ")
        frames = stack.split(";")
        role = "worker" if "spawn_main" in stack else "client"
        found[role, part_of(frames)] += int(times)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("region", nargs="?", default="demo")
    parser.add_argument("--workers", default="1")
    parser.add_argument("--rate", default="25", help="looks a second")
    arguments = parser.parse_args()
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if spy is None:
        raise SystemExit("py-spy is not installed; `pip install py-spy`")
    with tempfile.TemporaryDirectory() as name:
        recorded, output = Path(name) / "stacks", Path(name) / "out"
        look = [spy, "record", "--subprocesses", "--nonblocking", "--full-filenames", "--rate", arguments.rate]
        look += ["--format", "raw", "--output", str(recorded), "--"]
        run = [sys.executable, "-m", "pipeline.cli", "run", arguments.region, "--output", str(output)]
        before = os.times()
        subprocess.run([*look, *run, "--workers", arguments.workers, "--quiet"], check=True, capture_output=True)
        after = os.times()
        samples = count(recorded.read_text())
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    total = sum(samples.values())
    rows = [(role, part, f"{times}", f"{100 * times / total:.1f} %") for (role, part), times in samples.most_common()]
    asked = sum(times for (_, part), times in samples.items() if part in ASKED)
    rows.append(("all", ", ".join(ASKED), f"{asked}", f"{100 * asked / total:.1f} %"))
    title = (
        f"cohmap run {arguments.region}, {arguments.workers} workers: {total} samples, {spent:.0f} CPU s with py-spy's"
    )
    Console().print(Table(title, ("process", "part", "samples", "share"), tuple(rows)).to_rich())


if __name__ == "__main__":
    main()
