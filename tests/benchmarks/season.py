"""The decay benchmark: ``python -m tests.benchmarks.season [--estimator NAME] [--seeds 3] [--scenes 4]``.

Simulated series whose ground decays with known tau and rho_inf; coherence of every pair by the real estimator; the fit
as `cohmap season` makes it, beside what else was tried. Writes tables, one line a seed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from scipy import ndimage

from models import registry
from models.decay import TOLD, Fit, fit
from models.decay.levels import combine
from models.decay.measure import SCENES, estimate, pairs_by_baseline, response, tally
from models.decay.response import IDENTITY, Response
from models.evaluate.sets import FIRST_SEED
from models.evaluate.tables import Table, number
from models.simulate.decaying import DecayingScene, draw_decaying
from models.simulate.product import product_for

DoubleArray = npt.NDArray[np.float64]

DAYS = tuple(6.0 * step for step in range(16))
BASELINES = (6.0, 12.0, 18.0, 24.0, 36.0, 48.0)
SMOOTH = 9
LEAST = 0.3
"""Places whose coherence at 12 days is lower aren't asked about."""


@dataclass(frozen=True, eq=False)
class Levels:
    """A scene's coherence by baseline: as read (median and mean over pairs, standard error), and as it is."""

    scene: DecayingScene
    median: DoubleArray
    mean: DoubleArray
    error: DoubleArray
    truth: DoubleArray


def measure(estimator_name: str, size: int, seed: int, scene_number: int, spacing: float) -> Levels:
    """Draw a scene and estimate all of its pairs."""
    estimator = registry.get(estimator_name, spacing=spacing)
    scene = draw_decaying(DAYS, product_for(spacing), size, seed, scene_number)
    rows = []
    for days, pairs in pairs_by_baseline(scene.days, max(BASELINES)).items():
        if days in BASELINES:
            read = [estimate(estimator, scene, *pair, contexts=estimator.context) for pair in pairs]
            coherence, sigma = (np.stack(maps) for maps in zip(*read, strict=True))
            median, mean, error, _ = combine(coherence, sigma)
            truth = np.mean([scene.truth(*pair) for pair in pairs], axis=0)
            rows.append((median, mean, error, truth))
    return Levels(scene, *(np.stack(columns).astype(np.float64) for columns in zip(*rows, strict=True)))


def variants(levels: Levels, known: Response) -> dict[str, Fit]:
    """What was tried: the fit of `cohmap season` first."""
    plain = Response(known.truth, known.reading, (0.0,) * len(known.truth))
    wide = Response((0.0, 1.0), (0.0, 1.0), (float(np.mean(known.spread)),) * 2)
    smooth = np.stack([ndimage.uniform_filter(level, SMOOTH) for level in levels.median])
    tried = {
        "response and spread, median": (levels.median, known),
        "response and spread, mean": (levels.mean, known),
        f"response and spread, median over {SMOOTH} px": (smooth, known),
        "response alone, median": (levels.median, plain),
        "spread alone, median": (levels.median, wide),
        "neither, median": (levels.median, IDENTITY),
    }
    return {name: fit(BASELINES, values, levels.error, response=made) for name, (values, made) in tried.items()}


def patches(levels: Levels, known: Response) -> tuple[Fit, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """The fit of whole patches, from the mean over their inner pixels; their tau, rho_inf and coherence at 12 days."""
    scene = levels.scene
    names, labels = np.unique(np.where(scene.inside, scene.tau, np.nan), return_inverse=True)
    labels = labels.reshape(scene.tau.shape)
    wanted = [n for n, name in enumerate(names) if np.isfinite(name) and (labels == n).sum() >= 400]

    def over(stack: DoubleArray) -> DoubleArray:
        return np.stack([ndimage.mean(layer, labels, wanted) for layer in stack])

    made = fit(BASELINES, over(levels.mean), over(levels.error), response=known)
    rho = np.asarray(ndimage.mean(scene.rho_inf, labels, wanted))
    return made, names[wanted], rho, over(levels.truth)[1]


def score(found: Fit, tau: npt.NDArray[Any], rho: npt.NDArray[Any], asked: npt.NDArray[np.bool_]) -> list[float]:
    """Share told; then of those: error of tau (median, middle of its size, share within 15 %), of rho_inf; coverage."""
    told = asked & np.isin(found.quality, TOLD)
    if not told.any():
        return [0.0] + [float("nan")] * 8
    share, apart = (found.tau / tau - 1)[told], (found.rho_inf - rho)[told]
    return [
        float(told.sum() / asked.sum()),
        float(np.median(share)),
        float(np.median(np.abs(share))),
        float(np.mean(np.abs(share) <= 0.15)),
        float(np.median(apart)),
        float(np.median(np.abs(apart))),
        float(np.mean(np.abs(apart) <= 0.03)),
        float(np.mean(np.abs(found.tau - tau)[told] <= found.tau_error[told])),
        float(np.mean(np.abs(apart) <= found.rho_inf_error[told])),
    ]


HEADINGS = (
    "fit", "told", "tau, median error", "median size", "within 15 %", "rho_inf, median error", "median size",
    "within .03", "tau in 1 SE", "rho_inf in 1 SE",
)  # fmt: skip
FORMS = (".2f", "+.3f", ".3f", ".2f", "+.3f", ".3f", ".2f", ".2f", ".2f")


def rows_of(scores: dict[str, list[list[float]]]) -> tuple[tuple[str, ...], ...]:
    """One row a variant: the median over scenes or seeds."""
    return tuple(
        (
            name,
            *(
                number(float(np.nanmedian(column)), form)
                for column, form in zip(zip(*found, strict=True), FORMS, strict=True)
            ),
        )
        for name, found in scores.items()
    )


def tables(all_levels: Sequence[Sequence[Levels]], known: Response) -> list[Table]:
    """Errors against the images' own population coherence, against the ground, over patches, and seed by seed."""
    image: dict[str, list[list[float]]] = {}
    ground: dict[str, list[list[float]]] = {}
    region: dict[str, list[list[float]]] = {}
    everywhere: dict[str, list[list[float]]] = {}
    for seed, members in enumerate(all_levels):
        made = [variants(levels, known) for levels in members]
        exact = [fit(BASELINES, levels.truth, np.full_like(levels.truth, 0.002)) for levels in members]
        for name in made[0]:
            whole = _joined([each[name] for each in made])
            best = _joined(exact)
            inside = np.concatenate([levels.scene.inside.ravel() for levels in members])
            there = np.concatenate([(levels.truth[1] > LEAST).ravel() for levels in members])
            tau, rho = (
                np.concatenate([getattr(levels.scene, key).ravel() for levels in members]) for key in ("tau", "rho_inf")
            )
            # the ground's tau beyond what 48 days of exact coherence could tell is nobody's to find
            tellable = there & np.isin(best.quality, TOLD)
            row = score(whole, best.tau, best.rho_inf, tellable & inside)
            image.setdefault(name, []).append(row)
            ground.setdefault(name, []).append(score(whole, tau, rho, tellable & inside))
            everywhere.setdefault(name, []).append(score(whole, best.tau, best.rho_inf, tellable))
            if name == next(iter(made[0])):
                region[f"seed {seed + 1}, pixels"] = [row]
        parts = [patches(levels, known) for levels in members]
        found = _joined([part[0] for part in parts])
        tau, rho, at_12 = (np.concatenate([part[index] for part in parts]) for index in (1, 2, 3))
        region[f"seed {seed + 1}, patches, against the ground"] = [score(found, tau, rho, (at_12 > LEAST) & (tau < 72))]
    return [
        Table(
            "Against the images' population coherence, away from edges (median over seeds)", HEADINGS, rows_of(image)
        ),
        Table("Against the ground's own tau and rho_inf, away from edges", HEADINGS, rows_of(ground)),
        Table("Against the images' population coherence, edges included", HEADINGS, rows_of(everywhere)),
        Table("Seed by seed, as `cohmap season` fits", HEADINGS, rows_of(region)),
    ]


def _joined(fits: Sequence[Fit]) -> Fit:
    return Fit(
        **{name: np.concatenate([getattr(each, name).ravel() for each in fits]) for name in Fit.__dataclass_fields__}
    )


def main() -> None:
    """Draw, estimate, fit, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--estimator", default=registry.DEFAULT)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--spacing", type=float, default=10.0)
    parser.add_argument("--output", type=Path, default=Path("out/benchmark"))
    given = parser.parse_args()
    begin = time.process_time()
    estimator = registry.get(given.estimator, spacing=given.spacing)
    known = response(tally(estimator, n) for n in track(range(SCENES), "response"))
    spent = time.process_time() - begin
    all_levels = [
        [measure(given.estimator, given.size, FIRST_SEED + seed, scene, given.spacing) for scene in range(given.scenes)]
        for seed in track(range(given.seeds), "seeds")
    ]
    console = Console(width=220)
    made = tables(all_levels, known)
    for each in made:
        console.print(each.to_rich())
    given.output.mkdir(parents=True, exist_ok=True)
    written = given.output / "season.md"
    written.write_text("\n".join(each.to_markdown() for each in made), encoding="utf-8")
    console.print(
        f"{spent:.0f} CPU-seconds for the response, {time.process_time() - begin:.0f} in all; tables in {written}"
    )


if __name__ == "__main__":
    main()
