"""Which dates of a stack make pairs, and which others stand beside a pair."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import combinations

from pipeline.errors import CohmapError
from pipeline.slc.dates import date_in

DatePair = tuple[dt.date, dt.date]


def choose_pairs(dates: Sequence[dt.date], max_days: int, named: str = "") -> list[DatePair]:
    """Every pair of dates at most so many days apart, or those that are named.

    Parameters
    ----------
    dates
        Sorted.
    named
        20230319-20230331, with commas between pairs; order within a pair doesn't matter.

    Raises
    ------
    CohmapError
        There is no such pair, or a date that isn't in the stack is named.
    """
    if named.strip():
        return [_pair(text.strip(), dates) for text in named.split(",") if text.strip()]
    pairs = [(one, two) for one, two in combinations(dates, 2) if (two - one).days <= max_days]
    if not pairs:
        nearest = min((two - one).days for one, two in combinations(dates, 2))
        raise CohmapError(f"no two dates are within {max_days} days, the nearest are {nearest} apart; raise --max-days")
    return pairs


def the_pair(dates: Sequence[dt.date], named: str) -> DatePair:
    """The one pair that is named, or that there is.

    Raises
    ------
    CohmapError
        There are several, or not the one that is named.
    """
    if named.strip():
        return _pair(named.strip(), dates)
    if len(dates) != 2:
        raise CohmapError(f"there are {len(dates)} dates ({_listed(dates)}); choose two with --pair 20230319-20230331")
    return dates[0], dates[1]


def _pair(text: str, dates: Sequence[dt.date]) -> DatePair:
    first, _, second = text.partition("-")
    days = sorted(day for day in (date_in(first), date_in(second)) if day is not None)
    if len(days) != 2 or days[0] == days[1]:
        raise CohmapError(f"--pairs {text} is no pair; write it as 20230319-20230331, with commas between pairs")
    missing = [str(day) for day in days if day not in dates]
    if missing:
        raise CohmapError(f"--pairs {text}: the stack has nothing of {missing[0]}; its dates: {_listed(dates)}")
    return days[0], days[1]


def _listed(dates: Sequence[dt.date]) -> str:
    return ", ".join(str(day) for day in dates[:8]) + (", …" if len(dates) > 8 else "")


def parse_dates(text: str) -> list[dt.date]:
    """Days given by hand, 20230319,20230331.

    Raises
    ------
    CohmapError
        One of them is no day.
    """
    days = []
    for part in (part.strip() for part in text.split(",")):
        day = date_in(part)
        if day is None:
            raise CohmapError(f"--dates: {part!r} is no day; write 20230319,20230331")
        days.append(day)
    return days


def beside(pair: DatePair, dates: Sequence[dt.date], count: int) -> list[dt.date]:
    """At most so many other dates, those nearest to the middle of the pair first."""
    others = [day for day in dates if day not in pair]
    return sorted(others, key=lambda day: (abs((day - pair[0]) + (day - pair[1])), day))[:count]
