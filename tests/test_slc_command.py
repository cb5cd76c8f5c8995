"""`cohmap slc`: coherence of a pair of complex images as a GeoTIFF, on a map where the images are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from models.slc import pair as pairs
from models.slc.pair import pair_coherence
from tests.benchmarks.slc_scenes import fringed, homogeneous
from tests.conftest import Answer, Command

WINDOW = ("--window", "9x9")
TRANSFORM = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two complex GeoTIFFs on a map, with fringes between them."""
    first, second = homogeneous(0.7, (150, 90), seed=8)
    for day, image in (("20230319", fringed(first, slope=(0.5, 1.0))), ("20230331", second)):
        profile = {"driver": "GTiff", "height": 150, "width": 90, "count": 1, "dtype": "complex64"}
        path = tmp_path / f"slc_{day}_VV.tif"
        with rasterio.open(path, "w", crs="EPSG:32631", transform=TRANSFORM, **profile) as dataset:
            dataset.write(image.numpy(), 1)
    return tmp_path


def images(folder: Path) -> list[np.ndarray]:
    found = []
    for path in sorted(folder.glob("slc_*.tif")):
        with rasterio.open(path) as dataset:
            found.append(dataset.read(1))
    return found


def test_the_file_holds_the_coherence_of_the_pair(
    cohmap: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "STRIP", 90 * 64)
    answer = cohmap("slc", str(folder), "--output", str(folder / "out/c.tif"), *WINDOW, "--stride", "3x2")
    assert (answer.code, answer.err) == (0, "")
    assert "out/c.tif" in answer.out
    with rasterio.open(folder / "out/c.tif") as result:
        found, tags = result.read(1), result.tags()
        assert result.transform @ (0.5, 0.5) == pytest.approx(TRANSFORM @ (0.5, 0.5))
        assert (result.transform.a, result.transform.e) == (20.0, -30.0)
        assert result.descriptions == ("coherence",)
    assert (tags["REFERENCE_DATE"], tags["TEMPORAL_BASELINE_DAYS"]) == ("2023-03-19", "12")
    first, second = images(folder)
    expected = pair_coherence(first, second, window=(9, 9), stride=(3, 2))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.nanmean(found[10:-10, 10:-10]) == pytest.approx(0.7, abs=0.03)


def test_fringes_darken_the_boxcar_alone(cohmap: Command, folder: Path) -> None:
    command = ("slc", str(folder), *WINDOW, "--mode", "boxcar")
    assert cohmap(*command, "--output", str(folder / "out/b.tif"), "--quiet") == Answer(0, "", "")
    with rasterio.open(folder / "out/b.tif") as result:
        assert np.nanmean(result.read(1)) < 0.3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--output", "c.png"), "--output c.png is no GeoTIFF by its name; let it end in .tif"),
        (("--output", "c.tif", "--mode", "fft"), "unknown mode 'fft'; choose one of boxcar, paper"),
        (("--output", "c.tif", "--window", "4x4"), "--window 4x4 is not usable; give odd lines and samples"),
        (("--output", "c.tif", "--stride", "0x1"), "--stride 0x1 is not usable; give lines and samples, such as 1x1"),
        (("--output", "c.tif", "--pair", "20230319-20230401"), "the stack has nothing of 2023-04-01"),
        (("--output", "slc_20230319_VV.tif"), "would overwrite an image; give another file"),
    ],
)
def test_what_makes_no_coherence_is_told(
    cohmap: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(folder)
    answer = cohmap("slc", ".", *options)
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert not (folder / "c.tif").exists()


def test_of_three_dates_two_are_chosen(cohmap: Command, folder: Path) -> None:
    shutil.copy(folder / "slc_20230331_VV.tif", folder / "slc_20230412_VV.tif")
    command = ("slc", str(folder), "--output", str(folder / "out/c.tif"))
    answer = cohmap(*command)
    assert answer.code == 2
    assert "there are 3 dates (2023-03-19, 2023-03-31, 2023-04-12); choose two with --pair" in answer.err
    assert cohmap(*command, "--pair", "20230319-20230412").code == 0
