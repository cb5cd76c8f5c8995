"""The benchmark's bars: reached, missed, or not measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.evaluate.run import Results, Row
from models.evaluate.scores import LEVELS, Scores
from models.evaluate.sets import choose
from tests.benchmarks.bars import Bar, as_table, bars

OURS, DATES, PAPER = "ours", "ours + 4 dates", "paper"
GOOD = Scores(
    rmse=0.10,
    rmse_low=0.09,
    rmse_high=0.11,
    mae=0.08,
    bias=0.0,
    r=0.9,
    ssim=0.5,
    rmse_by_bin=(0.1,) * 5,
    bias_by_bin=(0.05, 0.0, 0.0, 0.0, -0.02),
    rmse_edges=0.12,
    rmse_inside=0.08,
    coverage=LEVELS,
    seconds=0.5,
    pixels=1000,
    scenes=3,
)


def row(scores: Scores) -> Row:
    """A row whose interval is as narrow as its scenes are alike."""
    return Row([scores], np.tile([1000.0, 1000.0 * scores.rmse**2], (3, 1)))


def results(**changed: float) -> Results:
    """Every set at 0.10, the others of the matched set behind, and some sets at another RMSE."""
    sets = choose()
    rows = {each.name: {OURS: row(replace(GOOD, rmse=changed.get(each.name, 0.10)))} for each in sets}
    others = {
        "guarnieri-prati calibrated": 0.20,
        "touzi-intensity calibrated": 0.23,
        "log-correlation calibrated": 0.17,
    }
    others |= {PAPER: 0.15, DATES: 0.09}
    rows["matched"] |= {name: row(replace(GOOD, rmse=rmse)) for name, rmse in others.items()}
    return Results(tuple(sets), (1,), rows, {"homogeneous": {31: 0.09}})


def found(of: Results, dates: str | None = DATES, paper: str | None = PAPER) -> dict[str, Bar]:
    return {bar.name: bar for bar in bars(of, OURS, with_dates=dates, paper=paper)}


def test_a_good_estimator_reaches_them_all() -> None:
    assert [bar.name for bar in found(results()).values() if not bar.passed] == []
    assert found(results())["matched RMSE / best published, calibrated"].figure == "0.50"


@pytest.mark.parametrize(
    ("scene_set", "rmse", "bar"),
    [
        ("matched", 0.13, "matched RMSE / best published, calibrated"),
        ("matched", 0.16, "matched RMSE below the published layout's"),
        ("shift-2", 0.106, "shift-2 RMSE / matched"),
        ("warp-1", 0.113, "warp-1 RMSE / matched"),
        ("vh-snr", 0.116, "vh-snr RMSE / matched"),
        ("unseen-baselines", 0.111, "unseen-baselines RMSE - matched"),
        ("homogeneous", 0.11, "homogeneous RMSE / Bayes floor 31 px (0.090)"),
    ],
)
def test_a_worse_set_misses_its_bar(scene_set: str, rmse: float, bar: str) -> None:
    assert found(results(**{scene_set: rmse}))[bar].passed is False


def test_one_set_outside_is_enough_to_miss_the_intervals() -> None:
    made = results()
    narrow = replace(GOOD, coverage=tuple(0.7 * level for level in LEVELS))
    made.rows["rtc-30m"][OURS] = row(narrow)
    bar = found(made)["90% interval covers, over all sets"]
    assert bar.passed is False
    assert "farthest: rtc-30m" in bar.figure


def test_what_took_no_part_is_not_measured() -> None:
    made = results()
    for name in ("warp-1", "homogeneous"):
        del made.rows[name]
    bars_found = found(made, dates=None, paper=None)
    missing = [bar.name for bar in bars_found.values() if bar.passed is None]
    assert any(name.startswith("warp-1") for name in missing)
    assert any(name.startswith("homogeneous") for name in missing)
    assert any("published layout" in name for name in missing)
    assert any("further dates" in name for name in missing)
    assert len(missing) == 4
    assert {line[3] for line in as_table(list(bars_found.values())).rows} == {"yes", "-"}
