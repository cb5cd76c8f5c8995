import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from pipeline.errors import CohmapError
from pipeline.passes import Pass, group
from pipeline.sources import Query
from pipeline.sources.archive import ArchiveSource
from tests.archive_rasters import AREA, archive, hyp3, opera, plain, speckle, window, write


def search(source: ArchiveSource, *bands: str) -> list[Pass]:
    return group(source.search(Query(AREA, None, None, bands or ("VV",))))


def read(source: ArchiveSource) -> None:
    (item,) = search(source)
    source.read(item, window(), ("VV",))


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match=r"source\.path .*nowhere does not exist"):
        search(archive(tmp_path / "nowhere"))


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match=r"holds no \.tif file, but none named as .* expects: OPERA_L2"):
        search(archive(tmp_path))


def test_files_of_another_layout(tmp_path: Path) -> None:
    for start in ("20230319T015900", "20230331T015900"):
        write(tmp_path / "deep" / hyp3(start), speckle())
    with pytest.raises(
        CohmapError, match=r"holds 2 \.tif files, e\.g\. deep/S1A_IW_20230319.*none named as .*opera-rtc"
    ):
        search(archive(tmp_path))


def test_a_polarisation_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / opera(), speckle())
    write(tmp_path / opera(start="20211201T015900", polarisation="VH"), speckle())
    with pytest.raises(CohmapError, match=r"no slice with VV and VH; there are slices with VH, with VV; change passes"):
        search(archive(tmp_path), "VV", "VH")


def test_an_incidence_angle_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / opera(), speckle())
    with pytest.raises(CohmapError, match=r"set passes\.angle = false"):
        search(archive(tmp_path), "VV", "angle")


def test_a_band_that_the_pass_lacks(tmp_path: Path) -> None:
    write(tmp_path / opera(), speckle())
    source = archive(tmp_path)
    (item,) = search(source)
    with pytest.raises(CohmapError, match=r"has no VH; it has VV"):
        source.read(item, window(), ("VH",))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"layout": "opera-rtc", "units": "db"}, "'db' does not go with source.layout = 'opera-rtc'"),
        ({"layout": "hyp3-rtc", "pattern": "x"}, "source.pattern goes with source.layout = 'pattern'"),
        ({"layout": "stac"}, "'stac' needs source.units = 'linear', 'db' or 'amplitude'"),
    ],
)
def test_settings_that_do_not_go_together(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(CohmapError, match=sentence):
        archive("x", **given)


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_truncated_file_is_named(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / opera(), speckle((60, 60)))
    os.truncate(path, size)
    with pytest.raises(CohmapError, match=rf"{opera()} is truncated or damaged \(.+\); download it again"):
        read(archive(tmp_path))


def test_a_file_that_disappears(tmp_path: Path) -> None:
    path = write(tmp_path / opera(), speckle())
    source = archive(tmp_path)
    (item,) = search(source)
    path.unlink()
    with pytest.raises(CohmapError, match=rf"{opera()} does not exist \(any more\)"):
        source.read(item, window(), ("VV",))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("lacking", [{"crs": None}, {"transform": None, "crs": None}])
def test_a_file_that_is_not_georeferenced(tmp_path: Path, lacking: dict[str, Any]) -> None:
    write(tmp_path / opera(), speckle(), **lacking)
    with pytest.raises(CohmapError, match=r"is not georeferenced on a map grid; geocode"):
        search(archive(tmp_path))


def test_a_missing_transform_is_the_same_error_where_warnings_are_errors(tmp_path: Path) -> None:
    path = tmp_path / opera()
    header = {"driver": "GTiff", "count": 1, "height": 4, "width": 4, "dtype": "float32"}
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(path, "w", **header) as file,
    ):
        file.write(speckle((4, 4)), 1)
    with pytest.raises(CohmapError, match=r"is not georeferenced on a map grid; geocode"):
        search(archive(tmp_path))


def test_a_file_of_several_bands(tmp_path: Path) -> None:
    path = tmp_path / opera()
    write(path, speckle())
    with rasterio.open(path) as file:
        profile = {**file.profile, "count": 2}
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.stack([speckle(), speckle()]))
    with pytest.raises(CohmapError, match=r"has 2 bands, but a file of one polarisation must have one"):
        search(archive(tmp_path))


def test_complex_data(tmp_path: Path) -> None:
    write(tmp_path / opera(), speckle().astype(np.complex64))
    with pytest.raises(CohmapError, match=r"holds complex numbers; detect it first"):
        search(archive(tmp_path))


@pytest.mark.parametrize("units", ["linear", "amplitude"])
def test_decibels_declared_as_something_else(tmp_path: Path, units: str) -> None:
    write(tmp_path / "20211119_VV.tif", 10 * np.log10(speckle()))
    sentence = rf"20211119_VV\.tif holds negative values down to -.*source\.units = '{units}' says; .* = 'db'"
    with pytest.raises(CohmapError, match=sentence):
        read(plain(tmp_path, units=units))


def test_decibels_under_a_name_that_says_linear(tmp_path: Path) -> None:
    write(tmp_path / opera(), 10 * np.log10(speckle()))
    with pytest.raises(
        CohmapError, match=r"its name says linear; .*source\.units = 'db' with source\.layout = 'pattern'"
    ):
        read(archive(tmp_path))


def test_a_few_negative_pixels_are_not_taken_for_decibels(tmp_path: Path) -> None:
    values = speckle()
    values[0, :2] = -1e-4, -2e-4
    write(tmp_path / "20211119_VV.tif", values)
    with pytest.raises(CohmapError, match=r"down to -0\.0002.*no power is negative: write such pixels .* as NaN"):
        read(plain(tmp_path))


@pytest.mark.parametrize(("units", "fill"), [("linear", -9999.0), ("db", -9999.0), ("db", 1e6)])
def test_an_undeclared_fill_value(tmp_path: Path, units: str, fill: float) -> None:
    values = speckle() if units == "linear" else 10 * np.log10(speckle())
    values[:5] = fill
    write(tmp_path / "20211119_VV.tif", values)
    with pytest.raises(CohmapError, match=rf"holds the value {fill:g}".replace("+", r"\+") + r".* source\.nodata = "):
        read(plain(tmp_path, units=units))
    read(plain(tmp_path, units=units, nodata=fill))  # the mend works


@pytest.mark.parametrize("scale", [1.0, 1e5])
def test_linear_power_declared_as_decibels(tmp_path: Path, scale: float) -> None:
    write(tmp_path / "20211119_VV.tif", scale * speckle())
    with pytest.raises(CohmapError, match=r"'db' says; it looks like linear power or amplitude: set source\.units"):
        read(plain(tmp_path, units="db"))


def test_decibels_with_a_border_of_zeros(tmp_path: Path) -> None:
    values = 10 * np.log10(speckle())
    values[:, :5] = 0
    write(tmp_path / "20211119_VV.tif", values)
    with pytest.raises(CohmapError, match=r"200 pixels of exactly 0.*source\.nodata = 0"):
        read(plain(tmp_path, units="db"))
    read(plain(tmp_path, units="db", nodata=0))  # the mend works


def test_a_few_bright_pixels_in_decibels_are_no_contradiction(tmp_path: Path) -> None:
    values = np.full((40, 50), np.nan, np.float32)
    values[0, :10] = 3.0
    write(tmp_path / "20211119_VV.tif", values)
    read(plain(tmp_path, units="db"))


def test_a_filtered_product(tmp_path: Path) -> None:
    write(tmp_path / hyp3(letters="gpufed"), speckle())
    with pytest.raises(CohmapError, match="speckle-filtered"):
        search(archive(tmp_path, "hyp3-rtc"))


def test_a_storage_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(CohmapError, match=r"s3://bucket/folder needs a package .* pip install 'cohmap\[cloud\]'"):
        archive("s3://bucket/folder")


def test_an_unknown_scheme() -> None:
    with pytest.raises(CohmapError, match="carrier://pigeon is no address that can be read"):
        archive("carrier://pigeon")
