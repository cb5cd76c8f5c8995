"""What averaging several answers gains: ``python -m tests.benchmarks.averaging [WEIGHTS ...]``.

The default network is shown each pair as it is; in its eight orientations, images in both orders; and beside other
weights, if given. Where the mean of several answers is hardly better than one, more of the same network's opinion is
not what it lacks. Simulated scenes like the set *matched*, of seeds that neither training nor benchmark uses.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict

import numpy as np
from rich.console import Console
from rich.progress import track

from models import registry
from models.estimator import Estimator, FloatArray
from models.evaluate.contenders import registered
from models.evaluate.sets import choose
from models.evaluate.tables import Table
from models.simulate.draw import draw

SEED = 800_001


def turned(estimator: Estimator, images: list[FloatArray]) -> FloatArray:
    """Mean of sixteen answers: four quarter turns, mirrored or not, either image first."""
    total = np.zeros(images[0].shape)
    for quarter in range(4):
        for mirrored in (False, True):
            shown = [np.ascontiguousarray(np.rot90(each[::-1] if mirrored else each, quarter)) for each in images]
            for pair in (shown[:2], shown[1::-1]):
                answer = np.rot90(estimator.estimate(pair[0], pair[1], shown[2:])[0], -quarter)
                total += answer[::-1] if mirrored else answer
    mean: FloatArray = (total / 16).astype(np.float32)
    return mean


def main() -> None:
    """Estimate, average, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="*", help="further weights of the default network's kind")
    parser.add_argument("--scenes", type=int, default=60)
    given = parser.parse_args()
    estimators = [registry.get(name, device="cpu") for name in (registry.DEFAULT, *given.weights)]
    recipe = choose(["matched"])[0].sized(256, 4).recipe
    squares: dict[tuple[str, int], list[float]] = defaultdict(list)
    for number in track(range(given.scenes), "scenes"):
        sample = draw(recipe, SEED, number)
        scene = registered(sample)
        for dates in (0, 4):
            images = [scene.reference, scene.secondary, *scene.context[:dates]]
            answers = [each.estimate(images[0], images[1], images[2:])[0] for each in estimators]
            ways = {"as it is": answers[0], "sixteen orientations and orders": turned(estimators[0], images)}
            if len(answers) > 1:
                ways |= {f"weights {place}": answer for place, answer in enumerate(answers[1:], 2)}
                ways["mean of all weights"] = np.mean(answers, axis=0)
            for name, answer in ways.items():
                squares[name, dates].append(float(np.nanmean((answer - sample.coherence) ** 2)))
    names = list(dict.fromkeys(name for name, _ in squares))
    rows = [(name, *(f"{math.sqrt(np.mean(squares[name, dates])):.4f}" for dates in (0, 4))) for name in names]
    title = f"RMSE over {given.scenes} scenes like matched (simulated)"
    Console().print(Table(title, ("answer", "no further dates", "four"), tuple(rows)).to_rich())


if __name__ == "__main__":
    main()
