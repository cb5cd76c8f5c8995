"""Scores: each against its definition, on arrays small enough to see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.estimator import FloatArray
from models.evaluate.constant import histogram, predict
from models.evaluate.scores import LEVELS, Sums, edges, interval, measure, median, similarity, summarise


def images(seed: int, side: int = 40) -> tuple[FloatArray, FloatArray]:
    """A truth of four values and an estimate with an error of 0.1."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.repeat(np.array([[0.1, 0.9], [0.5, 0.3]]), side // 2, 0), side // 2, 1)
    return (truth + rng.normal(0.0, 0.1, truth.shape)).astype(np.float32), truth.astype(np.float32)


def test_errors_are_what_their_names_say() -> None:
    estimate, truth = images(1)
    error = (estimate - truth).astype(np.float64)
    scores = summarise([measure(estimate, truth)])
    assert scores.rmse == pytest.approx(np.sqrt((error**2).mean()))
    assert scores.mae == pytest.approx(np.abs(error).mean())
    assert scores.bias == pytest.approx(error.mean())
    assert scores.r == pytest.approx(np.corrcoef(estimate.ravel(), truth.ravel())[0, 1])
    assert (scores.pixels, scores.scenes) == (1600, 1)
    assert scores.bias_by_bin[0] == pytest.approx(error[:20, :20].mean())
    assert scores.rmse_by_bin[4] == pytest.approx(np.sqrt((error[:20, 20:] ** 2).mean()))
    assert math.isnan(scores.rmse_by_bin[3])  # no truth between 0.6 and 0.8


def test_scenes_add_up_to_the_same_scores_as_one_large_scene() -> None:
    parts = [images(seed) for seed in range(3)]
    apart = summarise([measure(*part) for part in parts])
    together = summarise([measure(*(np.concatenate([part[i] for part in parts]) for i in (0, 1)))])
    for name in ("rmse", "mae", "bias", "r", "rmse_by_bin", "bias_by_bin"):
        np.testing.assert_allclose(getattr(apart, name), getattr(together, name), rtol=1e-6)


def test_pixels_without_an_estimate_or_a_truth_do_not_count() -> None:
    estimate, truth = images(2)
    whole = summarise([measure(estimate[:20], truth[:20])])
    estimate[20:30] = np.nan
    truth[30:] = np.nan
    half = summarise([measure(estimate, truth)])
    assert (half.pixels, half.rmse, half.r) == pytest.approx((whole.pixels, whole.rmse, whole.r))


def test_nothing_to_compare_gives_no_number() -> None:
    nothing = np.full((8, 8), np.nan, np.float32)
    scores = summarise([measure(nothing, nothing, nothing)])
    assert scores.pixels == 0
    assert math.isnan(scores.rmse)
    assert math.isnan(scores.ssim)


def test_a_true_sigma_covers_what_it_promises() -> None:
    rng = np.random.default_rng(3)
    truth = np.full((300, 300), 0.5, np.float32)
    sigma = rng.uniform(0.05, 0.2, truth.shape).astype(np.float32)
    scores = summarise([measure((truth + sigma * rng.normal(size=truth.shape)).astype(np.float32), truth, sigma)])
    np.testing.assert_allclose(scores.coverage, LEVELS, atol=0.01)
    assert scores.coverage_at(0.9) == pytest.approx(0.9, abs=0.01)


def test_without_sigma_there_is_no_coverage() -> None:
    assert math.isnan(summarise([measure(*images(1))]).coverage_at(0.68))


def test_an_edge_is_within_3_px_of_a_step_of_more_than_0_15() -> None:
    truth = np.zeros((9, 30), np.float32)
    truth[:, 10:] = 0.2
    truth[:, 22:] = 0.3  # too low a step
    (columns,) = np.nonzero(edges(truth)[4])
    assert (columns.min(), columns.max()) == (6, 13)
    assert edges(truth).any(axis=0).sum() == 8


def test_a_step_spread_over_the_resolution_cell_is_still_an_edge() -> None:
    truth = np.tile(np.interp(np.arange(30), (9.0, 12.0), (0.2, 0.5)), (5, 1)).astype(np.float32)
    assert edges(truth)[2, 10]


def test_errors_are_split_at_edges() -> None:
    truth = np.zeros((20, 40), np.float32)
    truth[:, 20:] = 0.5
    estimate = truth + np.where(edges(truth), 0.2, 0.1).astype(np.float32)
    scores = summarise([measure(estimate, truth)])
    assert (scores.rmse_edges, scores.rmse_inside) == pytest.approx((0.2, 0.1))


def test_similarity_is_1_for_equal_images_and_follows_its_formula() -> None:
    estimate, truth = images(4)
    np.testing.assert_allclose(similarity(truth, truth), 1.0)
    x, y = estimate[:7, :7].astype(np.float64), truth[:7, :7].astype(np.float64)
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    expected = (2 * x.mean() * y.mean() + 1e-4) * (2 * covariance + 9e-4)
    expected /= (x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (x.var() + y.var() + 9e-4)
    assert similarity(estimate, truth)[0] == pytest.approx(expected)
    assert similarity(estimate, truth).size == 34 * 34


def test_the_interval_widens_where_scenes_differ() -> None:
    alike = [measure(*images(seed)) for seed in range(6)]
    mixed = [*alike[:5], measure(images(5)[1] + np.float32(0.5), images(5)[1])]
    narrow, wide = summarise(alike), summarise(mixed)
    assert narrow.rmse_low < narrow.rmse < narrow.rmse_high
    assert wide.rmse_high - wide.rmse_low > 10 * (narrow.rmse_high - narrow.rmse_low)


def test_the_median_over_seeds_keeps_the_interval_it_is_given() -> None:
    seeds = [summarise([measure(*images(seed))]) for seed in range(3)]
    middle = median(seeds, (0.05, 0.2))
    assert middle.rmse == sorted(scores.rmse for scores in seeds)[1]
    assert (middle.rmse_low, middle.rmse_high) == (0.05, 0.2)
    assert (middle.scenes, middle.pixels) == (3, 4800)


def test_sums_survive_their_way_through_json() -> None:
    estimate, truth = images(5)
    sums = measure(estimate, truth, np.full_like(truth, 0.1), seconds=0.25)
    read = Sums.from_json(sums.to_json())
    assert summarise([read]).rmse == pytest.approx(summarise([sums]).rmse, rel=1e-6)
    assert summarise([read]).r == pytest.approx(summarise([sums]).r, abs=1e-6)
    assert summarise([read]).seconds == pytest.approx(0.25 / 1600e-6)


def test_the_constant_scores_as_if_it_had_been_measured() -> None:
    truths = [np.random.default_rng(seed).uniform(0.0, 1.0, (30, 30)).astype(np.float32) for seed in range(3)]
    mean = np.float32(np.mean(truths))
    spread = np.full((30, 30), np.std(truths), np.float32)
    direct = summarise([measure(np.full_like(truth, mean), truth, spread) for truth in truths])
    derived = summarise(predict([histogram(truth) for truth in truths]))
    for name in ("rmse", "mae", "bias", "rmse_by_bin", "bias_by_bin", "rmse_edges", "coverage"):
        np.testing.assert_allclose(getattr(derived, name), getattr(direct, name), atol=0.01)
    assert math.isnan(derived.r)


def test_an_interval_of_no_pixels_is_unknown() -> None:
    assert all(math.isnan(end) for end in interval(np.zeros((3, 2))))
