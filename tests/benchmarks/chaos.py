"""Kill a run again and again, and see what is left: ``python -m tests.benchmarks.chaos [--kills 100] [--seed 1]``.

A small region is run whole by the command line with two worker processes. At moments drawn from a seed, spread evenly
over the units of all stages, one of these is killed with SIGKILL: the command with its scheduler, a worker where there
are any, or all. After each kill everything under a final name is read to the end; then the same command is given
again. When a run ends, its stacks, pair maps, products and catalogue are compared byte by byte with those of an
undisturbed run, and the next one begins in a new folder, until so many kills are done.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.archive_files import region_file, write_archive
from tests.benchmarks.processes import members
from tests.test_resume import ROOT, require_whole, results

VICTIMS = ("worker", "command", "all")
# A dead worker is replaced within seconds; what takes longer than this hangs.
PATIENCE = 300.0


@dataclass
class Tally:
    """What was done and found."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    runs: int = 0
    different: int = 0
    refused: list[str] = field(default_factory=list)


class Run:
    """One command under way, in a session of its own."""

    def __init__(self, region: Path, output: Path) -> None:
        self.output = output
        command = ["run", str(region), "--output", str(output), "--workers", "2", "--quiet"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *command],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def wait_for(self, units: int) -> bool:
        """Wait until so many units are recorded; False where the command ends before."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            if recorded(self.output) >= units:
                return True
            if time.monotonic() > end:
                raise SystemExit(f"nothing happens for {PATIENCE:g} s in {self.output}")
            time.sleep(0.005)
        return False

    def strike(self, rng: random.Random) -> str:
        """Kill a victim and say which; where the command itself dies, wait until none of its processes is left."""
        workers = _workers(self.process.pid)
        victim = rng.choice(VICTIMS if workers else VICTIMS[1:])
        if victim == "worker":
            _kill(rng.choice(workers))
            return victim
        if victim == "all":
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()
        end = time.monotonic() + PATIENCE
        while members(self.process.pid) and time.monotonic() < end:
            time.sleep(0.05)
        return victim

    def end(self) -> str:
        """Wait for the end; what it says where it fails."""
        _, said = self.process.communicate(timeout=PATIENCE)
        return "" if self.process.returncode == 0 else said.decode() or f"exit code {self.process.returncode}"


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself meanwhile
        os.kill(process, signal.SIGKILL)


def _workers(session: int) -> list[int]:
    """Worker processes of the command's cluster."""
    return [process for process in members(session) if process != session and "spawn_main" in _command(process)]


def _command(process: int) -> str:
    try:
        return (Path("/proc") / str(process) / "cmdline").read_text()
    except OSError:
        return ""


def recorded(output: Path) -> int:
    """Lines in all ledgers."""
    return sum(path.read_bytes().count(b"\n") for path in (output / "ledger").glob("*.jsonl"))


def stage_of(output: Path) -> str:
    """The stage whose ledger grew last."""
    ledgers = list((output / "ledger").glob("*.jsonl"))
    return max(ledgers, key=lambda path: path.stat().st_mtime_ns).stem if ledgers else "start"


def torment(region: Path, folder: Path, kills: int, seed: int, console: Console) -> Tally:
    """Run, kill, look, and run again until so many kills are done; the last run is left in peace."""
    rng, tally = random.Random(seed), Tally()
    quiet = Run(region, folder / "undisturbed")
    if said := quiet.end():
        raise SystemExit(said)
    expected, units = results(quiet.output), recorded(quiet.output)
    while sum(tally.kills.values()) < kills:
        output = folder / f"run-{tally.runs}"
        # moments in their order: each kill of this folder comes later in the run than the one before it
        moments = sorted(rng.sample(range(1, units), min(12, units - 1)))
        while True:
            run = Run(region, output)
            if moments and sum(tally.kills.values()) < kills and run.wait_for(moments.pop(0)):
                victim = run.strike(rng)
                tally.kills[stage_of(output), victim] += 1
                if victim != "worker":
                    require_whole(output)
                    continue
            if said := run.end():
                tally.refused.append(said)
                continue
            break
        require_whole(output)
        tally.runs += 1
        tally.different += results(output) != expected
        console.print(f"{sum(tally.kills.values())} kills, {tally.runs} runs, {tally.different} different")
    return tally


def main() -> None:
    """Read the command line, torment, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = write_archive(folder / "images", days=(0, 12, 24, 36, 48))
        region = region_file(folder / "small.toml", archive, change="event = 2023-02-15")
        tally = torment(region, folder, given.kills, given.seed, console)
    table = Table("stage", *VICTIMS, title=f"{given.kills} kills, seed {given.seed}")
    for stage in sorted({stage for stage, _ in tally.kills}):
        table.add_row(stage, *(str(tally.kills[stage, victim]) for victim in VICTIMS))
    console.print(table)
    console.print(f"runs that ended: {tally.runs}; different from the undisturbed one: {tally.different}")
    for said in tally.refused:
        console.print(f"a run ended with: {said.strip()}")


if __name__ == "__main__":
    main()
