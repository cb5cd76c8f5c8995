"""Overlapping maps: how they are blended, and the step that is left where one ends."""

from __future__ import annotations

import numpy as np
import pytest

from models.blend import Steps, blend
from pipeline.season.feather import LEAST, Feather, ramp

NAN = np.nan


def test_maps_count_by_their_precision_and_their_weight() -> None:
    values = np.array([0.2, 0.6], np.float32).reshape(2, 1, 1)
    sigma = np.array([0.1, 0.2], np.float32).reshape(2, 1, 1)
    mean, error = blend(values, sigma, np.ones((2, 1, 1)))
    assert mean[0, 0] == pytest.approx((0.2 * 4 + 0.6) / 5)
    assert error[0, 0] == pytest.approx(1 / np.sqrt(125))
    mean, _ = blend(values, sigma, np.array([0.25, 1.0]).reshape(2, 1, 1))
    assert mean[0, 0] == pytest.approx(0.4)


def test_where_one_map_ends_the_other_stands_alone_whatever_its_weight() -> None:
    values = np.array([[[0.2, NAN, NAN]], [[0.6, 0.6, NAN]]], np.float32)
    weights = np.full(values.shape, LEAST)
    mean, error = blend(values, np.full_like(values, 0.1), weights)
    assert mean[0, 1] == pytest.approx(0.6)
    assert error[0, 1] == pytest.approx(0.1)
    assert np.isnan([mean[0, 2], error[0, 2]]).all()


def test_weights_rise_from_the_edge_of_a_coverage_but_not_from_the_regions() -> None:
    there = np.zeros((4, 10), bool)
    there[:, :6] = True
    weights = ramp(there, cell=100.0, metres=400.0)
    np.testing.assert_allclose(weights[0], [1.0, 1.0, 0.875, 0.625, 0.375, 0.125, *[LEAST] * 4])
    assert (ramp(np.ones((3, 3), bool), 100.0, 400.0) == 1).all()
    assert (ramp(there, 100.0, 0.0) == 1).all()


def test_weights_between_cells_are_interpolated() -> None:
    feather = Feather(np.array([[0.0, 1.0]]), (4.0, 4.0))
    np.testing.assert_allclose(feather.weights(slice(0, 1), slice(1, 7))[0], [0.0, 0.125, 0.375, 0.625, 0.875, 1.0])


def test_feathering_shrinks_the_step_at_a_border() -> None:
    west = np.where(np.arange(40) < 25, 0.7, NAN)
    values = np.stack([np.tile(west, (6, 1)), np.full((6, 40), 0.5)]).astype(np.float32)
    sigma = np.full_like(values, 0.1)
    weights = np.stack([ramp(np.isfinite(values[0]), 10.0, 150.0), np.ones((6, 40))])
    (plain, _), (soft, _) = blend(values, sigma, np.ones_like(weights)), blend(values, sigma, weights)
    steps = Steps()
    steps.count(plain, soft, np.isfinite(values), (6, 40))
    facts = steps.facts()
    assert facts["seam_pixels"] == 6
    assert facts["seam_step_unfeathered"] == pytest.approx(0.1)
    assert facts["seam_step"] < 0.01
    assert facts["step_elsewhere"] < 0.01


def test_windows_with_a_row_and_a_column_more_count_every_step_once() -> None:
    rng = np.random.default_rng(1)
    values = rng.random((2, 9, 7)).astype(np.float32)
    values[0, :, 4:] = NAN
    mean, _ = blend(values, np.full_like(values, 0.1), np.ones_like(values, dtype=np.float64))
    there = np.isfinite(values)
    whole, parts = Steps(), Steps()
    whole.count(mean, mean, there, (9, 7))
    for top, left in ((0, 0), (0, 4), (5, 0), (5, 4)):
        bottom, right = min(top + 5, 9), min(left + 4, 7)
        cut = np.s_[top : min(bottom + 1, 9), left : min(right + 1, 7)]
        parts.count(mean[cut], mean[cut], there[:, *cut], (bottom - top, right - left))
    assert (parts.border, parts.other) == (whole.border, whole.other)
    assert parts.after == pytest.approx(whole.after)
