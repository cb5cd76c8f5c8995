"""Drawn samples: the statistics of speckle, the signs of what displaces it, and recipes that can't be met."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.coregister import Shift, apply_shift, estimate_shift
from models.errors import ModelError
from models.simulate.draw import LOOKS_10X2, SINGLE_LOOK, Recipe, Sample, _covariance, draw
from models.simulate.families import FAMILIES, HELD_OUT_FAMILIES
from models.simulate.fields import FloatArray
from models.simulate.product import GRD_10M, RTC_20M, RTC_30M, Product
from models.simulate.random_scene import MOST_CONTEXTS, Scene
from models.simulate.series import cholesky, draw_images
from models.simulate.speckle import circular_gaussian, detect, focus

HOMOGENEOUS = Recipe(size=192, homogeneous=True)
COHERENT = replace(HOMOGENEOUS, exponent=0.05)
"""Coherence to the power of 0.05 lies near 1."""
INCOHERENT = replace(HOMOGENEOUS, exponent=1000.0)


def correlation(first: FloatArray, second: FloatArray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def inner(image: FloatArray, margin: int = 12) -> FloatArray:
    return image[margin:-margin, margin:-margin]


def images(sample: Sample) -> list[FloatArray]:
    return [sample.reference, sample.secondary, *sample.context]


@pytest.mark.parametrize("number", range(4))
def test_homogeneous_ground_shows_speckle_of_the_products_looks(number: int) -> None:
    sample = draw(HOMOGENEOUS, 1, number)
    for image in images(sample):
        assert image.mean() == pytest.approx(1.0, rel=0.03)
        assert image.mean() ** 2 / image.var() == pytest.approx(4.4, rel=0.08)


@pytest.mark.parametrize("number", range(4))
def test_intensities_correlate_as_the_square_of_the_truth(number: int) -> None:
    sample = draw(HOMOGENEOUS, 2, number)
    assert np.ptp(sample.coherence) < 1e-6
    assert correlation(sample.reference, sample.secondary) == pytest.approx(sample.coherence.mean() ** 2, abs=0.03)


def test_homogeneous_draws_have_every_coherence() -> None:
    found = sorted(float(draw(replace(HOMOGENEOUS, size=16), 3, number).coherence[0, 0]) for number in range(60))
    assert found[0] < 0.1
    assert found[-1] > 0.88
    assert max(np.diff(found)) < 0.15


def test_every_two_dates_correlate_by_the_coherence_between_them() -> None:
    ground = np.ones((256, 256), np.float32)
    scene = Scene(0.8 * ground, 0.3 * ground, (ground, 0.5 * ground) * 2, (0.0, 12.0, 30.0, -6.0), noise=0.1)
    seen, _ = draw_images(_covariance(scene), GRD_10M, np.random.default_rng(4), [(0.0, 0.0)] * 4)
    signal = [float(power[0, 0]) / (float(power[0, 0]) + scene.noise) for power in scene.backscatter]
    for i in range(4):
        assert seen[i].mean() == pytest.approx(float(scene.backscatter[i][0, 0]) + scene.noise, rel=0.03)
        for j in range(i):
            expected = float(scene.coherence_between(i, j)[0, 0]) ** 2 * signal[i] * signal[j]
            assert correlation(seen[i], seen[j]) == pytest.approx(expected, abs=0.03)


def test_the_factor_of_a_covariance_squares_to_it_where_it_is_singular_too() -> None:
    one = np.array([[1.0, 4.0, 0.0]], np.float32)
    same = [[one], [one, one], [np.float32(0.5) * one, np.float32(0.5) * one, one]]
    factor = cholesky(same)
    for i in range(3):
        for j in range(i + 1):
            product = sum(factor[i][k] * factor[j][k] for k in range(j + 1))
            np.testing.assert_allclose(product, same[i][j], atol=1e-6)


def test_a_draw_follows_from_recipe_seed_and_number() -> None:
    recipe = Recipe(size=48, product=None, contexts=2, shift=1.0, warp=0.5, oracle_window=5)
    one, again = (draw(recipe, 5, 7) for _ in range(2))
    for first, second in zip(images(one), images(again), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.coherence, again.coherence)
    np.testing.assert_array_equal(one.oracle, again.oracle)
    assert one.registration == again.registration
    for other in (draw(recipe, 5, 8), draw(recipe, 6, 7)):
        assert not np.array_equal(one.reference, other.reference)
        assert not np.array_equal(one.coherence, other.coherence)


@pytest.mark.parametrize("size", [16, 33, 64])
def test_every_kind_of_scene_is_whole(size: int) -> None:
    for number in range(12):
        recipe = Recipe(size=size, product=None, contexts=number % 4, shift=2.0 * (number % 2), warp=0.4 * (number % 3))
        sample = draw(recipe, 6, number)
        assert len(sample.context) == number % 4
        for image in (*images(sample), sample.coherence):
            assert image.shape == (size, size)
            assert image.dtype == np.float32
            assert np.isfinite(image).all()
            assert image.min() >= 0.0
        assert sample.coherence.max() <= 1.0
        assert sample.oracle is None


def test_noise_subtraction_leaves_zeros_at_worst() -> None:
    faint = Recipe(size=64, noise_db=(-12.0, -11.0), contexts=1)
    samples = [draw(faint, 7, number) for number in range(12)]
    zeros = [float((image == 0.0).mean()) for sample in samples for image in images(sample)]
    assert all(image.min() >= 0.0 and np.isfinite(image).all() for sample in samples for image in images(sample))
    assert max(zeros) > 0.01
    assert sum(share == 0.0 for share in zeros) > len(zeros) / 4  # half of the products keep their noise


def test_thermal_noise_lowers_the_truth() -> None:
    def mean_coherence(noise_db: tuple[float, float]) -> float:
        return float(np.mean([draw(Recipe(size=48, noise_db=noise_db), 8, n).coherence.mean() for n in range(6)]))

    assert mean_coherence((-11.0, -11.0)) < 0.85 * mean_coherence((-40.0, -40.0))


@pytest.mark.parametrize("number", range(3))
def test_a_misregistered_secondary_lies_too_far_down_and_right(number: int) -> None:
    sample = draw(replace(COHERENT, shift=3.4), 9, number)
    dy, dx = sample.registration
    assert math.hypot(dy, dx) == pytest.approx(3.4)
    found = estimate_shift(sample.reference, sample.secondary)
    assert (found.dy, found.dx) == pytest.approx((dy, dx), abs=0.05)


@pytest.mark.parametrize("number", range(3))
def test_apply_shift_undoes_the_misregistration(number: int) -> None:
    sample = draw(replace(COHERENT, shift=3.4), 9, number)
    undone = apply_shift(sample.secondary, Shift(*sample.registration, quality=99.0))
    assert correlation(inner(sample.reference), inner(sample.secondary)) < 0.25
    assert correlation(inner(sample.reference), inner(undone)) > sample.coherence.mean() ** 2 - 0.04
    opposite = apply_shift(sample.secondary, Shift(-sample.registration[0], -sample.registration[1], quality=99.0))
    assert correlation(inner(sample.reference), inner(opposite)) < 0.1


def test_dates_lie_on_each_other_wherever_their_grids_begin() -> None:
    shifts = []
    for number in range(12):  # half of them resampled from radar grids that begin up to a pixel apart
        sample = draw(Recipe(size=128, exponent=0.2, contexts=1), 10, number)
        shifts += [estimate_shift(sample.reference, other) for other in (sample.secondary, *sample.context)]
    reliable = [shift for shift in shifts if shift.quality > 20.0]
    assert len(reliable) > 12
    assert max(math.hypot(shift.dy, shift.dx) for shift in reliable) < 0.3


def test_registration_is_along_the_maps_rows_and_columns() -> None:
    for number in range(10):
        sample = draw(Recipe(size=160, shift=4.0, exponent=0.3), 11, number)
        found = estimate_shift(sample.reference, sample.secondary)
        assert found.quality < 20.0 or (found.dy, found.dx) == pytest.approx(sample.registration, abs=0.35)


def test_a_warp_displaces_parts_of_the_secondary() -> None:
    sample = draw(replace(COHERENT, size=288, warp=3.0), 12, 0)
    assert sample.registration == (0.0, 0.0)
    quarters = [(slice(row, row + 72), slice(col, col + 72)) for row in (0, 72, 144, 216) for col in (0, 72, 144, 216)]
    shifts = [estimate_shift(sample.reference[piece], sample.secondary[piece]) for piece in quarters]
    lengths = [math.hypot(shift.dy, shift.dx) for shift in shifts if shift.reliable]
    assert len(lengths) > 8
    assert max(lengths) > 0.8
    assert np.std([shift.dy for shift in shifts if shift.reliable]) > 0.2


def test_a_warp_leaves_the_reference_in_the_place_of_the_truth() -> None:
    # a warp of 1 px and a shift of 1 px take the same margin, so the same ground and the same speckle are drawn
    small = replace(COHERENT, size=64)
    warped, shifted = (draw(recipe, 13, 0) for recipe in (replace(small, warp=1.0), replace(small, shift=1.0)))
    np.testing.assert_array_equal(warped.coherence, shifted.coherence)
    np.testing.assert_allclose(warped.reference, shifted.reference, atol=1e-3)


def bias_without_coherence(looks: float) -> float:
    """Mean sample coherence of independent looks at zero coherence (Touzi et al. 1999)."""
    return math.exp(math.lgamma(looks) + math.lgamma(1.5) - math.lgamma(looks + 0.5))


@pytest.mark.parametrize("window", [3, 9])
def test_the_oracle_has_the_bias_of_sample_coherence(window: int) -> None:
    sample = draw(replace(INCOHERENT, oracle_window=window), 14, 0)
    assert sample.coherence.max() < 1e-6
    assert sample.oracle is not None
    rows, cols = GRD_10M.samples
    averaged = replace(GRD_10M, looks=1, resampling="average", samples=(window * rows, window * cols))
    looks = replace(averaged, spacing=window * GRD_10M.spacing).looks_equivalent
    assert sample.oracle.mean() == pytest.approx(bias_without_coherence(looks), rel=0.06)


def test_the_oracle_sees_what_is_there() -> None:
    sample = draw(replace(HOMOGENEOUS, oracle_window=9, exponent=0.3), 15, 0)
    assert sample.oracle is not None
    assert sample.oracle.mean() == pytest.approx(sample.coherence.mean(), abs=0.02)


def test_the_oracle_lies_on_the_truth() -> None:
    recipe = Recipe(size=96, oracle_window=5, shift=4.0, noise_db=(-40.0, -40.0), tie="tied")
    samples = [draw(recipe, 16, number) for number in range(8)]  # geocoded or not
    varied = [sample for sample in samples if sample.coherence.std() > 0.1]
    assert len(varied) > 2
    for sample in varied:
        assert sample.oracle is not None
        aside = sample.coherence[18:-6, 18:-6]
        in_place = correlation(inner(sample.oracle), inner(sample.coherence))
        assert in_place > max(0.5, correlation(inner(sample.oracle), aside))


@pytest.mark.parametrize(
    "product",
    [GRD_10M, RTC_20M, RTC_30M, LOOKS_10X2, SINGLE_LOOK],
    ids=lambda product: product.name,
)
def test_an_image_has_the_power_of_its_ground(product: Product) -> None:
    rows, cols = product.samples
    ground = circular_gaussian(np.random.default_rng(17), (200 * rows, 200 * cols))
    assert detect(ground, product).mean() == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("product", [GRD_10M, RTC_30M, SINGLE_LOOK], ids=lambda product: product.name)
def test_focused_samples_have_the_power_of_their_ground_and_lie_where_the_image_does(product: Product) -> None:
    rows, cols = product.samples
    rng = np.random.default_rng(18)
    assert (np.abs(focus(circular_gaussian(rng, (96 * rows, 96 * cols)), product)) ** 2).mean() == pytest.approx(
        1.0, rel=0.03
    )
    target = np.zeros((24 * rows, 24 * cols), np.complex64)
    target[12 * rows : 13 * rows, 12 * cols : 13 * cols] = 1.0  # one pixel's scatterers
    power = np.abs(focus(target, product)) ** 2
    pixels = power.reshape(24, rows, 24, cols).mean(axis=(1, 3))
    assert pixels.argmax() == 12 * 24 + 12
    np.testing.assert_allclose(pixels[11, 12], pixels[13, 12], rtol=1e-3)
    np.testing.assert_allclose(pixels[12, 11], pixels[12, 13], rtol=1e-3)


def test_texture_comes_from_the_families_that_the_recipe_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def remembered(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
        asked.append(shape)
        return rng.normal(0.0, 1.0, shape).astype(np.float32)

    for name in HELD_OUT_FAMILIES:
        monkeypatch.setitem(FAMILIES, name, remembered)
    draw(Recipe(size=16), 19, 0)
    assert not asked
    draw(Recipe(size=16, families=HELD_OUT_FAMILIES), 19, 0)
    assert asked


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"size": 8}, "at least 16 pixels wide, not 8"),
        ({"size": 32, "shift": 17.0}, "shift lies between 0 and half the scene, 16 px, not 17.0"),
        ({"shift": -1.0}, "shift lies between 0 and half the scene, 128 px, not -1.0"),
        ({"shift": math.nan}, "not nan"),
        ({"warp": math.inf}, "warp lies between 0 and half the scene, 128 px, not inf"),
        ({"contexts": MOST_CONTEXTS + 1}, "contexts lies between 0 and 11, not 12"),
        ({"contexts": -1}, "not -1"),
        ({"families": ()}, "families is empty"),
        ({"families": ("smooth", "lava")}, "unknown texture family 'lava'; there are: smooth, lognormal"),
        ({"exponent": 0.0}, "exponent must be a positive number, not 0.0"),
        ({"exponent": math.nan}, "exponent must be a positive number, not nan"),
        ({"noise_db": (-20.0, -30.0)}, r"from low to high in dB, not \(-20.0, -30.0\)"),
        ({"noise_db": (-math.inf, -30.0)}, "from low to high in dB"),
        ({"tie": "loose"}, "unknown tie 'loose'; choose one of mixed, tied, independent"),
        ({"oracle_window": 4}, "oracle_window is odd and no wider than the scene, or 0 for none, not 4"),
        ({"size": 16, "oracle_window": 17}, "not 17"),
        ({"oracle_window": -3}, "not -3"),
    ],
)
def test_a_recipe_that_cannot_be_met_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        Recipe(**settings)


def test_the_furthest_that_a_recipe_may_go_can_be_drawn() -> None:
    extreme = Recipe(size=16, product=None, shift=8.0, warp=8.0, contexts=MOST_CONTEXTS, oracle_window=15)
    for number in range(4):
        sample = draw(extreme, 20, number)
        assert len(sample.context) == MOST_CONTEXTS
        assert all(np.isfinite(image).all() for image in images(sample))
