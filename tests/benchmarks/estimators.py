"""How far each estimator is from the truth: `python -m tests.benchmarks.estimators`.

On simulated scenes whose seeds the calibration never saw. The constant predictor, which answers the scenes' mean
coherence everywhere, comes first: an estimator that doesn't beat it knows nothing.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from models import registry
from models.calibrate import SEED as CALIBRATION_SEED
from models.coregister import NO_SHIFT, apply_shift, estimate_shift
from models.estimator import Estimator, FloatArray
from models.simulate.pair import SimulatedPair, product_for, simulate_pair
from models.simulate.random_scene import random_scene

BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SHIFTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Misregistration tried, in pixels."""

Cells = list[str]


@dataclass(frozen=True)
class Scores:
    """An estimate against the truth, over the pixels where both are there.

    Attributes
    ----------
    rmse, mae, bias
        Of estimate - truth; NaN where there are no pixels.
    r
        Pearson correlation; NaN for a constant.
    rmse_by_bin
        RMSE where the truth lies between two neighbours of `BINS`.
    within_sigma
        Share of pixels closer to the truth than sigma; NaN without sigma.
    pixels
        Number of pixels.
    """

    rmse: float
    mae: float
    bias: float
    r: float
    rmse_by_bin: tuple[float, ...]
    within_sigma: float
    pixels: int


def score(estimate: FloatArray, truth: FloatArray, sigma: FloatArray | None = None) -> Scores:
    """Score coherence (and its sigma) against the truth; any shape, NaN where there is nothing to compare."""
    kept = np.isfinite(estimate) & np.isfinite(truth)
    found, true = estimate[kept].astype(np.float64), truth[kept].astype(np.float64)
    error = found - true
    varies = error.size > 1 and found.std() > 1e-9 and true.std() > 1e-9
    inside = np.nan if sigma is None else _mean((np.abs(error) <= sigma[kept]).astype(np.float64))
    last = len(BINS) - 2
    place = np.minimum(np.digitize(true, BINS) - 1, last)
    return Scores(
        rmse=_root_mean_square(error),
        mae=_mean(np.abs(error)),
        bias=_mean(error),
        r=float(np.corrcoef(found, true)[0, 1]) if varies else math.nan,
        rmse_by_bin=tuple(_root_mean_square(error[place == number]) for number in range(last + 1)),
        within_sigma=inside,
        pixels=int(error.size),
    )


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else math.nan


def _root_mean_square(values: npt.NDArray[np.float64]) -> float:
    return math.sqrt(_mean(values**2))


@dataclass(frozen=True)
class Sample:
    """A simulated pair and the misregistration (rows, columns, in pixels) it was given."""

    pair: SimulatedPair
    registration: tuple[float, float]


def simulated_samples(scenes: int, size: int, seed: int, spacing: float, shift: float = 0.0) -> Iterator[Sample]:
    """Unseen scenes, misregistered by `shift` pixels, each in a direction of its own."""
    product = product_for(spacing)
    for number in range(scenes):
        rng = np.random.default_rng([seed, number])
        ground = random_scene(rng, (size, size))
        angle = rng.uniform(0.0, 2.0 * math.pi)
        registration = (shift * math.sin(angle), shift * math.cos(angle))
        pair = simulate_pair(
            ground.coherence,
            ground.backscatter,
            product=product,
            rng=rng,
            noise=ground.noise,
            registration=registration,
        )
        yield Sample(pair, registration)


def contenders(spacing: float) -> list[tuple[str, str, Estimator]]:
    """Every classical estimator in each of its modes, at its default window."""
    return [
        (f"{info.name} {info.window} px", mode, registry.get(info.name, mode=mode, spacing=spacing, device="cpu"))
        for info in registry.available()
        for mode in reversed(info.modes)
    ]


def compare(pairs: Sequence[SimulatedPair], spacing: float) -> list[Cells]:
    """One row for the constant and one for each contender."""
    truth = np.stack([pair.coherence for pair in pairs])
    rows = [["constant", "", *_cells(score(np.full_like(truth, truth.mean()), truth)), "", ""]]
    for name, mode, estimator in track(contenders(spacing), "estimating"):
        began = time.process_time()
        results = [estimator.estimate(pair.reference, pair.secondary) for pair in pairs]
        seconds = (time.process_time() - began) / truth.size * 1e6
        coherence, sigma = (np.stack(images) for images in zip(*results, strict=True))
        scores = score(coherence, truth, sigma)
        rows.append([name, mode, *_cells(scores), f"{scores.within_sigma:.0%}", f"{seconds:.3f}"])
    return rows


def _cells(scores: Scores) -> Cells:
    r = "" if math.isnan(scores.r) else f"{scores.r:.2f}"
    by_bin = [f"{value:.3f}" for value in scores.rmse_by_bin]
    return [f"{scores.rmse:.3f}", f"{scores.mae:.3f}", f"{scores.bias:+.3f}", r, *by_bin]


HEADINGS = [
    *("estimator", "mode", "RMSE", "MAE", "bias", "r"),
    *(f"{low:g}-{high:g}" for low, high in pairwise(BINS)),
    *("in 1 sigma", "CPU s/MPix"),
]


def misregister(scenes: int, size: int, seed: int, spacing: float, name: str) -> list[Cells]:
    """RMSE of one estimator against misregistration, left as it is and corrected by its estimate."""
    estimator = registry.get(name, spacing=spacing, device="cpu")
    rows = []
    for length in track(SHIFTS, "misregistering"):
        samples = list(simulated_samples(scenes, size, seed, spacing, length))
        found = [estimate_shift(sample.pair.reference, sample.pair.secondary) for sample in samples]
        errors = [
            math.hypot(shift.dy - sample.registration[0], shift.dx - sample.registration[1])
            for shift, sample in zip(found, samples, strict=True)
            if shift.reliable
        ]
        moved = [
            apply_shift(sample.pair.secondary, shift if shift.reliable else NO_SHIFT)
            for shift, sample in zip(found, samples, strict=True)
        ]
        truth = np.stack([sample.pair.coherence for sample in samples])
        left, corrected = (
            score(np.stack([estimator.estimate(one.pair.reference, other)[0] for one, other in both]), truth)
            for both in (
                [(sample, sample.pair.secondary) for sample in samples],
                list(zip(samples, moved, strict=True)),
            )
        )
        error = f"{np.median(errors):.3f}" if errors else ""
        rows.append([f"{length:g}", f"{len(errors)}/{scenes}", error, f"{left.rmse:.3f}", f"{corrected.rmse:.3f}"])
    return rows


MISREGISTRATION_HEADINGS = ["shift px", "shift found", "median error px", "RMSE left", "RMSE corrected"]


def as_table(title: str, headings: Sequence[str], rows: Sequence[Cells]) -> Table:
    """For the terminal."""
    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < 1 else "right")
    for row in rows:
        table.add_row(*row)
    return table


def as_markdown(title: str, headings: Sequence[str], rows: Sequence[Cells]) -> str:
    """For the documentation."""
    lines = [f"### {title}", "", "| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.estimators", description=__doc__)
    parser.add_argument("--scenes", type=int, default=24, help="how many scenes")
    parser.add_argument("--size", type=int, default=256, help="their side in pixels")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--spacing", type=float, default=10.0, help="pixel spacing in metres")
    parser.add_argument("--misregistration", action="store_true", help="also misregister, with and without correction")
    parser.add_argument("--write", type=Path, help="also write the tables to this Markdown file")
    given = parser.parse_args()
    if given.seed == CALIBRATION_SEED:
        parser.error(f"seed {CALIBRATION_SEED} is the calibration's; take another, so that the scenes are unseen")
    torch.set_num_threads(1)

    pairs = [sample.pair for sample in simulated_samples(given.scenes, given.size, given.seed, given.spacing)]
    product = product_for(given.spacing)
    drawn = f"{given.scenes} scenes of {given.size} px, {product.name}, seed {given.seed}, simulated"
    tables = [(f"Error against the true coherence ({drawn})", HEADINGS, compare(pairs, given.spacing))]
    if given.misregistration:
        rows = misregister(given.scenes, given.size, given.seed, given.spacing, registry.DEFAULT)
        tables.append((f"{registry.DEFAULT} under misregistration ({drawn})", MISREGISTRATION_HEADINGS, rows))
    console = Console()
    for table in tables:
        console.print(as_table(*table))
    if given.write:
        given.write.write_text("\n".join(as_markdown(*table) for table in tables), encoding="utf-8")


if __name__ == "__main__":
    main()
