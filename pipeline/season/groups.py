"""Which pairs belong to a season and to a nominal baseline of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import CohmapError
from pipeline.passes import Pair, Track
from pipeline.season.settings import Season

CALENDAR = {
    "djf": (12, 1, 2),
    "mam": (3, 4, 5),
    "jja": (6, 7, 8),
    "son": (9, 10, 11),
}


@dataclass(frozen=True)
class Level:
    """Pairs of one track, season and nominal baseline.

    Attributes
    ----------
    season
        ``djf``, ``mam``, ``jja``, ``son``, or a name of the region file.
    baseline
        The nominal baseline in days, as it was asked for.
    pairs
        Those nearest to it, within the tolerance.
    """

    season: str
    track: Track
    baseline: int
    pairs: tuple[Pair, ...]

    @property
    def days(self) -> float:
        """Mean temporal baseline of its pairs."""
        return sum(pair.days for pair in self.pairs) / len(self.pairs)


def season_of(pair: Pair, rule: Season) -> str | None:
    """The season that holds the middle day of a pair; None where the region's own seasons leave it out."""
    middle = middle_day(pair)
    if not rule.ranges:
        return next(name for name, months in CALENDAR.items() if middle.month in months)
    return next((season.name for season in rule.ranges if season.first <= middle <= season.last), None)


def middle_day(pair: Pair) -> dt.date:
    """The day half way between a pair's passes."""
    return (pair.reference_start + (pair.secondary_start - pair.reference_start) / 2).date()


def nominal_baseline(days: int, rule: Season) -> int | None:
    """The nearest nominal baseline within the tolerance; the shorter one of two as near."""
    nearest = min(sorted(rule.baselines), key=lambda baseline: abs(baseline - days))
    return nearest if abs(nearest - days) <= rule.tolerance else None


def make_levels(pairs: Mapping[Track, Sequence[Pair]], rule: Season) -> list[Level]:
    """All levels that have pairs, by season (in the order of the year or of the region file), track and baseline.

    Raises
    ------
    CohmapError
        No pair falls into a season and near a baseline.
    """
    found: dict[tuple[str, Track, int], list[Pair]] = {}
    for track, members in pairs.items():
        for pair in members:
            season, baseline = season_of(pair, rule), nominal_baseline(pair.days, rule)
            if season is not None and baseline is not None:
                found.setdefault((season, track, baseline), []).append(pair)
    if not found:
        raise CohmapError(_why_none([pair for members in pairs.values() for pair in members], rule))
    order = [season.name for season in rule.ranges] or list(CALENDAR)
    keys = sorted(found, key=lambda key: (order.index(key[0]), key[1], key[2]))
    return [Level(*key, tuple(found[key])) for key in keys]


def _why_none(pairs: Iterable[Pair], rule: Season) -> str:
    days = sorted({pair.days for pair in pairs})
    if not any(nominal_baseline(each, rule) for each in days):
        return (
            f"[season] no pair lies within {rule.tolerance} days of the baselines {list(rule.baselines)}; the region's "
            f"pairs have {', '.join(str(each) for each in days[:12])} days: name those in baselines, or ask for other "
            "pairs in [pairs]"
        )
    return (
        "[season] no pair's middle day lies in one of the ranges; widen them, or leave them out for DJF, MAM, JJA, SON"
    )
