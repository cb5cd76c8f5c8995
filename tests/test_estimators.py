import subprocess
import sys

import numpy as np
import pytest
import torch

from models import registry
from models.coherence import classical
from models.errors import ModelError
from models.estimator import Estimator, FloatArray
from models.evaluate.scores import measure, summarise
from models.simulate.pair import GRD_10M, RTC_30M, Product, SimulatedPair, simulate_pair
from models.simulate.random_scene import flat_scene, random_scene

WINDOWED = [info for info in registry.available() if info.windows]
NAMES = [info.name for info in WINDOWED]
EVERY = [(info.name, mode) for info in WINDOWED for mode in info.modes]


def flat_pair(gamma: float, side: int = 160, product: Product = GRD_10M, seed: int = 11) -> SimulatedPair:
    ground = flat_scene(gamma, (side, side))
    return simulate_pair(ground.coherence, ground.backscatter, product=product, rng=np.random.default_rng(seed))


def textured_pair(seed: int, side: int = 160, product: Product = GRD_10M) -> SimulatedPair:
    rng = np.random.default_rng([seed, 4])
    ground = random_scene(rng, (side, side))
    return simulate_pair(ground.coherence, ground.backscatter, product=product, rng=rng, noise=ground.noise)


def inner(image: FloatArray, margin: int = 24) -> FloatArray:
    return image[margin:-margin, margin:-margin]


@pytest.fixture(scope="module")
def pair() -> SimulatedPair:
    return textured_pair(seed=1, side=96)


@pytest.mark.parametrize(("name", "mode"), EVERY)
def test_an_estimate_is_whole_and_between_0_and_1(name: str, mode: str, pair: SimulatedPair) -> None:
    estimator = registry.get(name, mode=mode)
    for image in estimator.estimate(pair.reference, pair.secondary):
        assert image.shape == pair.reference.shape
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.min() >= 0.0
        assert image.max() <= 1.0


@pytest.mark.parametrize(("name", "mode"), EVERY)
def test_no_data_stays_no_data_and_poisons_nothing(name: str, mode: str, pair: SimulatedPair) -> None:
    estimator = registry.get(name, mode=mode)
    reference, secondary = pair.reference.copy(), pair.secondary.copy()
    reference[:, 60:] = np.nan
    secondary[:, 80:] = np.nan
    for found, alone in zip(
        estimator.estimate(reference, secondary),
        estimator.estimate(reference[:, :60], secondary[:, :60]),
        strict=True,
    ):
        assert np.isnan(found[:, 60:]).all()
        np.testing.assert_allclose(found[:, :60], alone, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_hole_is_read_across(name: str, pair: SimulatedPair) -> None:
    reference = pair.reference.copy()
    reference[40:44, 40:44] = np.nan
    coherence, sigma = registry.get(name).estimate(reference, pair.secondary)
    assert np.array_equal(np.isnan(coherence), np.isnan(reference))
    assert np.array_equal(np.isnan(sigma), np.isnan(reference))


def test_lone_valid_pixels_are_too_few_for_an_estimate(pair: SimulatedPair) -> None:
    sparse = np.full_like(pair.reference, np.nan)
    sparse[::4, ::4] = pair.reference[::4, ::4]
    coherence, _ = registry.get("touzi-intensity").estimate(sparse, pair.secondary)
    assert np.isnan(coherence).all()


@pytest.mark.parametrize(("name", "mode"), EVERY)
def test_tiles_with_the_declared_halo_equal_the_whole_image(name: str, mode: str, pair: SimulatedPair) -> None:
    estimator = registry.get(name, mode=mode)
    reference, secondary = pair.reference.copy(), pair.secondary.copy()
    reference[70:, :15] = np.nan
    whole = estimator.estimate(reference, secondary)
    halo = estimator.halo
    rows, cols = slice(40, 72), slice(0, 32)
    outer = slice(rows.start - halo, rows.stop + halo), slice(0, cols.stop + halo)
    inside = slice(halo, halo + 32), slice(0, 32)
    tile = estimator.estimate(reference[outer], secondary[outer])
    for part, image in zip(tile, whole, strict=True):
        np.testing.assert_allclose(part[inside], image[rows, cols], atol=1e-5)


def test_strips_leave_no_seam(pair: SimulatedPair, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = registry.get("log-moments")
    whole = estimator.estimate(pair.reference, pair.secondary)
    monkeypatch.setattr(classical, "STRIP", 17)
    for part, image in zip(estimator.estimate(pair.reference, pair.secondary), whole, strict=True):
        np.testing.assert_allclose(part, image, atol=1e-6)


@pytest.mark.parametrize(("name", "mode"), EVERY)
def test_brightness_and_order_of_the_images_dont_matter(name: str, mode: str, pair: SimulatedPair) -> None:
    estimator = registry.get(name, mode=mode)
    plain = estimator.estimate(pair.reference, pair.secondary)[0]
    swapped = estimator.estimate(pair.secondary * np.float32(32.0), pair.reference)[0]
    np.testing.assert_allclose(swapped, plain, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_images_that_dont_vary_have_an_estimate_and_dark_ones_have_none(name: str) -> None:
    estimator = registry.get(name)
    constant = np.full((40, 40), 0.1, np.float32)
    coherence, sigma = estimator.estimate(constant, constant)
    assert np.isfinite(coherence).all()
    assert np.isfinite(sigma).all()
    assert np.isnan(estimator.estimate(np.zeros_like(constant), constant)[0]).all()


def test_zero_power_counts_as_missing_from_the_windows_around(pair: SimulatedPair) -> None:
    estimator = registry.get("log-correlation")
    holes, zeros = pair.reference.copy(), pair.reference.copy()
    holes[30:33, 50:53] = np.nan
    zeros[30:33, 50:53] = 0.0
    with_holes, with_zeros = (estimator.estimate(image, pair.secondary)[0] for image in (holes, zeros))
    there = np.isfinite(holes)
    assert np.array_equal(with_zeros[there], with_holes[there])
    assert np.isfinite(with_zeros).all()


@pytest.mark.parametrize("product", [GRD_10M, RTC_30M], ids=lambda each: each.name)
@pytest.mark.parametrize("name", NAMES)
def test_homogeneous_ground_comes_out_in_order(name: str, product: Product) -> None:
    estimator = registry.get(name, spacing=product.spacing)
    means = []
    for gamma in (0.0, 0.4, 0.7, 0.95):
        pair = flat_pair(gamma, product=product)
        means.append(float(inner(estimator.estimate(pair.reference, pair.secondary)[0]).mean()))
    assert means == sorted(means)
    assert means[-1] - means[0] > 0.15  # the rms-optimal answer of a statistic that texture fools stays near the mean


@pytest.mark.parametrize("product", [GRD_10M, RTC_30M], ids=lambda each: each.name)
@pytest.mark.parametrize("name", ["log-correlation", "log-moments"])
def test_the_default_kind_separates_sea_from_stable_land(name: str, product: Product) -> None:
    estimator = registry.get(name, spacing=product.spacing)
    sea, land = (flat_pair(gamma, product=product) for gamma in (0.0, 0.8))
    found_sea = inner(estimator.estimate(sea.reference, sea.secondary)[0])
    found_land = inner(estimator.estimate(land.reference, land.secondary)[0])
    assert float(found_sea.mean()) < 0.22
    assert float(np.quantile(found_land, 0.02)) > float(np.quantile(found_sea, 0.98))


def leaked(estimator: Estimator, product: Product) -> float:
    """Mean estimate over ground whose texture repeats while its speckle doesn't, above the estimator's floor."""
    rng = np.random.default_rng(21)
    grain = rng.standard_normal((160, 160))
    smooth = np.cumsum(np.cumsum(grain, axis=0), axis=1)
    fields = np.where((np.add.outer(np.arange(160) // 40, np.arange(160) // 32) % 2).astype(bool), 1.0, 0.25)
    power = (fields * 10.0 ** (0.1 * smooth / smooth.std())).astype(np.float32)
    pair = simulate_pair(np.zeros_like(power), power, product=product, rng=rng)
    found = inner(estimator.estimate(pair.reference, pair.secondary)[0])
    return float(found.mean()) - registry_floor(estimator)


def registry_floor(estimator: Estimator) -> float:
    assert isinstance(estimator, classical.ClassicalEstimator)
    return estimator.floor[0]


@pytest.mark.parametrize("product", [GRD_10M, RTC_30M], ids=lambda each: each.name)
@pytest.mark.parametrize("name", ["log-correlation", "log-moments"])
def test_leak_probe_common_texture_is_not_coherence(name: str, product: Product) -> None:
    assert leaked(registry.get(name, spacing=product.spacing), product) < 0.1


def test_leak_probe_would_notice_an_estimator_that_reads_texture() -> None:
    assert leaked(registry.get("rignot-van-zyl", mode="raw", window=21), GRD_10M) > 0.25


@pytest.mark.parametrize("spacing", [10.0, 30.0])
def test_the_logarithmic_ones_beat_a_constant_and_their_sigma_holds(spacing: float) -> None:
    product = GRD_10M if spacing == 10.0 else RTC_30M
    pairs = [textured_pair(seed, product=product) for seed in range(5, 13)]
    spread = float(np.std([pair.coherence for pair in pairs]))
    for name in ("log-correlation", "log-moments"):
        estimator = registry.get(name, spacing=spacing)
        sums = []
        for pair in pairs:
            coherence, sigma = estimator.estimate(pair.reference, pair.secondary)
            sums.append(measure(coherence, pair.coherence, sigma))
        scores = summarise(sums)
        assert scores.rmse < 0.9 * spread
        assert 0.5 < scores.coverage_at(0.68) < 0.85


@pytest.mark.parametrize("name", ["speckle-unet", "log-moments"])
def test_images_of_different_shape_are_refused(name: str) -> None:
    estimator = registry.get(name)
    with pytest.raises(ModelError, match=r"two images of one shape, not \(4, 5\) and \(4, 6\)"):
        estimator.estimate(np.ones((4, 5), np.float32), np.ones((4, 6), np.float32))


def test_images_smaller_than_the_window_are_estimated() -> None:
    pair = flat_pair(0.9, side=8)
    coherence, _ = registry.get("log-correlation").estimate(pair.reference, pair.secondary)
    assert coherence.shape == (8, 8)
    assert np.nanmax(coherence) <= 1.0


def test_the_default_comes_first_and_has_a_calibration_for_its_window() -> None:
    assert registry.available()[0].name == registry.DEFAULT
    for info in WINDOWED:
        assert info.window in info.windows
        assert registry.get(info.name).name == info.name


def test_an_unknown_name_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(ModelError, match=r"unknown estimator 'log-corelation'; did you mean 'log-correlation'.*touzi"):
        registry.get("log-corelation")


def test_windows_modes_spacings_and_devices_that_arent_there_are_named() -> None:
    with pytest.raises(ModelError, match=r"no calibration for a window of 13 px; choose one of 5, 7"):
        registry.get("touzi-intensity", window=13)
    with pytest.raises(ModelError, match=r"'log-moments' has no mode 'raw'; choose one of calibrated"):
        registry.get("log-moments", mode="raw")
    with pytest.raises(ModelError, match=r"no unknown mode 'magic'; choose one of calibrated, inverted, raw"):
        registry.get("log-correlation", mode="magic")
    with pytest.raises(ModelError, match=r"pixels of 10, 20, 30 m, too far from 90 m"):
        registry.get(spacing=90.0)
    with pytest.raises(ModelError, match="unknown device 'abacus'"):
        registry.get(device="abacus")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so cuda is no mistake")
def test_a_gpu_that_isnt_there_is_an_error_and_auto_does_without() -> None:
    with pytest.raises(ModelError, match="PyTorch finds no GPU"):
        registry.get(device="cuda")
    registry.get(device="auto")


@pytest.mark.parametrize(("spacing", "calibrated_for"), [(8.0, 10.0), (14.0, 10.0), (15.0, 20.0), (25.0, 30.0)])
def test_the_nearest_calibration_by_ratio_is_taken(spacing: float, calibrated_for: float) -> None:
    assert registry.get(spacing=spacing).spacing == calibrated_for


def test_the_version_tells_calibrations_apart() -> None:
    versions = {
        registry.get("log-correlation", mode=mode, window=window, spacing=spacing).version
        for mode in ("raw", "calibrated")
        for window in (15, 21)
        for spacing in (10.0, 30.0)
    }
    assert len(versions) == 8


def test_importing_the_registry_doesnt_load_pytorch() -> None:
    code = "import models.registry, sys; models.registry.available(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
