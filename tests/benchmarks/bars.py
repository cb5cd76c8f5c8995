"""What the coherence benchmark asks of the default estimator: each bar with its figure and its limit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from models.evaluate.run import Results
from models.evaluate.scores import BINS, Scores
from models.evaluate.tables import Table, number

PUBLISHED = tuple(f"{name} calibrated" for name in ("guarnieri-prati", "rignot-van-zyl", "touzi-intensity"))
LOG_CORRELATION = "log-correlation calibrated"
SHIFTS = tuple(f"shift-{shift:g}" for shift in (0.25, 0.5, 1.0, 2.0, 4.0))
FLOOR_WINDOW = 31
COVERAGE = {0.68: (0.63, 0.73), 0.9: (0.86, 0.94)}


@dataclass(frozen=True)
class Bar:
    """One thing asked for.

    Attributes
    ----------
    name
        What is measured.
    figure, limit
        What came out, and what was asked for, as text.
    passed
        Whether it was reached; None where it wasn't measured.
    """

    name: str
    figure: str
    limit: str
    passed: bool | None


def at_most(name: str, value: float, limit: float, form: str = ".3f") -> Bar:
    """A bar that a number must not exceed."""
    if math.isnan(value):
        return not_measured(name, f"<= {limit:g}")
    return Bar(name, number(value, form), f"<= {limit:g}", value <= limit)


def not_measured(name: str, limit: str) -> Bar:
    """A bar about sets or contenders that didn't take part."""
    return Bar(name, "not measured", limit, None)


def as_table(bars: list[Bar]) -> Table:
    """The bars, one a row."""
    verdicts = {True: "yes", False: "no", None: "-"}
    rows = tuple((bar.name, bar.figure, bar.limit, verdicts[bar.passed]) for bar in bars)
    return Table("Bars (medians over seeds, simulated)", ("bar", "figure", "limit", "reached"), rows)


def bars(results: Results, ours: str, *, with_dates: str | None, paper: str | None) -> Iterator[Bar]:
    """The bars that follow from scores.

    Parameters
    ----------
    ours, with_dates, paper
        Contenders: the estimator that the bars are about, the same with further dates, and the published layout; None
        where there is none.
    """
    scores = {name: row[ours].median for name, row in results.rows.items()}
    yield from _against_others(results, scores.get("matched"), with_dates, paper)
    yield from _against_matched(scores)
    yield from _homogeneous(results, scores.get("homogeneous"))
    yield from _intervals(scores)


def _against_others(
    results: Results, matched: Scores | None, with_dates: str | None, paper: str | None
) -> Iterator[Bar]:
    rows = results.rows.get("matched", {})
    published = [rows[name].median.rmse for name in PUBLISHED if name in rows]
    yield _ratio("matched RMSE / best published, calibrated", matched, min(published, default=math.nan), 0.58)
    crude = rows[LOG_CORRELATION].median.rmse if LOG_CORRELATION in rows else math.nan
    yield _ratio("matched RMSE / log-correlation, calibrated", matched, crude, 0.65)
    name, limit = "matched RMSE below the published layout's", "intervals apart"
    if matched is None or paper not in rows:
        yield not_measured(name, limit)
    else:
        other = rows[paper].median
        figure = f"{matched.rmse_low:.3f}-{matched.rmse_high:.3f} against {other.rmse_low:.3f}-{other.rmse_high:.3f}"
        yield Bar(name, figure, limit, matched.rmse_high < other.rmse_low)
    without = math.nan if matched is None else matched.rmse
    helped = rows[with_dates].median if with_dates in rows else None
    yield _ratio("matched RMSE with further dates / without", helped, without, 0.92)


def _against_matched(scores: dict[str, Scores]) -> Iterator[Bar]:
    matched = scores["matched"].rmse if "matched" in scores else math.nan
    limits = dict.fromkeys(SHIFTS, 1.05) | {"warp-1": 1.12}
    limits |= dict.fromkeys(("unseen-texture", "single-look", "looks-10x2", "vh-snr"), 1.15)
    for name, limit in limits.items():
        yield _ratio(f"{name} RMSE / matched", scores.get(name), matched, limit)
    baselines = scores.get("unseen-baselines")
    more = math.nan if baselines is None else baselines.rmse - matched
    yield at_most("unseen-baselines RMSE - matched", more, 0.01, "+.3f")
    low = math.nan if baselines is None else baselines.bias_by_bin[0]
    yield at_most(f"unseen-baselines bias where coherence is below {BINS[1]:g}", low, 0.08, "+.3f")


def _homogeneous(results: Results, homogeneous: Scores | None) -> Iterator[Bar]:
    floor = results.floors.get("homogeneous", {}).get(FLOOR_WINDOW, math.nan)
    yield _ratio(f"homogeneous RMSE / Bayes floor {FLOOR_WINDOW} px ({number(floor)})", homogeneous, floor, 1.15)


def _intervals(scores: dict[str, Scores]) -> Iterator[Bar]:
    """The set that is farthest from each interval's level decides."""
    for level, (low, high) in COVERAGE.items():
        covered = {name: found.coverage_at(level) for name, found in scores.items()}
        worst = max(covered, key=lambda name, of=covered, at=level: abs(of[name] - at))  # type: ignore[misc]
        inside = all(low <= share <= high for share in covered.values())
        spread = f"{min(covered.values()):.2f}-{max(covered.values()):.2f}, farthest: {worst}"
        yield Bar(f"{level:.0%} interval covers, over all sets", spread, f"{low:.2f}-{high:.2f}", inside)


def _ratio(name: str, scores: Scores | None, other: float, limit: float) -> Bar:
    return at_most(name, math.nan if scores is None else scores.rmse / other, limit, ".2f")
