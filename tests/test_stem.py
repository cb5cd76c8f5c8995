"""The stem: features that are local, lie on a lattice, and know nothing of how bright a product is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.coherence.stem import CELL, LAGS, WINDOWS, SpeckleStem, box
from tests.small_network import shown

REACH = 48
"""Pixels beyond which nothing reaches a feature: brightness is compared over 17 cells of 2 pixels."""
SPECKLE = slice(0, 2 * CELL**2)
STEADY = slice(2 * CELL**2, 3 * CELL**2)
ABOVE, CHANGE, COUNT = (3 * CELL**2 + channel for channel in range(3))
FIRST_CORRELATION = COUNT + 1
FIRST_SPREAD = FIRST_CORRELATION + len(WINDOWS) * len(LAGS)
FIRST_AGREEMENT = FIRST_SPREAD + 4
HOLE = torch.nan

stem = SpeckleStem()


def correlations(features: torch.Tensor) -> torch.Tensor:
    """Shape (batch, windows, row lags, column lags, height, width)."""
    products = features[:, FIRST_CORRELATION:FIRST_SPREAD]
    return products.reshape(len(features), len(WINDOWS), 3, 3, *features.shape[-2:])


@pytest.mark.parametrize("dates", [0, 1, 3])
def test_features_are_finite_and_as_many_as_said(dates: int) -> None:
    features = stem(*shown(48, 64, dates=dates))
    assert features.shape == (1, stem.planes, 48 // CELL, 64 // CELL)
    assert not features[:, stem.channels :].any()
    assert torch.isfinite(features).all()
    assert features.abs().max() < 10.0


@pytest.mark.parametrize(
    ("rows", "cols", "image"),
    [
        (slice(None), slice(None), slice(None)),
        (slice(None), slice(None), 0),
        (slice(10, 40), slice(None), 1),
        (slice(5, 6), slice(7, 8), 0),
        (slice(None, None, 2), slice(None), slice(None)),
    ],
    ids=["nothing", "one image", "a band", "a pixel", "every other row"],
)
def test_missing_data_leaves_finite_features(rows: slice, cols: slice, image: int | slice) -> None:
    images, context, dates, spacing = shown(48, 48, dates=2)
    images[:, image, rows, cols] = HOLE
    context[:, :, rows, cols] = 0.0
    assert torch.isfinite(stem(images, context, dates, spacing)).all()


def test_constant_images_show_no_speckle() -> None:
    images = torch.full((1, 2, 32, 32), -3.0)
    features = stem(images, torch.zeros(1, 2, 32, 32), torch.tensor([0]), torch.tensor([10.0]))
    assert torch.isfinite(features).all()
    assert features[:, : ABOVE + 2].abs().max() == 0.0
    assert correlations(features).abs().max() == 0.0


def test_the_same_speckle_correlates_at_lag_zero_alone() -> None:
    images, context, dates, spacing = shown(128, 128)
    images[:, 1] = images[:, 0]
    same = correlations(stem(images, context, dates, spacing))[0].mean((-2, -1))
    assert (same[:, 1, 1] > 0.85).all()
    others = same.clone()
    others[:, 1, 1] = 0.0
    assert others.abs().max() < 0.2
    other = correlations(stem(*shown(128, 128)))[0].mean((-2, -1))
    assert other.abs().max() < 0.05


@pytest.mark.parametrize(("row", "col"), LAGS)
def test_a_shift_is_seen_at_its_lag(row: int, col: int) -> None:
    images, context, dates, spacing = shown(96, 96)
    images[:, 1] = torch.roll(images[:, 0], (row, col), (-2, -1))
    found = correlations(stem(images, context, dates, spacing))[0, -1].mean((-2, -1))
    assert divmod(int(found.argmax()), 3) == (row + 1, col + 1)


def test_what_changes_far_away_leaves_features_alone() -> None:
    images, context, dates, spacing = shown(192, 192, dates=3)
    before = stem(images, context, dates, spacing)
    images[..., 100 + REACH :] += 5.0
    images[:, :, 100 + REACH :, :] = HOLE
    context[..., 100 + REACH :] = 0.0
    after = stem(images, context, dates, spacing)
    kept = 100 // CELL
    assert torch.equal(before[..., :kept, :kept], after[..., :kept, :kept])
    assert not torch.equal(before, after)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (4, 52), (8, 20)])
def test_a_tile_on_the_lattice_has_the_features_of_the_whole(top: int, left: int) -> None:
    images, context, dates, spacing = shown(160, 192, dates=3)
    images[:, 0, 70:90, 60:75] = HOLE
    whole = stem(images, context, dates, spacing)
    rows, cols = slice(top, top + 128), slice(left, left + 128)
    tile = stem(images[..., rows, cols], context[..., rows, cols], dates, spacing)
    margin = REACH // CELL
    inside = whole[..., top // CELL + margin : (top + 128) // CELL - margin, left // CELL + margin :]
    np.testing.assert_allclose(
        tile[..., margin:-margin, margin:-margin], inside[..., : 128 // CELL - 2 * margin], rtol=0, atol=1e-6
    )


def test_examples_of_a_batch_know_nothing_of_each_other() -> None:
    first, second = shown(64, 64, dates=3, seed=1), shown(64, 64, seed=2)
    together = stem(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
    np.testing.assert_allclose(together, torch.cat([stem(*first), stem(*second)]), rtol=0, atol=1e-6)


def test_products_may_be_scaled_by_any_factor() -> None:
    images, context, dates, spacing = shown(96, 96, dates=3)
    images[:, 0, 20:50, 30:40] = HOLE  # nothing may leak in where data is missing, either
    images[:, :, 60:, 70:] = HOLE
    context[:, :, 10:30, 50:] = 0.0
    brighter = context.clone()
    brighter[:, 0] += 2.3 * (context[:, 0] != 0.0)
    np.testing.assert_allclose(
        stem(images, context, dates, spacing), stem(images + 2.3, brighter, dates, spacing), rtol=0, atol=1e-5
    )


def test_a_change_of_brightness_is_told_in_its_channel_alone() -> None:
    images, context, dates, spacing = shown(96, 96)
    before = stem(images, context, dates, spacing)
    images[:, 1] += 0.7
    after = stem(images, context, dates, spacing)
    np.testing.assert_allclose(after[:, CHANGE], before[:, CHANGE] - 0.7, rtol=0, atol=1e-5)
    others = [channel for channel in range(stem.channels) if channel != CHANGE]
    np.testing.assert_allclose(after[:, others], before[:, others], rtol=0, atol=1e-5)


def test_swapped_images_swap_their_features() -> None:
    images, context, dates, spacing = shown(96, 96, dates=3)
    before, after = stem(images, context, dates, spacing), stem(images.flip(1), context, dates, spacing)
    pairs = [torch.arange(16, 32), torch.arange(16), torch.arange(32, 48)]
    np.testing.assert_allclose(after[:, : STEADY.stop], before[:, torch.cat(pairs)], rtol=0, atol=1e-6)
    np.testing.assert_allclose(after[:, ABOVE], before[:, ABOVE], rtol=0, atol=1e-6)
    np.testing.assert_allclose(after[:, CHANGE], -before[:, CHANGE], rtol=0, atol=1e-6)
    one, two = correlations(before), correlations(after)
    np.testing.assert_allclose(two[:, :, 1, 1], one[:, :, 1, 1], rtol=0, atol=1e-6)
    # lags turn round, and are measured from the other image's pixels, so they agree on the mean
    np.testing.assert_allclose(two.mean((-2, -1)), one.flip(2, 3).mean((-2, -1)), rtol=0, atol=0.02)
    swapped = before[:, FIRST_SPREAD : FIRST_AGREEMENT + 4].unflatten(1, (4, 2)).flip(2).flatten(1, 2)
    np.testing.assert_allclose(after[:, FIRST_SPREAD : FIRST_AGREEMENT + 4], swapped, rtol=0, atol=1e-6)


@pytest.mark.parametrize("axis", [-2, -1])
def test_mirrored_images_mirror_their_features(axis: int) -> None:
    images, context, dates, spacing = shown(96, 96, dates=3)
    before = stem(images, context, dates, spacing).flip(axis)
    after = stem(images.flip(axis), context.flip(axis), dates, spacing)
    # inside a cell pixels are mirrored too, and so are lags
    pixels = before[:, : STEADY.stop].unflatten(1, (3, CELL, CELL)).flip(axis - 2).flatten(1, 3)
    np.testing.assert_allclose(after[:, : STEADY.stop], pixels, rtol=0, atol=1e-5)
    np.testing.assert_allclose(correlations(after), correlations(before).flip(axis - 2), rtol=0, atol=1e-5)
    others = [*range(ABOVE, COUNT + 1), *range(FIRST_SPREAD, stem.channels)]
    np.testing.assert_allclose(after[:, others], before[:, others], rtol=0, atol=1e-5)


def test_the_spacing_is_told_in_its_channel_alone() -> None:
    images, context, dates, spacing = shown(32, 32, dates=3)
    at_10, at_30 = (stem(images, context, dates, each) for each in (spacing, 3.0 * spacing))
    told = stem.channels - 1
    others = [channel for channel in range(stem.planes) if channel != told]
    np.testing.assert_array_equal(at_10[:, others], at_30[:, others])
    np.testing.assert_allclose(at_30[:, told] - at_10[:, told], np.log(3.0), rtol=1e-6)


def test_without_further_dates_their_channels_are_at_rest() -> None:
    images, context, dates, spacing = shown(64, 64)
    features = stem(images, context, dates, spacing)
    resting = [*range(STEADY.start, STEADY.stop), *range(FIRST_AGREEMENT, stem.channels - 1)]
    assert not features[:, resting].any()


def test_where_no_further_date_has_data_counts_as_missing() -> None:
    images, context, dates, spacing = shown(96, 96, dates=1)
    context[:, :, ::7, ::5] = 0.0
    steady = stem(images, context, dates, spacing)[:, STEADY]
    assert steady.abs().max() < 2.5  # an outlier as deep as the logarithm itself would be 3
    nothing = stem(images, torch.zeros_like(context), dates, spacing)
    assert not nothing[:, STEADY].any()


def test_a_box_is_a_mean_over_what_lies_inside() -> None:
    image = torch.arange(25.0).reshape(1, 1, 5, 5)
    found = box(image, 3)
    assert found[0, 0, 2, 2] == pytest.approx(12.0)
    assert found[0, 0, 0, 0] == pytest.approx((0 + 1 + 5 + 6) / 4)
    assert box(image, 1) is image
