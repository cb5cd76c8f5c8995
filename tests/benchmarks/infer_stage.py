"""What the infer stage adds to its estimates: ``python -m tests.benchmarks.infer_stage [--degrees 0.12] [--passes 6]``.

A region of 512 px tiles filled with speckle, no shifts to find; `infer` runs in this process, twice: the first run
loads and warms up, the second is measured from an empty ledger. Pure estimator time is what its calls take.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from models.coherence.learned import LearnedEstimator
from models.estimator import FloatArray
from models.evaluate.tables import Table
from pipeline.compute import Pool
from pipeline.config import parse
from pipeline.export import export
from pipeline.infer import infer
from pipeline.plan import make_plan
from pipeline.progress import Silent
from pipeline.region import Region, read_area
from pipeline.sources.opening import open_source
from pipeline.storage import Folder

SETTINGS = {
    "name": "speed",
    "source": {"kind": "simulated", "interval_days": 12},
    "grid": {"tile": 512},
    "passes": {"polarisations": ["VV"]},
    "pairs": {"mode": "all", "max_days": 24},
}


class Clock:
    """Adds up wall and CPU time of an estimator's calls."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self._estimate = LearnedEstimator.estimate

    def instead(self) -> Callable[..., tuple[FloatArray, FloatArray]]:
        """The estimator's method, timed."""

        def estimate(estimator: LearnedEstimator, *images: Any, margin: int = 0) -> tuple[FloatArray, FloatArray]:
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return self._estimate(estimator, *images, margin=margin)
            finally:
                self.wall += time.perf_counter() - wall
                self.cpu += time.thread_time() - cpu

        return estimate


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--degrees", type=float, default=0.12, help="side of the region, west to east")
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    area = {"bbox": [11.0, 48.0, 11.0 + given.degrees, 48.0 + given.degrees * 0.67]}
    source = {**SETTINGS["source"], "passes": given.passes, "event_after_pass": 0}  # type: ignore[dict-item]
    config = parse({**SETTINGS, "area": area, "source": source}, "the benchmark")
    region = Region(config, read_area(config.area, Path()))
    rows = []
    with tempfile.TemporaryDirectory() as name, Pool(0) as pool:
        folder = Folder(name)
        opened = open_source(region)
        export(make_plan(region, opened), opened, folder, Silent())
        for number in range(given.rounds + 1):
            clock = Clock()
            LearnedEstimator.estimate = clock.instead()  # type: ignore[method-assign]
            (Path(name) / "ledger" / "infer.jsonl").unlink(missing_ok=True)
            wall, cpu = time.perf_counter(), time.process_time()
            outcome = infer(region, folder, pool, Silent(), "cpu")
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            LearnedEstimator.estimate = clock._estimate  # type: ignore[method-assign]
            if number:
                cells = (wall, clock.wall, wall / clock.wall, cpu, clock.cpu, cpu / clock.cpu)
                rows.append((str(outcome.total), *(f"{cell:.2f}" for cell in cells)))
    headings = ("tiles", "wall s", "in estimates", "ratio", "CPU s", "in estimates", "ratio")
    title = f"The infer stage of {len(region.tiles)} tiles of 512 px, warm"
    Console().print(Table(title, headings, tuple(rows)).to_rich())


if __name__ == "__main__":
    main()
