"""Slices become passes, passes become pairs."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from shapely.geometry import box

from pipeline.config import Pairs
from pipeline.errors import CohmapError
from pipeline.passes import Slice, Track, group, make_pairs

TRACK = Track("ascending", 137)
T0 = dt.datetime(2021, 11, 19, 1, 58, 58, tzinfo=dt.UTC)


def piece(day: float, seconds: int = 0, order: str = "1", platform: str = "S1A", data_take: str = "") -> Slice:
    start = T0 + dt.timedelta(days=day, seconds=seconds)
    return Slice(f"{platform}-{day}-{order}", order, platform, start, TRACK, {"VV": "x"}, box(0, 0, 1, 1), data_take)


def test_slices_seconds_apart_are_one_pass() -> None:
    passes = group([piece(0, 0, "1"), piece(0, 25, "2"), piece(12, 0, "1")])
    assert [len(item.slices) for item in passes] == [2, 1]
    assert passes[0].id == "S1A_20211119T015858"


def test_the_order_slices_arrive_in_does_not_matter() -> None:
    slices = [piece(day, 10 * n, str(n)) for day in (0, 6, 12) for n in range(4)]
    expected = group(slices)
    random.Random(3).shuffle(slices)
    assert group(slices) == expected


def test_within_a_pass_the_slices_order_wins_over_time() -> None:
    assert [s.order for s in group([piece(0, 0, "b"), piece(0, 5, "a")])[0].slices] == ["a", "b"]


def test_data_takes_keep_passes_apart() -> None:
    assert len(group([piece(0, 0, data_take="1"), piece(0, 60, data_take="2")])) == 2


def test_platforms_keep_passes_apart() -> None:
    assert len(group([piece(0, 0), piece(0, 60, platform="S1B")])) == 2


def test_a_pass_has_the_bands_all_its_slices_have() -> None:
    both = Slice("x", "1", "S1A", T0, TRACK, {"VV": "a", "VH": "b"}, box(0, 0, 1, 1))
    one = Slice("y", "2", "S1A", T0, TRACK, {"VV": "a"}, box(1, 0, 2, 1))
    assert group([both, one])[0].bands == ("VV",)


def days(*numbers: float) -> list[tuple[str, dt.datetime]]:
    return [(f"p{number:g}", T0 + dt.timedelta(days=number)) for number in numbers]


def baselines(rule: Pairs, *numbers: float) -> list[int]:
    return [pair.days for pair in make_pairs(TRACK, days(*numbers), rule)]


def test_a_chain_pairs_each_pass_with_the_next() -> None:
    assert baselines(Pairs(mode="chain"), 0, 6, 18, 30) == [6, 12, 12]


def test_all_up_to_n_days() -> None:
    assert sorted(baselines(Pairs(mode="all", max_days=12), 0, 6, 12, 18)) == [6, 6, 6, 12, 12]


def test_listed_baselines_only_and_seconds_do_not_matter() -> None:
    assert baselines(Pairs(mode="baselines", baselines=(6, 360)), 0, 6.0005, 359.9995) == [6, 360]


def test_the_earlier_pass_is_the_reference_whatever_the_order() -> None:
    (pair,) = make_pairs(TRACK, days(12, 0), Pairs())
    assert (pair.reference, pair.secondary, pair.id) == ("p0", "p12", "20211119_20211201")


def test_one_pass_makes_no_pair() -> None:
    with pytest.raises(CohmapError, match="only 1 pass"):
        make_pairs(TRACK, days(0), Pairs())


def test_no_fitting_baseline_lists_those_there_are() -> None:
    with pytest.raises(CohmapError, match="baselines of 12, 24 days"):
        make_pairs(TRACK, days(0, 12, 24), Pairs(mode="baselines", baselines=(6,)))
