"""What an estimator could reach who knew which pixels belong together: ``python -m tests.benchmarks.layout_floor``.

The Bayes floor of a window holds for homogeneous ground. On the scenes of a set a pixel shares its coherence with some
of those around it only; here they are counted, and the floor of so many cells is taken. What is left above it is the
price of not knowing the layout, and of an estimator being no perfect judge of intensities. Brightness is taken as
known and the prior as uniform, as in `models.evaluate.floors`: a floor for comparison, no bound in the strict sense.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from rich.console import Console
from rich.progress import track
from scipy import ndimage

from models.estimator import FloatArray
from models.evaluate.floors import DoubleArray, bayes_floor, pixels_per_cell
from models.evaluate.scores import edges
from models.evaluate.sets import FIRST_SEED, choose
from models.evaluate.tables import Table
from models.simulate.draw import draw

TOLERANCE = 0.02
"""Pixels count as having the same coherence where it differs by no more."""
CELLS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def companions(coherence: FloatArray, window: int) -> DoubleArray:
    """How many pixels of the window around each have its coherence, itself included; shape as `coherence`."""
    count = np.zeros(coherence.shape)
    for level in np.arange(0.0, 1.0 + TOLERANCE, TOLERANCE):
        alike = np.abs(coherence - level) <= TOLERANCE
        mine = np.abs(coherence - level) <= TOLERANCE / 2
        if mine.any():
            shares = ndimage.uniform_filter(alike.astype(np.float64), window, mode="constant")
            count[mine] = shares[mine] * window**2
    return np.maximum(count, 1.0)


def main() -> None:
    """Count, look up, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="matched")
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--windows", type=int, nargs="+", default=(15, 31, 61))
    given = parser.parse_args()
    chosen = choose([given.set])[0].sized(256, 0)
    looks, area = chosen.product.looks_equivalent, pixels_per_cell(chosen.product)
    floors = [bayes_floor(cells, looks) for cells in track(CELLS, "floors by cells")]
    squares: dict[int, list[tuple[float, float, float]]] = {window: [] for window in given.windows}
    numbers = [(FIRST_SEED + seed, number) for seed in range(given.seeds) for number in range(given.scenes)]
    for seed, number in track(numbers, "scenes"):
        truth = draw(chosen.recipe, seed, number).coherence
        at_edge = edges(truth)
        for window, found in squares.items():
            cells = np.maximum(companions(truth, window) / area, 1.0)
            square = np.interp(np.log(cells), np.log(CELLS), floors) ** 2
            found.append(
                (square.mean(), square[at_edge].mean() if at_edge.any() else math.nan, square[~at_edge].mean())
            )
    rows = [
        (f"{window} px", *(f"{math.sqrt(value):.3f}" for value in np.nanmean(found, axis=0)))
        for window, found in squares.items()
    ]
    title = f"Floor of one who knows the layout: {given.set}, {len(numbers)} scenes (simulated)"
    Console().print(Table(title, ("within", "all", "edges", "inside"), tuple(rows)).to_rich())


if __name__ == "__main__":
    main()
