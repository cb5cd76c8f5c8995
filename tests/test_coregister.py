import math

import numpy as np
import pytest

from models import registry
from models.coregister import (
    NO_SHIFT,
    Shift,
    apply_shift,
    apply_shift_trimmed,
    combine_shifts,
    estimate_shift,
    shift_halo,
)
from models.errors import ModelError
from models.estimator import FloatArray
from models.simulate.pair import GRD_10M, RTC_30M, Product, SimulatedPair, simulate_pair
from models.simulate.random_scene import random_scene


def shifted_pair(
    registration: tuple[float, float], gamma: float, *, seed: int = 3, side: int = 256, product: Product = GRD_10M
) -> SimulatedPair:
    rng = np.random.default_rng([seed, 8])
    ground = random_scene(rng, (side, side))
    coherence = np.full((side, side), gamma, np.float32)
    return simulate_pair(
        coherence, ground.backscatter, product=product, rng=rng, noise=ground.noise, registration=registration
    )


def sea(seed: int) -> tuple[FloatArray, FloatArray]:
    flat = np.ones((256, 256), np.float32)
    pair = simulate_pair(0 * flat, flat, rng=np.random.default_rng([seed, 9]))
    return pair.reference, pair.secondary


def distance(shift: Shift, truth: tuple[float, float]) -> float:
    return math.hypot(shift.dy - truth[0], shift.dx - truth[1])


@pytest.mark.parametrize("truth", [(0.0, 0.0), (0.37, -0.81), (-2.5, 3.25), (5.5, 7.25)])
def test_a_shift_is_found_to_a_fraction_of_a_pixel(truth: tuple[float, float]) -> None:
    pair = shifted_pair(truth, gamma=0.5)
    shift = estimate_shift(pair.reference, pair.secondary)
    assert shift.reliable
    assert distance(shift, truth) < 0.15


@pytest.mark.parametrize("product", [GRD_10M, RTC_30M], ids=lambda each: each.name)
def test_the_median_error_is_below_a_tenth_of_a_pixel(product: Product) -> None:
    errors = []
    for seed in range(9):
        rng = np.random.default_rng(seed)
        truth = float(rng.uniform(-4, 4)), float(rng.uniform(-4, 4))
        pair = shifted_pair(truth, gamma=float(rng.uniform(0.3, 0.8)), seed=seed, side=192, product=product)
        errors.append(distance(estimate_shift(pair.reference, pair.secondary), truth))
    assert float(np.median(errors)) < 0.1


def test_open_sea_has_no_reliable_shift() -> None:
    assert not any(estimate_shift(*sea(seed)).reliable for seed in range(8))


def test_no_data_doesnt_attract_the_peak() -> None:
    pair = shifted_pair((1.5, -1.0), gamma=0.6)
    reference, secondary = pair.reference.copy(), pair.secondary.copy()
    reference[:90, :] = np.nan
    secondary[:, 200:] = np.nan
    secondary[10:20, 10:20] = 0.0
    shift = estimate_shift(reference, secondary)
    assert shift.reliable
    assert distance(shift, (1.5, -1.0)) < 0.15


def test_nothing_to_see_is_no_shift() -> None:
    empty = np.full((128, 128), np.nan, np.float32)
    assert estimate_shift(empty, empty) == NO_SHIFT
    small = np.ones((20, 20), np.float32)
    assert estimate_shift(small, small) == NO_SHIFT
    assert not NO_SHIFT.reliable


def test_a_scrap_of_data_is_too_little_to_tell_a_shift() -> None:
    pair = shifted_pair((1.0, 1.0), gamma=0.9)
    scrap = np.full_like(pair.reference, np.nan)
    scrap[:30, :30] = pair.reference[:30, :30]
    assert estimate_shift(scrap, pair.secondary) == NO_SHIFT


def test_shapes_must_agree() -> None:
    with pytest.raises(ModelError, match="one shape"):
        estimate_shift(np.ones((64, 64), np.float32), np.ones((64, 65), np.float32))


def test_combining_ignores_outliers_and_unreliable_tiles() -> None:
    good = [Shift(1.0 + 0.01 * k, -2.0, 30.0) for k in range(-2, 3)]
    combined = combine_shifts([*good, Shift(7.0, 7.0, 12.0), Shift(-8.0, 3.0, 3.0)])
    assert combined.reliable
    assert distance(combined, (1.0, -2.0)) < 0.05


def test_combining_nothing_reliable_is_no_shift() -> None:
    assert combine_shifts([]) == NO_SHIFT
    assert combine_shifts([Shift(3.0, 3.0, 4.0)]) == NO_SHIFT


def test_whole_pixels_are_copied_and_uncovered_borders_are_no_data() -> None:
    image = np.random.default_rng(1).gamma(4.0, 0.25, (20, 30)).astype(np.float32)
    moved = apply_shift(image, Shift(2.0, -3.0, 20.0))
    assert np.array_equal(moved[:-2, 3:], image[2:, :-3])
    assert np.isnan(moved[-2:]).all()
    assert np.isnan(moved[:, :3]).all()


def test_a_negligible_shift_leaves_the_image_alone() -> None:
    image = np.ones((8, 8), np.float32)
    shift = Shift(0.05, -0.05, 20.0)
    assert apply_shift(image, shift) is image
    assert shift_halo(shift) == 0


def test_beside_a_bright_target_power_stays_positive() -> None:
    image = np.full((40, 40), 1e-3, np.float32)
    image[20, 20] = 1e3
    moved = apply_shift(image, Shift(0.5, 0.5, 20.0))
    assert float(np.nanmin(moved)) > 0.0
    assert moved.dtype == np.float32


def test_no_data_doesnt_spread_when_resampling() -> None:
    image = np.random.default_rng(2).gamma(4.0, 0.25, (40, 40)).astype(np.float32)
    image[10:20, 10:20] = np.nan
    image[30, 30] = 0.0
    moved = apply_shift(image, Shift(0.3, -0.3, 20.0))
    assert np.array_equal(np.isnan(moved), np.isnan(image))
    assert moved[30, 30] == 0.0


@pytest.mark.parametrize("shift", [Shift(2.4, -1.7, 20.0), Shift(3.0, 1.0, 20.0), NO_SHIFT])
def test_what_a_shift_needs_around_a_tile_is_cut_off_again(shift: Shift) -> None:
    image = np.random.default_rng(3).gamma(4.0, 0.25, (80, 80)).astype(np.float32)
    margin = shift_halo(shift)
    around = slice(30 - margin, 50 + margin)
    tile = apply_shift_trimmed(image[around, around], shift)
    np.testing.assert_allclose(tile, apply_shift(image, shift)[30:50, 30:50], rtol=1e-5)


@pytest.mark.parametrize("truth", [(0.5, 0.5), (2.0, -3.0), (-1.3, 0.7)])
def test_coherence_comes_back_when_the_shift_is_undone(truth: tuple[float, float]) -> None:
    estimator = registry.get("log-correlation")

    def found(pair: SimulatedPair, secondary: FloatArray) -> float:
        return float(np.nanmean(estimator.estimate(pair.reference, secondary)[0]))

    straight = shifted_pair((0.0, 0.0), gamma=0.8)
    wrong = shifted_pair(truth, gamma=0.8)
    before = found(straight, straight.secondary)
    undone = found(wrong, apply_shift(wrong.secondary, estimate_shift(wrong.reference, wrong.secondary)))
    assert found(wrong, wrong.secondary) < before - 0.1
    assert undone == pytest.approx(before, abs=0.02)
