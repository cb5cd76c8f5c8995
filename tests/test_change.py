"""The statistics of change: departures, the omnibus test, counted nulls, false discoveries, sequences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from models.change import evidence
from models.change.combine import NEIGHBOURHOOD, fisher, smoothed
from models.change.departure import departure, logit_of_square, logit_variance, normal_score
from models.change.discovery import count_p, discovery_threshold
from models.change.null import Null, count, measure_bulk, nothing_counted
from models.change.omnibus import omnibus, score, step, step_p, windowed, windowed_looks
from models.change.sequence import (
    CONFIRMED_HIGH,
    FINISHED_HIGH,
    FIRST_HIGH,
    FIRST_LOW,
    NOTHING,
    PROVISIONAL_HIGH,
    UNKNOWN,
    State,
    nothing_known,
    update,
)

FloatArray = npt.NDArray[np.float32]


def maps(level: float, count: int, seed: int, spread: float = 0.05) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    coherence = np.clip(rng.normal(level, spread, (count, 100, 100)), 0, 1).astype(np.float32)
    return coherence, np.full_like(coherence, spread)


def departed(level: float, *, hole: bool = False) -> FloatArray:
    """Departure of a map of this level from six of 0.6."""
    coherence, sigma = (np.concatenate(both) for both in zip(maps(0.6, 6, 1), maps(level, 1, 2), strict=True))
    if hole:
        coherence[2, 0, 0] = coherence[6, 1, 1] = np.nan
    return departure(logit_of_square(coherence), logit_variance(coherence, sigma), 6, range(6))


def test_a_drop_scores_high_and_a_rise_low() -> None:
    nothing, drop, rise = (float(departed(level).mean()) for level in (0.6, 0.3, 0.8))
    assert abs(nothing) < 0.05
    assert drop > 1
    assert rise < -0.5


def test_a_missing_normal_pair_is_left_out_and_a_missing_tested_one_is_no_score() -> None:
    found = departed(0.3, hole=True)
    assert np.isfinite(found[0, 0])
    assert np.isnan(found[1, 1])


def test_the_ends_of_coherence_stay_finite() -> None:
    assert np.isfinite(logit_of_square(np.array([0, 1], np.float32))).all()


@pytest.mark.parametrize("freedom", [4.0, 9.0, 30.0])
def test_scores_of_students_t_keep_their_tail(freedom: float) -> None:
    t = np.array([-3.0, -0.5, 0.0, 1.0, 2.0, 4.0], np.float32)
    exact = -special.ndtri(special.stdtr(freedom, -t.astype(float)))
    assert normal_score(t, np.full_like(t, freedom)) == pytest.approx(exact, abs=0.03)


def gamma(dates: int, looks: float = 5.0) -> FloatArray:
    return np.random.default_rng(3).gamma(looks, 1 / looks, (dates, 200, 200)).astype(np.float32)


@pytest.mark.parametrize("dates", [2, 6])
def test_the_omnibus_test_keeps_its_level(dates: int) -> None:
    _, p = omnibus(gamma(dates), 5.0)
    assert float((p < 0.05).mean()) == pytest.approx(0.05, abs=0.004)


def test_a_step_of_the_omnibus_test_keeps_its_level_and_sees_a_change() -> None:
    images = gamma(5)
    statistic = step(images[:4].sum(axis=0), 4, images[4], 5.0)
    assert float((step_p(statistic) < 0.05).mean()) == pytest.approx(0.05, abs=0.004)
    assert float((score(statistic) > 1.6449).mean()) == pytest.approx(0.05, abs=0.004)
    changed = step(images[:4].sum(axis=0), 4, 4 * images[4], 5.0)
    assert float((step_p(changed) < 0.05).mean()) > 0.6


def test_the_steps_add_up_to_the_whole() -> None:
    images, looks = gamma(4), 1e9  # so many looks that the corrections of the chi-squared laws vanish
    whole, _ = omnibus(images, looks)
    steps = sum(step(images[:j].sum(axis=0), j, images[j], looks) for j in range(1, 4))
    assert steps == pytest.approx(whole, rel=1e-4)


def test_looks_of_a_window_lie_between_one_pixels_and_independent_ones() -> None:
    assert 4 < windowed_looks(10.0, 1) < 5
    assert 2 * windowed_looks(10.0, 1) < windowed_looks(10.0, 5) < 25 * windowed_looks(10.0, 1)


def test_images_averaged_together_are_those_averaged_alone() -> None:
    images = gamma(4)
    images[1, 20:30, 50:60] = images[2, 20:30, 50:60] = np.nan  # from here on the ground covered is another, and again
    together = list(windowed(images, 5))
    for image, found in zip(images, together, strict=True):
        (alone,) = windowed([image], 5)
        assert np.array_equal(found, alone, equal_nan=True)


def test_steps_of_pixels_with_different_numbers_of_dates_are_those_of_each_number() -> None:
    images = gamma(3)
    dates = np.random.default_rng(8).integers(0, 3, images.shape[1:])
    total = np.where(dates > 1, images[0] + images[1], np.where(dates == 1, images[0], np.float32(0)))
    found = step(total, dates, images[2], 5.0)
    assert np.isnan(found[dates == 0]).all()
    for number in (1, 2):
        assert np.array_equal(found[dates == number], step(total, number, images[2], 5.0)[dates == number])


@pytest.mark.parametrize("rows", [evidence.STRIP - 1, evidence.STRIP, 3 * evidence.STRIP + 5])
def test_scores_taken_by_strips_are_those_of_the_whole(rows: int) -> None:
    rng = np.random.default_rng(9)
    coherence = rng.uniform(0.2, 0.9, (5, rows, 40)).astype(np.float32)
    coherence[1, :9, :9] = np.nan
    scene = evidence.make_scene([coherence], [np.full_like(coherence, 0.1)], [gamma(4)[:, :rows, :40]], 10.0)
    targets = [
        evidence.Target(((evidence.Tested(pair, (0, 1, 2)),),), image, tuple(range(image)))
        for pair, image in ((4, 3), (3, 2))
    ]
    whole = zip(evidence.coherence_scores(scene, targets), evidence.intensity_scores(scene, targets), strict=True)
    for (coherent, intense), expected in zip(evidence.raw_scores(scene, targets), whole, strict=True):
        assert intense is not None
        assert np.array_equal(coherent, expected[0], equal_nan=True)
        assert np.array_equal(intense, expected[1], equal_nan=True)


def test_a_counted_null_gives_its_own_scores_their_shares() -> None:
    scores = np.random.default_rng(4).standard_t(5, 200_000).astype(np.float32)
    null = Null(count(scores))
    p = null.probability(scores)
    for rate in (0.5, 0.1, 0.01, 0.003):
        assert float((p <= rate).mean()) == pytest.approx(rate, rel=0.12)
    normal = null.normal(scores)
    assert float(normal.std()) == pytest.approx(1.0, abs=0.02)
    assert np.all(np.diff(null.normal(np.linspace(-30, 30, 500, dtype=np.float32))) >= 0)
    assert np.isnan(null.probability(np.array([np.nan], np.float32))).all()


def test_where_nothing_was_counted_scores_are_taken_for_normal_ones() -> None:
    null = Null(nothing_counted())
    assert null.normal(np.array([-1.0, 0.0, 2.5], np.float32)) == pytest.approx([-1.0, 0.0, 2.5], abs=1e-2)


def test_the_bulk_is_that_of_the_unchanged_ground() -> None:
    rng = np.random.default_rng(5)
    day = np.concatenate([rng.normal(0.4, 1.3, 90_000), rng.normal(6, 1, 10_000)]).astype(np.float32)
    bulk = measure_bulk(count(day), keep_middle=False)
    assert bulk.middle == pytest.approx(0.4, abs=0.15)
    assert bulk.spread == pytest.approx(1.3, abs=0.06)
    assert measure_bulk(count(day), keep_middle=True).middle == 0.0
    calm = rng.normal(-0.5, 0.7, 50_000).astype(np.float32)
    assert measure_bulk(count(calm), keep_middle=False).corrected(calm) == pytest.approx(calm)


def test_false_discoveries_stay_below_their_rate() -> None:
    rng = np.random.default_rng(6)
    chance, real = rng.random(90_000), special.ndtr(-rng.normal(4, 1, 10_000))
    threshold = discovery_threshold(count_p(np.concatenate([chance, real])), 0.05)
    false, true = int((chance <= threshold).sum()), int((real <= threshold).sum())
    assert 0.02 < false / (false + true) < 0.055
    assert true > 8_000
    assert discovery_threshold(count_p(np.full(1000, 0.5)), 0.05) == 0.0


def test_one_strong_opinion_is_enough() -> None:
    strong, none = np.array([5.0], np.float32), np.array([0.0], np.float32)
    assert fisher([strong]) == pytest.approx(5.0)
    assert float(fisher([strong, none])[0]) > 4.0 > float((strong + none)[0] / np.sqrt(2))


def test_a_tile_is_smoothed_as_the_whole_map_is() -> None:
    whole = np.random.default_rng(7).standard_normal((40, 60)).astype(np.float32)
    whole[5:9, 28:33] = np.nan
    reach = NEIGHBOURHOOD // 2
    part = smoothed(whole[:, 30 - reach :])[:, reach:]
    assert np.array_equal(part, smoothed(whole)[:, 30:], equal_nan=True)


def followed(*scores: float) -> State:
    """One pixel's state after these passes, ten days apart."""
    state = nothing_known((1, 1), 0)
    for number, value in enumerate(scores, start=1):
        state = update(state, np.full((1, 1), value, np.float32), np.full((1, 1), 0.3, np.float32), 10 * number, 0.01)
    return state


@pytest.mark.parametrize(
    ("scores", "status"),
    [
        ([], UNKNOWN),
        ([np.nan], UNKNOWN),
        ([0.0], NOTHING),
        ([0.0, 2.5], FIRST_LOW),
        ([0.0, 5.0], FIRST_HIGH),
        ([0.0, 5.0, 2.5], PROVISIONAL_HIGH),
        ([0.0, 5.0, 0.0, 2.5, 2.5], CONFIRMED_HIGH),
        ([0.0, 2.5, 0.0, 0.0], NOTHING),
        ([5.0, 5.0, 5.0, 0.0], CONFIRMED_HIGH),
        ([5.0, 5.0, 5.0, 0.0, 0.0], FINISHED_HIGH),
        ([5.0, 5.0, 5.0, 0.0, np.nan, 0.0, 0.0, 2.5], FIRST_LOW),
    ],
)
def test_states_follow_the_passes(scores: list[float], status: int) -> None:
    assert followed(*scores).status[0, 0] == status


def test_a_change_lies_between_the_last_quiet_pass_and_the_first_detection() -> None:
    state = followed(0.0, np.nan, 5.0, 4.0)
    assert (state.before[0, 0], state.first[0, 0], state.hits[0, 0]) == (10, 30, 2)
    assert state.peak[0, 0] == 5.0
    assert state.loss[0, 0] == pytest.approx(0.3)
    assert state.confidence[0, 0] == 7.0


def test_what_is_forgotten_leaves_no_date_behind() -> None:
    state = followed(0.0, 2.5, 0.0, 0.0)
    assert (state.first[0, 0], state.hits[0, 0], state.peak[0, 0]) == (0, 0, 0)
