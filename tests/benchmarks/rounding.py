"""What a runtime that rounds costs in accuracy: ``python -m tests.benchmarks.rounding [--runtime torch-bf16]``.

Beside float32 in PyTorch on the first scenes of a set (simulated, 256 px), registered as users' images are.
Scored, never tuned on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from models import registry
from models.estimator import FloatArray
from models.evaluate.contenders import registered
from models.evaluate.sets import FIRST_SEED, SceneSet, choose
from models.evaluate.tables import Table
from models.runtimes.choice import BF16, ROUNDED
from models.simulate.draw import draw

SIZE = 256


def compare(runtime: str, chosen: SceneSet, contexts: int, scenes: int) -> Sequence[str]:
    """RMSE and coverage of both, and how far apart they are."""
    recipe, spacing = chosen.sized(SIZE, contexts).recipe, chosen.product.spacing
    exact, rounded = (registry.get(device="cpu", spacing=spacing, runtime=each) for each in ("torch", runtime))
    squares: list[list[float]] = [[], []]
    within: list[list[float]] = [[], []]
    apart: list[list[FloatArray]] = [[], []]
    for number in range(scenes):
        sample = draw(recipe, FIRST_SEED, number)
        scene = registered(sample)
        maps = [each.estimate(scene.reference, scene.secondary, scene.context) for each in (exact, rounded)]
        there = np.isfinite(maps[0][0])
        for place, (coherence, sigma) in enumerate(maps):
            error = (coherence - sample.coherence)[there]
            squares[place].append(float(np.mean(error**2)))
            within[place].append(float(np.mean(np.abs(error) <= sigma[there])))
        for quantity in (0, 1):
            apart[quantity].append(np.abs(maps[0][quantity] - maps[1][quantity])[there])
    rmse = [f"{np.sqrt(np.mean(each)):.4f}" for each in squares]
    covered = [f"{np.mean(each):.1%}" for each in within]
    far = [f"{np.mean(each):.5f}, {np.max(each):.4f}" for each in map(np.concatenate, apart)]
    return chosen.name, str(contexts), *rmse, *covered, *far


def main() -> None:
    """Measure, print, and write markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", choices=tuple(ROUNDED), default=BF16)
    parser.add_argument("--sets", default="matched", help="with commas between; empty for all")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--output", type=Path, default=Path("out/benchmark"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    sets = choose([name for name in given.sets.split(",") if name])
    headings = ("set", "further dates", "RMSE float32", "rounded", "in 1 sigma float32", "rounded")
    rows = tuple(tuple(compare(given.runtime, each, dates, given.scenes)) for each in sets for dates in (0, 4))
    title = f"{given.runtime} beside float32, {given.scenes} scenes of {SIZE} px, simulated; differences mean, at most"
    table = Table(title, (*headings, "coherence differs", "sigma differs"), rows)
    Console().print(table.to_rich())
    given.output.mkdir(parents=True, exist_ok=True)
    written = given.output / f"rounding-{given.runtime}.md"
    written.write_text(table.to_markdown(), encoding="utf-8")
    print(f"the table is in {written}")


if __name__ == "__main__":
    main()
