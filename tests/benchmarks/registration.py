"""How well a global shift is found and undone: ``python -m tests.benchmarks.registration [--set rtc-30m]``.

Pairs misregistered by up to 4 px in random directions: how often the shift is found, how far it is off, and what an
estimator's error is with the shift left in and with it removed.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from models import registry
from models.coregister import apply_shift, estimate_shift
from models.evaluate.scores import Sums, measure, summarise
from models.evaluate.sets import FIRST_SEED, SETS, SceneSet, choose
from models.evaluate.tables import Table
from models.simulate.draw import draw

SHIFTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Misregistration tried, in pixels."""


def misregister(scene_set: SceneSet, scenes: int, name: str) -> Table:
    """One row for each length of the shift."""
    estimator = registry.get(name, spacing=scene_set.product.spacing, device="cpu")
    rows = []
    for length in track(SHIFTS, "misregistering"):
        errors: list[float] = []
        left: list[Sums] = []
        corrected: list[Sums] = []
        for number in range(scenes):
            sample = draw(replace(scene_set.recipe, shift=length), FIRST_SEED, number)
            found = estimate_shift(sample.reference, sample.secondary)
            if found.reliable:
                errors.append(math.hypot(found.dy - sample.registration[0], found.dx - sample.registration[1]))
            moved = apply_shift(sample.secondary, found) if found.reliable else sample.secondary
            for sums, secondary in ((left, sample.secondary), (corrected, moved)):
                sums.append(measure(estimator.estimate(sample.reference, secondary)[0], sample.coherence))
        median = f"{np.median(errors):.3f}" if errors else ""
        rmses = (f"{summarise(sums).rmse:.3f}" for sums in (left, corrected))
        rows.append((f"{length:g}", f"{len(errors)}/{scenes}", median, *rmses))
    return Table(
        f"{name} under misregistration ({scenes} scenes of {scene_set.recipe.size} px, {scene_set.name}, simulated)",
        ("shift px", "shift found", "median error px", "RMSE left", "RMSE corrected"),
        tuple(rows),
    )


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="matched", choices=SETS, help="whose scenes")
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--estimator", default=registry.DEFAULT)
    given = parser.parse_args()
    torch.set_num_threads(1)
    (scene_set,) = choose([given.set])
    Console().print(misregister(scene_set.sized(given.size, 0), given.scenes, given.estimator).to_rich())


if __name__ == "__main__":
    main()
