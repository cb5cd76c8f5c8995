"""The published network as an estimator, with random weights: the contract, tiles, and the pipeline around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import rasterio
import torch
from odc.geo.geobox import GeoBox

from models import registry, weights
from models.coherence import residual_unet
from models.coherence.residual_unet import HALO, LATTICE, PUBLISHED_RMSE, ResidualUNetEstimator, filled
from models.coregister import Shift, apply_shift
from models.decibels import DecibelRange
from models.errors import ModelError
from models.estimator import FloatArray, within
from pipeline import cube
from pipeline.compute import Pool
from pipeline.errors import CohmapError
from pipeline.export import export, stack_name
from pipeline.infer import infer, maps_name
from pipeline.passes import Pass
from pipeline.plan import make_plan
from pipeline.progress import Silent
from pipeline.region import Region
from pipeline.storage import Folder
from tests.archive_files import write_tif
from tests.conftest import Command
from tests.fakes import FIRST, TRACK, SpeckleSource, make_region
from tests.keras_files import SMALL, random_network

NAME = "beyond-backscatter"


T = TypeVar("T")
R = TypeVar("R")


def save_weights(seed: int) -> None:
    record = weights.Record(SMALL, DecibelRange(), 128, 32, f"random, seed {seed}", "")
    weights.save(NAME, random_network(seed).state_dict(), record)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weights folder with a small network, whose halo is that of the large one."""
    monkeypatch.setenv("COHMAP_WEIGHTS", str(tmp_path / "weights"))
    save_weights(seed=0)


@pytest.fixture
def estimator() -> ResidualUNetEstimator:
    return ResidualUNetEstimator(NAME, device="cpu")


def speckle(height: int, width: int, seed: int = 5) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    first, second = (0.1 * rng.gamma(4.4, 1 / 4.4, (2, height, width))).astype(np.float32)
    return first, second


def test_the_registry_builds_it_by_its_name(estimator: ResidualUNetEstimator) -> None:
    built = registry.get(NAME)
    assert (built.name, built.version, built.halo) == (NAME, estimator.version, HALO)
    assert (built.spacing, built.context) == (10.0, 0)


def test_an_estimate_keeps_the_contract(estimator: ResidualUNetEstimator) -> None:
    coherence, sigma = estimator.estimate(*speckle(40, 70))
    for image in (coherence, sigma):
        assert image.shape == (40, 70)
        assert image.dtype == np.float32
    assert 0 < coherence.min() < coherence.max() < 1
    assert np.unique(sigma).tolist() == [np.float32(PUBLISHED_RMSE)]


def test_the_network_sees_decibels_clipped_and_scaled_with_the_reference_first(
    estimator: ResidualUNetEstimator,
) -> None:
    reference, secondary = speckle(32, 32)
    reference[3, 4], secondary[5, 6] = 1e-9, 30.0
    inputs = [np.clip(10 * np.log10(image + 1e-10) / 20 + 1, 0, 1) for image in (reference, secondary)]
    with torch.inference_mode():
        mean, _ = random_network()(torch.from_numpy(np.stack(inputs))[None])
    np.testing.assert_allclose(estimator.estimate(reference, secondary)[0], mean[0, 0].numpy(), atol=1e-6)
    assert not np.allclose(estimator.estimate(secondary, reference)[0], mean[0, 0].numpy(), atol=1e-3)


@pytest.mark.parametrize("height", [1, 15, 17, 33])
def test_sides_that_are_no_multiples_of_16_are_continued_by_reflection(
    estimator: ResidualUNetEstimator, height: int
) -> None:
    images = speckle(height, 32)
    continued = [np.pad(image, ((0, -height % 16), (0, 0)), mode="reflect") for image in images]
    whole = estimator.estimate(continued[0], continued[1])[0]
    np.testing.assert_allclose(estimator.estimate(*images)[0], whole[:height], atol=1e-6)


def test_missing_pixels_stay_missing_and_poison_nothing(estimator: ResidualUNetEstimator) -> None:
    reference, secondary = speckle(64, 64)
    reference[10:40, 20:50] = np.nan
    secondary[60, 60] = np.nan
    for image in estimator.estimate(reference, secondary):
        assert np.array_equal(np.isnan(image), np.isnan(reference) | np.isnan(secondary))


def test_images_without_data_and_without_power_are_no_error(estimator: ResidualUNetEstimator) -> None:
    nothing = np.full((20, 20), np.nan, np.float32)
    assert np.isnan(estimator.estimate(nothing, nothing)[0]).all()
    dark = np.zeros((20, 20), np.float32)
    assert np.isfinite(estimator.estimate(dark, dark - 0.01)[0]).all()  # noise subtracted from next to nothing


def test_a_missing_pixel_is_filled_with_the_mean_around_it_or_the_lowest_value_far_out() -> None:
    image = torch.full((1, 40, 40), 0.5)
    image[0, :, :20] = 0.3
    image[0, 5:8, 5:8] = torch.nan
    image[0, :, 24:] = torch.nan
    done = filled(image)[0]
    torch.testing.assert_close(done[5:8, 5:8], torch.full((3, 3), 0.3))
    assert done[20, 30] == pytest.approx(0.5)
    assert done[20, 31:].eq(0.0).all()
    assert done[20, 24] == pytest.approx((0.3 * 3 + 0.5 * 4) / 7)


def tiles(side: int, tile: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, side, tile):
        for left in range(0, side, tile):
            yield slice(top, top + tile), slice(left, left + tile)


def test_tiles_with_the_declared_halo_equal_the_whole_image(estimator: ResidualUNetEstimator) -> None:
    reference, secondary = speckle(416, 416)
    reference[200:230, 180:300] = np.nan
    whole = estimator.estimate(reference, secondary)[0]
    for rows, cols in tiles(416, 208):
        outer = [slice(max(cut.start - HALO, 0), cut.stop + HALO) for cut in (rows, cols)]
        inside = [
            slice(cut.start - around.start, cut.stop - around.start)
            for cut, around in zip((rows, cols), outer, strict=True)
        ]
        part = estimator.estimate(reference[*outer], secondary[*outer])[0]
        np.testing.assert_allclose(part[*inside], whole[rows, cols], atol=1e-5)


def test_tiles_off_the_lattice_would_not(estimator: ResidualUNetEstimator) -> None:
    reference, secondary = speckle(416, 64)
    whole = estimator.estimate(reference, secondary)[0]
    off = estimator.estimate(reference[LATTICE // 2 :], secondary[LATTICE // 2 :])[0]
    assert np.abs(off[HALO:] - whole[HALO + LATTICE // 2 :]).max() > 1e-3


def test_a_large_image_is_estimated_in_blocks_without_seams(
    estimator: ResidualUNetEstimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = speckle(390, 90)
    whole = estimator.estimate(*images)[0]
    monkeypatch.setattr(residual_unet, "BLOCK", 64)
    np.testing.assert_allclose(estimator.estimate(*images)[0], whole, atol=1e-5)
    np.testing.assert_allclose(estimator.estimate(*images, margin=32)[0], within(whole, 32), atol=1e-5)


def test_the_published_patches_give_nearly_the_same_map(estimator: ResidualUNetEstimator) -> None:
    images = speckle(160, 160)
    images[0][50, 50] = np.nan
    by_patches, sigma = estimator.estimate_by_patches(*images)
    assert np.isnan(by_patches[50, 50])
    assert np.isnan(sigma[50, 50])
    whole = estimator.estimate(*images)[0]
    assert np.nanmean(np.abs(by_patches - whole)) < 0.2 * np.nanstd(whole)


class ShiftedSource(SpeckleSource):
    """Every pass but the first lies a fraction of a pixel off."""

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> FloatArray:
        images = super().read(item, self.region.grid, bands)
        if item.start > FIRST:
            images = np.stack([apply_shift(image, Shift(-0.8, 1.3, 20.0)) for image in images])
        (height, width), step = window.shape, window.affine.a
        row = round((self.region.grid.affine.f - window.affine.f) / step)
        col = round((window.affine.c - self.region.grid.affine.c) / step)
        return images[:, row : row + height, col : col + width]


def exported(folder: Folder, *, coregister: bool) -> Region:
    region = make_region(estimator={"name": NAME, "coregister": coregister})
    source = ShiftedSource(region, days=(0, 12))
    export(make_plan(region, source), source, folder, Silent())
    return region


def test_tiles_of_the_pipeline_meet_though_the_secondary_was_shifted(
    tmp_path: Path, estimator: ResidualUNetEstimator
) -> None:
    folder = Folder(str(tmp_path / "out"))
    region = exported(folder, coregister=True)
    with Pool(0) as pool:
        infer(region, folder, pool, Silent())
    stack, maps = cube.Cube(folder, stack_name(TRACK)), cube.Cube(folder, maps_name(TRACK))
    dy, dx = (round(np.asarray(maps.array(f"shift_{axis}")).item(), 3) for axis in ("dy", "dx"))
    shift = Shift(dy, dx, 20.0)
    assert not shift.negligible
    around = [np.pad(np.asarray(stack.array("vv")[index]), 2 * HALO, constant_values=np.nan) for index in (0, 1)]
    whole = estimator.estimate(around[0], apply_shift(around[1], shift))[0]
    tiles = np.asarray(maps.array("coherence_vv")[0])
    np.testing.assert_allclose(tiles, whole[2 * HALO : -2 * HALO, 2 * HALO : -2 * HALO], atol=1e-5)


class ElsewherePool(Pool):
    """Its worker is another machine, with other weights or none."""

    def __init__(self, seed: int | None) -> None:
        super().__init__(0)
        self._seed = seed

    def run(self, function: Callable[[T], R], tasks: Iterable[T], together: int = 1) -> Iterator[tuple[T, R]]:
        weights.path_of(NAME).unlink()
        if self._seed is not None:
            save_weights(self._seed)
        yield from super().run(function, tasks, together)


@pytest.mark.parametrize(
    ("here", "there", "sentence"),
    [
        (7, 8, r"a worker has estimator beyond-backscatter 2-\w+, this process has 2-\w+; give both the same"),
        (9, None, r"a worker can't build the estimator: .*has no weights in .*; get them with `cohmap weights fetch"),
    ],
)
def test_a_worker_with_other_weights_is_told_in_one_sentence(
    tmp_path: Path, here: int, there: int | None, sentence: str
) -> None:
    save_weights(here)
    folder = Folder(str(tmp_path / "out"))
    region = exported(folder, coregister=False)
    with ElsewherePool(there) as pool, pytest.raises(CohmapError, match=sentence):
        infer(region, folder, pool, Silent())


def test_two_files_are_estimated_with_it(cohmap: Command, tmp_path: Path) -> None:
    for name, image in zip("ab", speckle(96, 128), strict=True):
        write_tif(tmp_path / f"{name}.tif", image)
    paths = [str(tmp_path / name) for name in ("a.tif", "b.tif")]
    answer = cohmap("estimate", *paths, "--output", str(tmp_path / "c.tif"), "--estimator", NAME)
    assert (answer.code, answer.err) == (0, "")
    with rasterio.open(tmp_path / "c.tif") as result:
        assert result.tags()["ESTIMATOR"].startswith(f"{NAME} 2-")
        assert np.isfinite(result.read()).all()


def test_weights_under_another_name_are_an_estimator_of_that_name() -> None:
    weights.path_of(NAME).rename(weights.path_of("mine"))
    assert registry.get("mine").name == "mine"
    assert [info.name for info in registry.available() if not info.windows] == [registry.DEFAULT, NAME, "mine"]


def test_the_version_tells_weights_apart(estimator: ResidualUNetEstimator) -> None:
    save_weights(seed=1)
    assert registry.get(NAME).version != estimator.version


def test_without_weights_one_sentence_says_how_to_get_them() -> None:
    weights.path_of(NAME).unlink()
    with pytest.raises(ModelError, match=r"has no weights in \S+; get them with `cohmap weights fetch beyond-backsc"):
        registry.get(NAME)


def test_windows_modes_and_spacings_it_doesnt_have_are_named() -> None:
    with pytest.raises(ModelError, match="is a network and has no window; leave window out"):
        registry.get(NAME, window=21)
    with pytest.raises(ModelError, match="is a network and has no mode; leave mode out"):
        registry.get(NAME, mode="raw")
    with pytest.raises(ModelError, match="is made for pixels of 10 m, too far from 30 m"):
        registry.get(NAME, spacing=30.0)
    with pytest.raises(ModelError, match="unknown device 'abacus'"):
        registry.get(NAME, device="abacus")


def test_images_of_different_shape_are_refused(estimator: ResidualUNetEstimator) -> None:
    with pytest.raises(ModelError, match=r"two images of one shape, not \(4, 5\) and \(4, 6\)"):
        estimator.estimate(np.ones((4, 5), np.float32), np.ones((4, 6), np.float32))
