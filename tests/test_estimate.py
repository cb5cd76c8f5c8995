"""`cohmap estimate A.tif B.tif`: coherence of two files without a region, and one sentence where they don't fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rio_cogeo.cogeo import cog_validate

from models.simulate.pair import product_for, simulate_pair
from tests.archive_files import write_tif
from tests.conftest import Answer, Command

TRUTH = 0.8


@pytest.fixture(scope="module")
def images() -> tuple[Any, Any]:
    """Two images of ground with one coherence, linear power."""
    shape = (96, 128)
    rng = np.random.default_rng(5)
    pair = simulate_pair(np.full(shape, TRUTH), np.full(shape, 0.1), product=product_for(10.0), rng=rng)
    return pair.reference, pair.secondary


@pytest.fixture
def folder(tmp_path: Path, images: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that holds the two images as a.tif and b.tif."""
    monkeypatch.chdir(tmp_path)
    for name, pixels in zip("ab", images, strict=True):
        write_tif(Path(f"{name}.tif"), pixels)
    return tmp_path


def require_sentence(answer: Answer, *parts: str) -> None:
    assert answer.code == 2
    assert answer.err.startswith("cohmap: ")
    assert answer.err.count("\n") == 1
    for part in parts:
        assert part in answer.err


def bands(path: str) -> Any:
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_it_writes_coherence_and_sigma_as_a_valid_cog(cohmap: Command, folder: Path) -> None:
    options = ("--output", "maps/c.tif", "--estimator", "log-moments")
    answer = cohmap("estimate", "a.tif", "b.tif", *options)
    assert (answer.code, answer.err) == (0, "")
    assert "maps/c.tif" in answer.out
    valid, errors, _ = cog_validate(folder / "maps/c.tif")
    assert (valid, errors) == (True, [])
    with rasterio.open("maps/c.tif") as result, rasterio.open("a.tif") as image:
        assert result.descriptions == ("coherence", "sigma")
        assert (result.crs, result.transform, result.shape) == (image.crs, image.transform, image.shape)
        assert result.tags()["REFERENCE_ASSETS"] == "a.tif"
        assert "TEMPORAL_BASELINE_DAYS" not in result.tags()  # nobody told it the dates
        coherence, sigma = result.read()
    assert np.nanmean(coherence) == pytest.approx(TRUTH, abs=0.05)
    assert 0 < np.nanmean(sigma) < 0.2


def test_db_and_amplitude_make_the_map_that_linear_power_makes(
    cohmap: Command, folder: Path, images: tuple[Any, Any]
) -> None:
    assert cohmap("estimate", "a.tif", "b.tif", "--output", "linear.tif", "--quiet") == Answer(0, "", "")
    for units, convert in (("db", lambda power: 10 * np.log10(power)), ("amplitude", np.sqrt)):
        for name, pixels in zip("ab", images, strict=True):
            write_tif(folder / f"{name}_{units}.tif", convert(pixels))
        answer = cohmap("estimate", f"a_{units}.tif", f"b_{units}.tif", "--output", "x.tif", "--units", units)
        assert answer.code == 0
        np.testing.assert_allclose(bands("x.tif"), bands("linear.tif"), atol=1e-4)


@pytest.mark.usefixtures("folder")
def test_another_estimator_and_window(cohmap: Command) -> None:
    settings = ("--estimator", "log-correlation", "--window", "9")
    assert cohmap("estimate", "a.tif", "b.tif", "--output", "c.tif", *settings).code == 0
    with rasterio.open("c.tif") as result:
        assert result.tags()["ESTIMATOR"].startswith("log-correlation")
        assert "w9" in result.tags()["ESTIMATOR"]


def test_images_without_a_common_pixel_give_a_map_without_data(cohmap: Command, folder: Path) -> None:
    write_tif(folder / "empty.tif", np.full((96, 128), np.nan))
    assert cohmap("estimate", "a.tif", "empty.tif", "--output", "c.tif").code == 0
    assert np.isnan(bands("c.tif")).all()


@pytest.mark.parametrize(
    ("profile", "sentence"),
    [
        ({"crs": "EPSG:32633"}, "not on one grid"),
        ({"transform": Affine(10, 0, 0, 0, -10, 0)}, "not on one grid"),
        ({"crs": None}, "b.tif is not georeferenced"),
        ({"crs": None, "transform": None}, "b.tif is not georeferenced"),
        ({"dtype": "complex64"}, "b.tif holds complex numbers"),
        ({"count": 2}, "b.tif has 2 bands"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_file_that_does_not_fit_the_other(
    cohmap: Command, folder: Path, images: tuple[Any, Any], profile: dict[str, Any], sentence: str
) -> None:
    write_tif(folder / "b.tif", images[1], **profile)
    require_sentence(cohmap("estimate", "a.tif", "b.tif", "--output", "c.tif"), sentence)
    assert not Path("c.tif").exists()


def test_another_shape_is_told_in_pixels(cohmap: Command, folder: Path, images: tuple[Any, Any]) -> None:
    write_tif(folder / "b.tif", images[1][:64, :80])
    answer = cohmap("estimate", "a.tif", "b.tif", "--output", "c.tif")
    require_sentence(answer, "a.tif has 128 x 96 pixels, b.tif has 80 x 64 pixels")


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_not_there(cohmap: Command) -> None:
    require_sentence(cohmap("estimate", "a.tif", "none.tif", "--output", "c.tif"), "none.tif does not exist")


@pytest.mark.parametrize("size", [0, 5000])
def test_a_truncated_file_leaves_the_map_that_was_there(cohmap: Command, folder: Path, size: int) -> None:
    (folder / "c.tif").write_bytes(b"the map of yesterday")
    (folder / "b.tif").write_bytes((folder / "b.tif").read_bytes()[:size])
    require_sentence(cohmap("estimate", "a.tif", "b.tif", "--output", "c.tif"), "b.tif is truncated or damaged")
    assert (folder / "c.tif").read_bytes() == b"the map of yesterday"
    assert sorted(path.name for path in folder.iterdir()) == ["a.tif", "b.tif", "c.tif"]


def test_db_that_nobody_declared(cohmap: Command, folder: Path, images: tuple[Any, Any]) -> None:
    write_tif(folder / "b.tif", 10 * np.log10(images[1]))
    require_sentence(cohmap("estimate", "a.tif", "b.tif", "--output", "c.tif"), "b.tif", "set --units 'db'")


@pytest.mark.usefixtures("folder")
def test_linear_power_declared_as_db(cohmap: Command) -> None:
    answer = cohmap("estimate", "a.tif", "b.tif", "--output", "c.tif", "--units", "db")
    require_sentence(answer, "a.tif holds no negative value", "set --units 'linear'")


@pytest.mark.parametrize("output", ["a.tif", "../{folder}/b.tif", "link.tif"])
def test_an_image_is_never_overwritten(cohmap: Command, folder: Path, output: str) -> None:
    (folder / "link.tif").symlink_to("a.tif")
    before = [(folder / name).read_bytes() for name in ("a.tif", "b.tif")]
    answer = cohmap("estimate", "a.tif", "b.tif", "--output", output.format(folder=folder.name))
    require_sentence(answer, "would overwrite the image", "give another file")
    assert [(folder / name).read_bytes() for name in ("a.tif", "b.tif")] == before


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (".", "is a folder"),
        ("", "is a folder"),
        ("map.png", "let it end in .tif"),
        ("a.tif/map.tif", "can't be written"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_an_output_that_can_not_be(cohmap: Command, output: str, sentence: str) -> None:
    require_sentence(cohmap("estimate", "a.tif", "b.tif", "--output", output), sentence)


@pytest.mark.usefixtures("folder")
def test_the_output_may_lie_on_object_storage(cohmap: Command) -> None:
    assert cohmap("estimate", "a.tif", "b.tif", "--output", "memory://maps/c.tif").code == 0


@pytest.mark.usefixtures("folder")
def test_a_file_against_itself_is_noted(cohmap: Command) -> None:
    answer = cohmap("estimate", "a.tif", "./a.tif", "--output", "c.tif")
    assert answer.code == 0
    assert "a.tif is compared with itself" in answer.out


def test_two_polarisations_are_noted(cohmap: Command, folder: Path) -> None:
    (folder / "a.tif").rename(folder / "20230104_VV.tif")
    (folder / "b.tif").rename(folder / "20230116_VH.tif")
    answer = cohmap("estimate", "20230104_VV.tif", "20230116_VH.tif", "--output", "c.tif")
    assert answer.code == 0
    assert "one image is VV and the other VH" in answer.out


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("--estimator", "log-corelation"), "did you mean 'log-correlation'?"),
        (("--estimator", "log-moments", "--window", "4"), "choose one of"),
        (("--window", "21"), "is a network and has no window"),
        (("--device", "cuda"), "PyTorch finds no GPU"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_settings_that_can_not_be(
    cohmap: Command, monkeypatch: pytest.MonkeyPatch, option: tuple[str, str], sentence: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    require_sentence(cohmap("estimate", "a.tif", "b.tif", "--output", "c.tif", *option), sentence)


def test_further_dates_are_taken_into_account(cohmap: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ground = np.full((256, 256), 0.6)
    rng = np.random.default_rng(6)
    drawn = simulate_pair(ground, np.full(ground.shape, 0.1), product=product_for(10.0), rng=rng)
    other = simulate_pair(ground, np.full(ground.shape, 0.1), product=product_for(10.0), rng=rng)
    for name, pixels in zip("rscd", (drawn.reference, drawn.secondary, other.reference, other.secondary), strict=True):
        write_tif(Path(f"{name}.tif"), pixels)
    assert cohmap("estimate", "r.tif", "s.tif", "--output", "without.tif").code == 0
    answer = cohmap("estimate", "r.tif", "s.tif", "--context", "c.tif", "--context", "d.tif", "--output", "with.tif")
    assert answer.code == 0
    assert not np.array_equal(bands("with.tif"), bands("without.tif"), equal_nan=True)
    with rasterio.open("with.tif") as result:
        assert result.tags()["CONTEXT_ASSETS"] == "c.tif,d.tif"


@pytest.mark.usefixtures("folder")
def test_further_dates_that_nobody_uses_are_refused(cohmap: Command) -> None:
    command = ("estimate", "a.tif", "b.tif", "--context", "a.tif", "--output", "c.tif")
    answer = cohmap(*command, "--estimator", "log-moments")
    require_sentence(answer, "estimator 'log-moments' makes use of no further dates, not 1")
    many = ("--context", "a.tif") * 4
    require_sentence(cohmap(*command, *many), "estimator 'speckle-unet' makes use of at most 4 further dates, not 5")


def test_a_further_date_on_another_grid_is_refused(cohmap: Command, folder: Path, images: tuple[Any, Any]) -> None:
    write_tif(folder / "small.tif", images[0][:50])
    answer = cohmap("estimate", "a.tif", "b.tif", "--context", "small.tif", "--output", "c.tif")
    require_sentence(answer, "small.tif has 128 x 50 pixels", "both must be on one grid")
