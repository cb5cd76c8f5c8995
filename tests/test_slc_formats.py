"""Every format of SLC stacks: written by its own library, read by windows, dates and spacing as it tells them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.slc.stack import open_stack
from tests import slc_files as files

STACK = files.images()
WINDOW = (slice(7, 31), slice(40, 77))
MAP = (10.0, 5.0)


def geotiffs(folder: Path) -> Path:
    return files.write_geotiffs(folder / "tif", STACK)


def geotiffs_on_a_map(folder: Path) -> Path:
    return files.write_geotiffs(folder / "map", STACK, crs="EPSG:32631")


def geotiffs_in_folders(folder: Path) -> Path:
    for day, image in STACK.items():
        files.write_geotiffs(folder / "stack" / f"{day:%Y%m%d}", {day: image}, name="secondary_vv.tif")
    return folder / "stack"


def one_geotiff(folder: Path) -> Path:
    names = tuple(f"VV {day}" for day in STACK)
    return files.write_geotiff(folder / "all.tif", np.stack(list(STACK.values())), names)


def opera(folder: Path) -> Path:
    return files.write_cslcs(folder / "cslc", STACK)


def earlier_compass(folder: Path) -> Path:
    return files.write_cslcs(folder / "cslc", STACK, dataset="science/SENTINEL1/CSLC/grids/VV", carrier=False)


def dimap(folder: Path) -> Path:
    return files.write_dimap(folder / "stack.dim", STACK)


def sarxarray(folder: Path) -> Path:
    return files.write_sarxarray(folder / "stack.zarr", STACK)


def sarxarray_zarr_3(folder: Path) -> Path:
    return files.write_sarxarray(folder / "stack.zarr", STACK, zarr_format=3)


def complex_zarr(folder: Path) -> Path:
    files.complex_cube(STACK).to_zarr(folder / "cube.zarr", zarr_format=3, consolidated=False)
    return folder / "cube.zarr"


def znaps(folder: Path) -> Path:
    return files.write_znaps(folder, STACK)


def netcdf_3(folder: Path) -> Path:
    files.parts_cube(STACK).to_netcdf(folder / "stack.nc", engine="scipy")
    return folder / "stack.nc"


def netcdf_4(folder: Path) -> Path:
    pytest.importorskip("h5netcdf")
    files.parts_cube(STACK).to_netcdf(folder / "stack.nc", engine="h5netcdf")
    return folder / "stack.nc"


def complex_netcdf_4(folder: Path) -> Path:
    pytest.importorskip("h5netcdf")
    files.complex_cube(STACK).to_netcdf(folder / "stack.h5", engine="h5netcdf", invalid_netcdf=True)
    return folder / "stack.h5"


@pytest.mark.parametrize(
    ("write", "spacing", "polarisation"),
    [
        (geotiffs, None, "VV"),
        (geotiffs_on_a_map, MAP, "VV"),
        (geotiffs_in_folders, None, "VV"),
        (one_geotiff, None, "VV"),
        (opera, MAP, "VV"),
        (earlier_compass, MAP, "VV"),
        (dimap, (13.9, 2.329562 / np.sin(np.radians(43.62))), "VV"),
        (sarxarray, None, ""),
        (sarxarray_zarr_3, None, ""),
        (complex_zarr, MAP, ""),
        (znaps, None, "VV"),
        (netcdf_3, None, ""),
        (netcdf_4, None, ""),
        (complex_netcdf_4, MAP, ""),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_format_is_read_by_windows(
    tmp_path: Path, write: Callable[[Path], Path], spacing: tuple[float, float] | None, polarisation: str
) -> None:
    stack = open_stack([str(write(tmp_path))], spacing=None if spacing else files.SPACING)
    assert stack.dates == list(STACK)
    assert stack.shape == files.SHAPE
    assert stack.polarisation == polarisation
    assert stack.spacing == pytest.approx(spacing or files.SPACING, rel=1e-6)
    for day, image in STACK.items():
        read = stack.read(day, WINDOW)
        assert read.dtype == np.complex64
        np.testing.assert_array_equal(read, image[WINDOW])


def test_files_may_be_named_one_by_one_in_any_order(tmp_path: Path) -> None:
    named = sorted(map(str, geotiffs(tmp_path).iterdir()), reverse=True)
    assert open_stack(named, spacing=files.SPACING).dates == list(STACK)


def test_an_array_without_names_takes_dates_from_the_user(tmp_path: Path) -> None:
    path = files.write_zarray(tmp_path / "stack.zarr", STACK)
    stack = open_stack([str(path)], spacing=files.SPACING, dates=list(STACK))
    for day, image in STACK.items():
        np.testing.assert_array_equal(stack.read(day, WINDOW), image[WINDOW])


def test_opera_tells_its_carrier(tmp_path: Path) -> None:
    stack = open_stack([str(opera(tmp_path))])
    carrier = stack.carrier(stack.dates[0], WINDOW)
    assert carrier is not None
    np.testing.assert_allclose(carrier, 1.0, atol=1e-4)


def test_one_of_two_polarisations_is_chosen(tmp_path: Path) -> None:
    folder = files.write_geotiffs(tmp_path, STACK)
    files.write_geotiffs(folder, {day: 2.0 * image for day, image in STACK.items()}, name="slc_{}_VH.tif")
    stack = open_stack([str(folder)], spacing=files.SPACING, polarisation="vh")
    np.testing.assert_array_equal(stack.read(stack.dates[1], WINDOW), 2.0 * STACK[stack.dates[1]][WINDOW])
