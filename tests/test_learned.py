"""A network as an estimator keeps the contract, whatever it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import registry
from models.coherence.learned import LearnedEstimator
from models.coherence.network import Weights, build
from models.errors import ModelError
from models.estimator import Estimator, FloatArray
from tests.small_network import SMALL, write_weights


@pytest.fixture(scope="module")
def estimator(tmp_path_factory: pytest.TempPathFactory) -> LearnedEstimator:
    path = write_weights(tmp_path_factory.mktemp("weights") / "small.safetensors")
    return LearnedEstimator("small", path, spacing=10.0, device="cpu")


def speckle(count: int, height: int, width: int, seed: int = 1) -> list[FloatArray]:
    """Independent images of four looks, at a backscatter of -13 dB."""
    rng = np.random.default_rng(seed)
    return [rng.gamma(4.0, 0.05 / 4.0, (height, width)).astype(np.float32) for _ in range(count)]


def keeps_the_contract(maps: tuple[FloatArray, FloatArray], shape: tuple[int, int]) -> bool:
    coherence, sigma = maps
    there = np.isfinite(coherence)
    return (
        all(each.dtype == np.float32 and each.shape == shape for each in maps)
        and bool(np.all(there == np.isfinite(sigma)))
        and bool(np.all((coherence[there] >= 0.0) & (coherence[there] <= 1.0)))
        and bool(np.all((sigma[there] > 0.0) & (sigma[there] <= 1.0)))
    )


def test_it_says_what_an_estimator_says(estimator: LearnedEstimator) -> None:
    contract: Estimator = estimator
    assert (contract.name, contract.spacing, contract.context) == ("small", 10.0, 4)
    assert contract.halo % SMALL.lattice == 0
    assert estimator.lattice == SMALL.lattice


@pytest.mark.parametrize("dates", [0, 1, 4])
@pytest.mark.parametrize("shape", [(64, 64), (61, 47), (16, 5), (1, 1), (1, 40), (3, 2)])
def test_any_size_will_do(estimator: LearnedEstimator, shape: tuple[int, int], dates: int) -> None:
    reference, secondary, *context = speckle(2 + dates, *shape)
    maps = estimator.estimate(reference, secondary, context)
    assert keeps_the_contract(maps, shape)
    assert np.isfinite(maps[0]).all()


def test_no_data_stays_no_data(estimator: LearnedEstimator) -> None:
    reference, secondary = speckle(2, 64, 64)
    reference[:20, :30] = np.nan
    secondary[50:, 40:] = np.inf
    maps = estimator.estimate(reference, secondary)
    assert keeps_the_contract(maps, (64, 64))
    np.testing.assert_array_equal(np.isnan(maps[0]), ~(np.isfinite(reference) & np.isfinite(secondary)))


def test_dark_pixels_are_bridged_but_not_a_dark_sea(estimator: LearnedEstimator) -> None:
    reference, secondary = speckle(2, 96, 96)
    secondary[::7, ::5] = 0.0
    reference[:, 60:] = -1e-4
    coherence, _ = estimator.estimate(reference, secondary)
    assert np.isfinite(coherence[:, :60]).all()
    assert np.isnan(coherence[:, 68:]).all()


@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0])
def test_where_nothing_is_seen_nothing_is_said(estimator: LearnedEstimator, value: float) -> None:
    nothing = np.full((40, 40), value, np.float32)
    for images in ((nothing, nothing), (nothing, speckle(1, 40, 40)[0])):
        coherence, sigma = estimator.estimate(*images)
        assert np.isnan(coherence).all()
        assert np.isnan(sigma).all()


def test_images_that_do_not_vary_get_an_answer(estimator: LearnedEstimator) -> None:
    flat = np.full((32, 32), 0.1, np.float32)
    assert np.isfinite(estimator.estimate(flat, flat, [flat, flat])).all()


def test_the_images_are_left_as_they_are(estimator: LearnedEstimator) -> None:
    images = speckle(4, 33, 33)
    images[0][3, 3], images[2][4, 4] = np.nan, 0.0
    copies = [image.copy() for image in images]
    estimator.estimate(images[0], images[1], images[2:])
    for image, copy in zip(images, copies, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_the_same_images_give_the_same_bits(estimator: LearnedEstimator) -> None:
    reference, secondary, *context = speckle(4, 48, 48)
    for one, again in zip(*(estimator.estimate(reference, secondary, context) for _ in range(2)), strict=True):
        np.testing.assert_array_equal(one, again)


def test_a_window_onto_a_larger_image_may_be_given(estimator: LearnedEstimator) -> None:
    reference, secondary = speckle(2, 80, 80)
    window = np.s_[16:64, 8:40]
    views = estimator.estimate(reference[window], secondary[window])
    copies = estimator.estimate(reference[window].copy(), secondary[window].copy())
    np.testing.assert_array_equal(views, copies)


@pytest.mark.parametrize("shape", [(64, 64), (61, 47)])
def test_brightness_tells_nothing(estimator: LearnedEstimator, shape: tuple[int, int]) -> None:
    reference, secondary, *context = speckle(5, *shape)
    reference[20:30, 10:20] = np.nan
    for date in context:
        date[:, :9] = np.nan
    brighter = estimator.estimate(10.0 * reference, 10.0 * secondary, [10.0 * date for date in context])
    for found, expected in zip(brighter, estimator.estimate(reference, secondary, context), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_further_dates_matter(estimator: LearnedEstimator) -> None:
    reference, secondary, *context = speckle(4, 48, 48)
    alone, _ = estimator.estimate(reference, secondary)
    among, _ = estimator.estimate(reference, secondary, context)
    assert np.abs(alone - among).max() > 1e-3


@pytest.mark.parametrize("others", [0, 2])
def test_a_further_date_without_data_does_no_harm(estimator: LearnedEstimator, others: int) -> None:
    reference, secondary, *context = speckle(2 + others, 48, 48)
    empty = np.full((48, 48), np.nan, np.float32)
    maps = estimator.estimate(reference, secondary, [*context, empty])
    assert keeps_the_contract(maps, (48, 48))
    assert np.isfinite(maps[0]).all()


@pytest.mark.parametrize(("top", "left"), [(128, 0), (0, 112), (256, 0), (0, 256)])
def test_a_tile_with_its_halo_equals_the_whole(estimator: LearnedEstimator, top: int, left: int) -> None:
    side = 64
    shape = (309 if top else 37, 309 if left else 37)  # neither is a multiple of the lattice
    reference, secondary, *context = speckle(4, *shape)
    reference[top : top + 20, left : left + 30] = np.nan
    whole = estimator.estimate(reference, secondary, context)
    rows, cols = (slice(max(begin - estimator.halo, 0), begin + side + estimator.halo) for begin in (top, left))
    tile = estimator.estimate(reference[rows, cols], secondary[rows, cols], [date[rows, cols] for date in context])
    inside = np.s_[top - rows.start :, left - cols.start :]
    for all_of_it, piece in zip(whole, tile, strict=True):
        expected = all_of_it[top : top + side, left : left + side]
        np.testing.assert_allclose(piece[inside][: expected.shape[0], : expected.shape[1]], expected, atol=1e-5)


@pytest.mark.parametrize("dates", [0, 3])
def test_nothing_beyond_the_halo_matters_to_the_weights_that_are_shipped(dates: int) -> None:
    estimator = registry.get("speckle-unet", device="cpu")
    images, begin, side = speckle(2 + dates, 480, 48), 208, 64
    reference, secondary, *context = images
    whole = estimator.estimate(reference, secondary, context)
    reference, secondary, *context = (image[begin - estimator.halo : begin + side + estimator.halo] for image in images)
    tile = estimator.estimate(reference, secondary, context)
    for all_of_it, piece in zip(whole, tile, strict=True):
        inside = piece[estimator.halo :][:side]
        np.testing.assert_allclose(inside, all_of_it[begin : begin + side], rtol=0, atol=1e-5)


def test_the_published_layout_keeps_the_contract_too(tmp_path: Path) -> None:
    path = tmp_path / "published.safetensors"
    Weights(SMALL, build("resunet", SMALL).state_dict(), kind="resunet").save(path)
    published = LearnedEstimator("published", path, spacing=10.0, device="cpu")
    assert (published.context, published.halo % published.lattice) == (0, 0)
    reference, secondary = speckle(2, 45, 33)
    reference[:9, :12] = np.nan
    maps = published.estimate(reference, secondary)
    assert keeps_the_contract(maps, (45, 33))
    np.testing.assert_array_equal(np.isnan(maps[0]), np.isnan(reference))


def test_sigma_is_scaled_as_the_weights_say(estimator: LearnedEstimator, tmp_path: Path) -> None:
    path = write_weights(tmp_path / "small.safetensors", sigma_scale=1.5)
    scaled = LearnedEstimator("small", path, spacing=10.0, device="cpu")
    reference, secondary = speckle(2, 32, 32)
    (one, sigma), (same, larger) = (each.estimate(reference, secondary) for each in (estimator, scaled))
    np.testing.assert_array_equal(same, one)
    np.testing.assert_allclose(larger, np.minimum(1.5 * sigma, 1.0), rtol=1e-5)
    assert scaled.version != estimator.version


@pytest.mark.parametrize(
    "shapes",
    [[(8, 8), (8, 9)], [(8,), (8,)], [(8, 8), (8, 8), (4, 8)], [(2, 8, 8), (2, 8, 8)]],
    ids=["two shapes", "a line", "another context", "three axes"],
)
def test_images_of_other_shapes_are_refused(estimator: LearnedEstimator, shapes: list[tuple[int, ...]]) -> None:
    reference, secondary, *context = (np.ones(shape, np.float32) for shape in shapes)
    with pytest.raises(
        ModelError, match=r"an estimate takes two images of one shape, not .*; put them on one grid first"
    ):
        estimator.estimate(reference, secondary, context)


def test_weights_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there are no weights at"):
        LearnedEstimator("mine", tmp_path / "mine.safetensors", spacing=10.0)
