from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from models.errors import ModelError
from models.simulate.pair import GRD_10M, RTC_20M, RTC_30M, Product, SimulatedPair, product_for, simulate_pair
from models.simulate.product import footprint, neighbour_correlation
from models.simulate.speckle import circular_gaussian, detect

BILINEAR = replace(GRD_10M, resampling="bilinear")
PRODUCTS = [GRD_10M, BILINEAR, product_for(12.0), RTC_20M, RTC_30M]


def by_name(product: Product) -> str:
    return f"{product.name}-{product.resampling}"


def homogeneous(gamma: float, side: int = 512, seed: int = 1, product: Product = GRD_10M) -> SimulatedPair:
    ground = np.full((side, side), gamma)
    return simulate_pair(ground, np.full((side, side), 0.1), product=product, rng=np.random.default_rng(seed))


def correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_intensities_correlate_as_coherence_squared(gamma: float) -> None:
    pair = homogeneous(gamma)
    assert correlation(pair.reference, pair.secondary) == pytest.approx(gamma**2, abs=0.02)
    np.testing.assert_allclose(pair.coherence, gamma, atol=1e-6)


@pytest.mark.parametrize("product", [BILINEAR, RTC_30M], ids=by_name)
def test_siegert_holds_for_every_number_of_looks(product: Product) -> None:
    pair = homogeneous(0.7, side=192, product=product)
    assert correlation(pair.reference, pair.secondary) == pytest.approx(0.49, abs=0.03)


def test_thermal_noise_lowers_coherence_by_the_signal_to_noise_ratios() -> None:
    gamma, first, second, noise = 0.8, 0.10, 0.04, 0.02
    ground = np.ones((512, 512))
    pair = simulate_pair(gamma * ground, (first * ground, second * ground), rng=np.random.default_rng(2), noise=noise)
    expected = gamma / np.sqrt((1 + noise / first) * (1 + noise / second))
    np.testing.assert_allclose(pair.coherence, expected, rtol=1e-5)
    assert correlation(pair.reference, pair.secondary) == pytest.approx(expected**2, abs=0.02)
    assert pair.reference.mean() == pytest.approx(first + noise, rel=0.01)
    assert pair.secondary.mean() == pytest.approx(second + noise, rel=0.01)


@pytest.mark.parametrize("product", PRODUCTS, ids=by_name)
def test_looks_and_neighbours_are_those_of_the_closed_form(product: Product) -> None:
    image = homogeneous(0.0, side=256, product=product).reference
    assert image.mean() == pytest.approx(0.1, rel=0.01)
    assert image.mean() ** 2 / image.var() == pytest.approx(product.looks_equivalent, rel=0.06)
    assert correlation(image[1:], image[:-1]) == pytest.approx(neighbour_correlation(product, (1, 0)), abs=0.03)
    assert correlation(image[:, 1:], image[:, :-1]) == pytest.approx(neighbour_correlation(product, (0, 1)), abs=0.03)
    assert correlation(image[:, 2:], image[:, :-2]) == pytest.approx(neighbour_correlation(product, (0, 2)), abs=0.03)


def test_grd_has_the_looks_and_the_resolution_of_its_specification() -> None:
    assert 4.0 < GRD_10M.looks_equivalent < 4.9
    azimuth, ground_range = GRD_10M.resolution
    assert azimuth == pytest.approx(22.5, rel=0.05)
    assert ground_range == pytest.approx(20.4, rel=0.05)


def test_rtc_lies_among_the_looks_measured_on_real_products() -> None:
    # Variance of ln-ratios over Californian land gives 6.6 to 9.9, the spread over sea 4.9.
    assert 5.0 < RTC_30M.looks_equivalent < 9.0


@pytest.mark.parametrize("product", PRODUCTS, ids=by_name)
def test_a_bright_pixel_stays_in_its_place_and_spreads_by_the_footprint(product: Product) -> None:
    ground = np.zeros((21, 21))
    ground[10, 10] = 1.0
    rng = np.random.default_rng(4)
    draws = [simulate_pair(ground, ground, product=product, rng=rng).reference for _ in range(150)]
    mean = np.mean(draws, axis=0)
    rows, cols = footprint(product)
    along, across = mean.sum(axis=1) / mean.sum(), mean.sum(axis=0) / mean.sum()
    for found, expected in ((along, rows), (across, cols)):
        reach = expected.size // 2
        np.testing.assert_allclose(found[10 - reach : 11 + reach], expected, atol=0.03)


def test_the_products_of_common_spacings() -> None:
    assert product_for(10.0) is GRD_10M
    assert product_for(20.0) is RTC_20M
    assert product_for(30.0) is RTC_30M
    assert product_for(12.5).resampling == "nearest"
    assert product_for(50.0).resampling == "average"
    for spacing in (7.0, 12.5, 15.0, 25.0, 50.0):
        product = product_for(spacing)
        assert product.sample_spacing[0] * product.azimuth_bandwidth <= 1.0
        assert product.sample_spacing[1] * product.range_bandwidth <= 1.0 + 1e-9


def test_truth_blends_over_the_resolution_cell_as_the_speckle_does() -> None:
    # Along azimuth, where all looks share one impulse response and the Siegert relation holds at an edge too.
    shape = (24, 4000)
    gamma = np.where(np.arange(24) < 12, 0.9, 0.0)[:, np.newaxis] * np.ones(shape)
    pair = simulate_pair(gamma, np.ones(shape), rng=np.random.default_rng(5))
    truth = pair.coherence.mean(axis=1)
    measured = [correlation(one, two) for one, two in zip(pair.reference, pair.secondary, strict=True)]
    np.testing.assert_allclose(measured, truth**2, atol=0.08)
    assert 0.6 < truth[11] / 0.9 < 0.8
    assert truth[2] == pytest.approx(0.9, abs=0.01)


def test_where_covers_mix_the_brighter_one_tells_the_coherence() -> None:
    shape = (60, 60)
    gamma = np.where(np.arange(60) < 30, 0.9, 0.0) * np.ones(shape)
    power = np.where(np.arange(60) < 30, 1.0, 0.05) * np.ones(shape)
    mixed = simulate_pair(gamma, power, rng=np.random.default_rng(6)).coherence[30, 30]
    even = simulate_pair(gamma, np.ones(shape), rng=np.random.default_rng(6)).coherence[30, 30]
    assert mixed > 2 * even


def test_edges_are_like_the_middle() -> None:
    pairs = [homogeneous(0.5, side=48, seed=seed) for seed in range(300)]
    images = np.stack([pair.reference for pair in pairs])
    assert images[:, 0].mean() == pytest.approx(0.1, rel=0.03)
    assert images[:, :, -1].mean() == pytest.approx(0.1, rel=0.03)
    assert images[:, 0].var() == pytest.approx(images[:, 20:28].var(), rel=0.12)
    # a periodic transform without margin would tie opposite edges together
    assert abs(correlation(images[:, :, 0], images[:, :, -1])) < 0.04
    assert abs(correlation(images[:, 0], images[:, -1])) < 0.04


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two, other = (homogeneous(0.4, side=64, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.reference, two.reference)
    np.testing.assert_array_equal(one.secondary, two.secondary)
    assert not np.array_equal(one.reference, other.reference)


@pytest.mark.parametrize("product", [GRD_10M, RTC_20M], ids=by_name)
def test_a_registration_error_shifts_the_image_down_and_right(product: Product) -> None:
    scatterers = circular_gaussian(np.random.default_rng(9), (64 * product.samples[0], 64 * product.samples[1]))
    image = detect(scatterers, product)
    np.testing.assert_allclose(detect(scatterers, product, (2.0, -1.0)), np.roll(image, (2, -1), (0, 1)), atol=2e-4)
    between = detect(scatterers, product, (0.0, 0.4))
    shifted = np.roll(image, 1, axis=1)
    assert correlation(image, shifted) < correlation(between, shifted) < correlation(between, image)


def test_registration_reaches_the_pair() -> None:
    ground = np.ones((128, 128))
    pair = simulate_pair(ground, ground, rng=np.random.default_rng(3), registration=(0.0, 3.0))
    assert correlation(pair.reference, pair.secondary) < 0.2
    np.testing.assert_allclose(pair.reference[:, :-3], pair.secondary[:, 3:], atol=1e-3)
    np.testing.assert_allclose(pair.coherence, 1.0, atol=1e-6)


def test_dark_ground_is_black_and_incoherent() -> None:
    black = np.zeros((32, 32))
    pair = simulate_pair(np.ones((32, 32)), black, rng=np.random.default_rng(0))
    assert not pair.reference.any()
    assert not pair.coherence.any()


@pytest.mark.parametrize(
    ("coherence", "backscatter", "noise", "sentence"),
    [
        (np.ones((4, 5)), np.ones((5, 4)), 0.0, r"one shape, not \(4, 5\), \(5, 4\)"),
        (np.full((4, 4), 1.2), np.ones((4, 4)), 0.0, r"coherence must lie in \[0, 1\]"),
        (np.full((4, 4), np.nan), np.ones((4, 4)), 0.0, r"coherence must lie in \[0, 1\]"),
        (np.ones((4, 4)), np.full((4, 4), -12.0), 0.0, "linear power and can't be negative"),
        (np.ones((4, 4)), np.ones((4, 4)), -0.1, "linear power and can't be negative"),
    ],
)
def test_impossible_ground_is_refused(
    coherence: npt.NDArray[np.float64], backscatter: npt.NDArray[np.float64], noise: float, sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        simulate_pair(coherence, backscatter, rng=np.random.default_rng(0), noise=noise)
