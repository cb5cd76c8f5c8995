"""Change detection against simulated truth: ``python -m tests.benchmarks.change [--normal 6]``.

Twelve passes, twelve days apart; between the eighth and the ninth the ground changes. Event mode knows the day;
monitoring mode takes the first six passes as normal and tests the other six as they come. More normal ones go before.
Prints the area under the precision-recall curve (average precision over all pixels of a set and seed) beside simpler
scores, and the share of pixels flagged at a nominal 1 % on scenes where nothing changed. The default estimator, shown
further dates.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from scipy import special

from models import registry
from models.change import evidence, omnibus, sequence
from models.change.null import Bulk, Null, count, measure_bulk, nothing_counted
from pipeline.change.design import Design, design
from pipeline.change.settings import Change
from pipeline.config import Pairs
from pipeline.passes import Track, make_pairs
from tests.benchmarks.change_scenes import EDGE, INTERVAL, LAGS, SETS, Calendar, estimate

FloatArray = npt.NDArray[np.float32]
RATE = 0.01
CUT = np.s_[EDGE:-EDGE, EDGE:-EDGE]
FIRST = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
SCENES = {"landscape": (1, 1), "familiar textures": (2, 3), "unseen textures": (2, 3)}
"""Scenes a seed: changed, and unchanged."""
OURS = ("event", "monitoring")


def designs(calendar: Calendar) -> tuple[Design, Design]:
    """Of the event, and of monitoring."""
    starts = [FIRST + dt.timedelta(days=day) for day in calendar.days]
    passes = [(f"p{number:02d}", start) for number, start in enumerate(starts)]
    pairs = make_pairs(Track("ascending", 1), passes, Pairs(mode="all", max_days=max(LAGS) * INTERVAL))
    event = (starts[calendar.before] - dt.timedelta(days=INTERVAL / 2)).date()
    return (
        design(pairs, Change(event=event)),
        design(pairs, Change(baseline_period=(starts[0].date(), starts[calendar.normal - 1].date()))),
    )


def normal_scores(scene: evidence.Scene, plan: Design) -> list[FloatArray]:
    """The score of each test of a design, as the pipeline makes it, with the scene as the whole region."""
    nulls = []
    for group in plan.nulls:
        raw = [evidence.coherence_scores(scene, group), evidence.intensity_scores(scene, group)]
        opinions = [Null(sum((count(score[CUT]) for score in scores), nothing_counted())) for scores in raw]
        both = [evidence.combined(evidence.opinions(c, i, opinions)) for c, i in zip(*raw, strict=True)]
        nulls.append((opinions, Null(sum((count(score[CUT]) for score in both), nothing_counted()))))
    found = []
    for test in plan.tests:
        opinions, both_null = nulls[test.group]
        coherence, intensity = (
            scores(scene, [test.target])[0] for scores in (evidence.coherence_scores, evidence.intensity_scores)
        )
        score = both_null.normal(evidence.combined(evidence.opinions(coherence, intensity, opinions)))
        bulk: Bulk = measure_bulk(count(score[CUT]), keep_middle=len(plan.tests) == 1)
        found.append(bulk.corrected(score))
    return found


def every_score(
    scene: evidence.Scene, calendar: Calendar, plans: tuple[Design, Design]
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Ours and the simpler scores, by name, and the score of every monitored pass."""
    event, monitoring = plans
    normal, before = calendar.normal, calendar.before
    (across,) = normal_scores(scene, event)
    passes = normal_scores(scene, monitoring)
    losses = [evidence.coherence_loss(scene, test.target) for test in monitoring.tests]
    state = sequence.nothing_known(across.shape, 0)
    for test, score, loss in zip(monitoring.tests, passes, losses, strict=True):
        state = sequence.update(state, score, loss, test.visit.day.toordinal(), RATE)
    (last,) = (
        n
        for n, pair in enumerate(event.pairs)
        if (pair.reference, pair.secondary) == (f"p{before - 2:02d}", f"p{before - 1:02d}")
    )
    tested = event.tests[0].target.baselines[0][0].pair
    logs = [np.log(images) for images in scene.images]
    base = [np.log(images[:normal].mean(axis=0)) for images in scene.images]
    confirmed = np.isin(
        state.status, (sequence.CONFIRMED_LOW, sequence.CONFIRMED_HIGH, sequence.FINISHED_LOW, sequence.FINISHED_HIGH)
    )
    scores = {
        "event": across,
        "event: coherence, mean before - across": evidence.coherence_loss(scene, event.tests[0].target),
        "event: coherence, last before - across": _mean([c[last] - c[tested] for c in scene.coherence]),
        "event: log-ratio of intensities": _mean([np.abs(log[before] - log[before - 1]) for log in logs]),
        "event: omnibus of two dates": _mean(
            [omnibus.omnibus(x[before - 1 : before + 1], scene.looks)[0] for x in scene.images]
        ),
        "monitoring": state.confidence,
        "monitoring: greatest coherence difference": np.max(losses, axis=0),
        "monitoring: greatest log-ratio": _mean(
            [np.abs(log[normal:] - b).max(axis=0) for log, b in zip(logs, base, strict=True)]
        ),
        "monitoring: omnibus of all dates": _mean([omnibus.omnibus(x, scene.looks)[0] for x in scene.images]),
        "confirmed": confirmed.astype(np.float32),
    }
    return scores, np.stack(passes)


def _mean(arrays: Iterable[npt.NDArray[np.floating]]) -> FloatArray:
    return np.asarray(np.mean(list(arrays), axis=0), dtype=np.float32)


def average_precision(scores: FloatArray, truth: npt.NDArray[np.bool_]) -> float:
    """Area under the precision-recall curve, by the step rule."""
    hits = truth[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, hits.size + 1)
    return float(precision[hits].mean())


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--sets", nargs="+", choices=list(SCENES), default=list(SCENES))
    parser.add_argument("--normal", type=int, default=6, help="passes that monitoring takes as normal")
    arguments = parser.parse_args()
    calendar = Calendar(arguments.normal)
    wanted = {name: SCENES[name] for name in arguments.sets}
    torch.set_num_threads(1)
    estimator = registry.get(registry.DEFAULT, spacing=10.0, device="cpu")
    plans, threshold = designs(calendar), -special.ndtri(RATE)
    precision: dict[str, dict[str, list[float]]] = {}
    alarms: dict[str, dict[str, list[float]]] = {}
    found: dict[str, list[float]] = {}
    for name, (changed, unchanged) in wanted.items():
        for seed in arguments.seeds:
            pooled: dict[str, list[FloatArray]] = {}
            truths = []
            for number in range(changed + unchanged):
                series = SETS[name](seed * 1000 + number, calendar, changed=number < changed)
                maps = estimate(series, calendar, estimator)
                bands = list(series.images)
                scene = evidence.make_scene(
                    [maps[b][0] for b in bands], [maps[b][1] for b in bands], list(series.images.values()), 10.0
                )
                scores, passes = every_score(scene, calendar, plans)
                if number < changed:
                    truths.append(series.changed[CUT].ravel())
                    for key, score in scores.items():
                        pooled.setdefault(key, []).append(score[CUT].ravel())
                else:
                    flagged = {
                        "event": np.mean(scores["event"][CUT] > threshold),
                        "monitoring, a pass": np.mean(passes[:, *CUT] > threshold),
                        "monitoring, confirmed within six passes": np.mean(scores["confirmed"][CUT]),
                    }
                    for key, share in flagged.items():
                        alarms.setdefault(key, {}).setdefault(name, []).append(float(share))
            truth = np.concatenate(truths)
            for key, parts in pooled.items():
                if key != "confirmed":
                    area = average_precision(np.concatenate(parts), truth)
                    precision.setdefault(key, {}).setdefault(name, []).append(area)
            found.setdefault(name, []).append(float(np.concatenate(pooled["confirmed"])[truth].mean()))
            print(f"{name}, seed {seed}: {time.process_time():.0f} CPU s", flush=True)
    print("\n| score | " + " | ".join(wanted) + " |\n|---|" + "---|" * len(wanted))
    for key, by_set in precision.items():
        cells = (f"{np.mean(values):.3f} ({', '.join(f'{v:.3f}' for v in values)})" for values in by_set.values())
        print(f"| {f'**{key}**' if key in OURS else key} | " + " | ".join(cells) + " |")
    print(
        "\n| flagged at a nominal 1 % where nothing changed | "
        + " | ".join(wanted)
        + " |\n|---|"
        + "---|" * len(wanted)
    )
    for key, by_set in alarms.items():
        cells = (f"{np.mean(v):.2%} ({min(v):.1%} to {max(v):.1%})" for v in by_set.values())
        print(f"| {key} | " + " | ".join(cells) + " |")
    print(
        "\nchanged pixels confirmed at the end:",
        {name: [round(v, 3) for v in values] for name, values in found.items()},
    )


if __name__ == "__main__":
    main()
