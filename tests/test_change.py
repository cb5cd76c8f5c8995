"""The coherence drop: which pairs are compared, what the score measures, and what the threshold promises."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from pipeline.change import (
    count_scores,
    drop_score,
    logit_of_square,
    null_scores,
    threshold_at,
)
from pipeline.comparison import compare
from pipeline.config import Change, Pairs
from pipeline.cube import FloatArray
from pipeline.errors import CohmapError
from pipeline.passes import Pair, Track, make_pairs

TRACK = Track("ascending", 15)
T0 = dt.datetime(2023, 1, 8, 17, tzinfo=dt.UTC)


def pairs(count: int, max_days: int = 24) -> tuple[Pair, ...]:
    passes = [(f"p{n}", T0 + dt.timedelta(days=12 * n)) for n in range(count)]
    return tuple(make_pairs(TRACK, passes, Pairs(mode="all", max_days=max_days)))


def day(number: int) -> dt.date:
    return (T0 + dt.timedelta(days=number)).date()


def test_an_event_splits_the_pairs_of_the_shortest_baseline() -> None:
    (comparison,) = compare(pairs(8), Change(event=day(54)))
    assert {pair.days for pair in (*comparison.normal, *comparison.tested)} == {12}
    assert [pair.secondary for pair in comparison.normal] == ["p1", "p2", "p3", "p4"]
    assert [(pair.reference, pair.secondary) for pair in comparison.tested] == [("p4", "p5")]


def test_a_baseline_period_tests_every_later_pair_on_its_own() -> None:
    comparisons = compare(pairs(8, max_days=12), Change(baseline_period=(day(0), day(37))))
    assert [len(comparison.normal) for comparison in comparisons] == [3, 3, 3, 3]
    assert [comparison.tested[0].secondary for comparison in comparisons] == ["p4", "p5", "p6", "p7"]


def test_too_few_normal_pairs_are_no_ground_to_judge() -> None:
    with pytest.raises(CohmapError, match="3 pairs before"):
        compare(pairs(4), Change(event=day(30)))


def maps(level: float, count: int, seed: int, spread: float = 0.05) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    coherence = np.clip(rng.normal(level, spread, (count, 200, 200)), 0, 1).astype(np.float32)
    return coherence, np.full_like(coherence, spread)


def test_the_score_of_nothing_has_unit_spread() -> None:
    coherence, sigma = maps(0.6, 6, seed=1)
    tested, _ = maps(0.6, 1, seed=2)
    score = drop_score(coherence, sigma, tested)
    assert abs(float(score.mean())) < 0.02
    assert 0.9 < float(score.std()) < 1.15


def test_a_drop_scores_high_and_a_rise_low() -> None:
    coherence, sigma = maps(0.6, 6, seed=1)
    assert float(drop_score(coherence, sigma, maps(0.3, 1, seed=2)[0]).mean()) > 3
    assert float(drop_score(coherence, sigma, maps(0.8, 1, seed=2)[0]).mean()) < -2


def test_the_mask_keeps_its_rate_where_nothing_happened() -> None:
    coherence, sigma = maps(0.6, 6, seed=1)
    threshold = threshold_at(count_scores(null_scores(coherence, sigma)), rate=0.02)
    score = drop_score(coherence, sigma, maps(0.6, 1, seed=2)[0])
    assert 0.012 < float((score > threshold).mean()) < 0.024


def test_no_data_in_any_pair_is_no_score() -> None:
    coherence, sigma = maps(0.6, 4, seed=1)
    coherence[2, 0, 0] = np.nan
    tested = maps(0.6, 1, seed=2)[0]
    tested[0, 1, 1] = np.nan
    score = drop_score(coherence, sigma, tested)
    assert np.isnan(score[0, 0])
    assert np.isnan(score[1, 1])
    assert np.isfinite(score[2:]).all()


def test_the_ends_of_coherence_stay_finite() -> None:
    assert np.isfinite(logit_of_square(np.array([0, 1], np.float32))).all()


def test_without_scores_nothing_passes_the_threshold() -> None:
    assert threshold_at(count_scores(np.full((3, 3), np.nan, np.float32)), rate=0.01) == 50.0
