"""The published scheme of overlapping patches."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import ModelError
from models.estimator import FloatArray
from models.tiling import BETA, PATCH, STRIDE, blend_patches


def noise(height: int, width: int) -> FloatArray:
    return np.random.default_rng(3).random((2, height, width), np.float32)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (57, 33), (16, 90), (5, 3), (1, 20)])
def test_what_every_patch_agrees_on_comes_out_as_it_is(height: int, width: int) -> None:
    images = noise(height, width)
    blended = blend_patches(images, lambda patch: patch[0] - patch[1], patch=16, stride=4)
    assert blended.dtype == np.float32
    np.testing.assert_allclose(blended, images[0] - images[1], atol=1e-6)


def test_overlaps_are_averaged_by_the_kaiser_window() -> None:
    answers = iter([np.full((8, 8), 1.0, np.float32), np.full((8, 8), 4.0, np.float32)])
    blended = blend_patches(noise(8, 12), lambda _: next(answers), patch=8, stride=4, beta=5.0)
    window = np.kaiser(8, 5.0)
    left, right = window[4:], window[:4]
    expected = [1.0] * 4 + list((left + 4.0 * right) / (left + right)) + [4.0] * 4
    np.testing.assert_allclose(blended, np.tile(expected, (8, 1)), rtol=1e-6)


def test_with_the_published_settings_a_pixel_is_computed_16_times() -> None:
    assert (PATCH, STRIDE, BETA) == (128, 32, 5.0)
    covered = np.zeros((2, 384, 384), np.float32)
    covered[:, 192, 192] = 1.0
    seen: list[bool] = []

    def predict(patch: FloatArray) -> FloatArray:
        seen.append(bool(patch.any()))
        first: FloatArray = patch[0]
        return first

    blend_patches(covered, predict)
    assert sum(seen) == 16


@pytest.mark.parametrize("stride", [0, 17])
def test_patches_that_leave_gaps_are_refused(stride: int) -> None:
    with pytest.raises(
        ModelError, match=rf"patches of 16 px can't stand {stride} px apart; choose a stride of 1 to 16"
    ):
        blend_patches(noise(32, 32), lambda patch: patch[0], patch=16, stride=stride)
