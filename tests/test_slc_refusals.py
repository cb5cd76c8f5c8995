"""SLC stacks that can't be used: one sentence that says what, where and how to mend it, and exit code 2."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

from pipeline.errors import CohmapError
from pipeline.slc.dates import date_in, polarisation_in
from pipeline.slc.stack import open_stack
from tests import slc_files as files
from tests.conftest import Command

STACK = files.images((24, 30))
FIRST = next(iter(STACK))


def nothing(folder: Path) -> Path:
    return folder / "nowhere"


def an_empty_folder(folder: Path) -> Path:
    return folder


def magnitudes(folder: Path) -> Path:
    return files.write_geotiff(folder / "20230307.tif", np.ones((1, 24, 30), np.float32))


def one_date(folder: Path) -> Path:
    return files.write_geotiffs(folder, {FIRST: STACK[FIRST]})


def two_shapes(folder: Path) -> Path:
    days = list(STACK)
    return files.write_geotiffs(folder, {days[0]: STACK[days[0]], days[1]: STACK[days[1]][:20]})


def a_date_twice(folder: Path) -> Path:
    files.write_geotiffs(folder / "a", {FIRST: STACK[FIRST]})
    files.write_geotiffs(folder / "b", {FIRST: STACK[FIRST]})
    return folder


def no_date(folder: Path) -> Path:
    for name in ("first", "second"):
        files.write_geotiff(folder / f"{name}.tif", STACK[FIRST][np.newaxis])
    return folder


def dates_that_only_count(folder: Path) -> Path:
    cube = files.parts_cube(STACK).assign_coords(time=range(3))
    cube.to_zarr(folder / "stack.zarr", zarr_format=2, consolidated=False)
    return folder


def two_polarisations(folder: Path) -> Path:
    files.write_geotiffs(folder, STACK)
    return files.write_geotiffs(folder, STACK, name="slc_{}_VH.tif")


def no_spacing(folder: Path) -> Path:
    return files.write_geotiffs(folder, STACK)


def degrees(folder: Path) -> Path:
    return files.write_geotiffs(folder, STACK, crs="EPSG:4326")


def text(folder: Path) -> Path:
    (folder / "20230307.tif").write_text("no raster")
    return folder


def half_a_dimap(folder: Path) -> Path:
    path = files.write_dimap(folder / "stack.dim", STACK)
    next(path.with_suffix(".data").glob("q_*.img")).unlink()
    return path


def another_dimap(folder: Path) -> Path:
    (folder / "stack.dim").write_text("<Dimap_Document></Dimap_Document>")
    return folder / "stack.dim"


def no_xml(folder: Path) -> Path:
    (folder / "stack.dim").write_text("<Dimap_Document>")
    return folder / "stack.dim"


def magnitudes_in_hdf5(folder: Path) -> Path:
    with h5py.File(folder / "20230307.h5", "w") as file:
        file["data/VV"] = np.ones((24, 30), np.float32)
    return folder


def half_an_hdf5(folder: Path) -> Path:
    path = next(files.write_cslcs(folder, STACK).iterdir())
    path.write_bytes(path.read_bytes()[:900])
    return path


def magnitudes_in_a_cube(folder: Path) -> Path:
    cube = xr.Dataset({"amplitude": (("time", "azimuth", "range"), np.ones((3, 24, 30)))})
    cube.to_zarr(folder / "stack.zarr", zarr_format=2, consolidated=False)
    return folder


def real_parts_alone(folder: Path) -> Path:
    files.parts_cube(STACK)[["real"]].to_zarr(folder / "stack.zarr", zarr_format=2, consolidated=False)
    return folder


def magnitudes_in_an_array(folder: Path) -> Path:
    zarr.create_array(folder / "stack.zarr", shape=(3, 24, 30), dtype="float32")
    return folder


def a_garbled_array(folder: Path) -> Path:
    path = files.write_zarray(folder / "stack.zarr", STACK)
    (path / "zarr.json").write_text(json.dumps({"node_type": "array"}))
    return folder


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (nothing, "there is no SLC stack .*nowhere; name files or a folder"),
        (an_empty_folder, "holds no SLC: looked for .tif"),
        (magnitudes, "20230307.tif holds float32, not complex numbers; .*give the SLC"),
        (one_date, r"has one date only \(2023-03-07\); a coherence takes two: give more files"),
        (two_shapes, "has 20 x 30 samples, .* 24 x 30; a stack is coregistered: crop or resample"),
        (a_date_twice, "are both of 2023-03-07; leave one out"),
        (no_date, "first.tif doesn't say of which day it is, .*; put YYYYMMDD into the name, or give --dates"),
        (dates_that_only_count, "stack.zarr doesn't say of which day it is"),
        (two_polarisations, "have VH, VV; choose one with --polarisation"),
        (no_spacing, "doesn't say how far its samples are apart; give --spacing AZIMUTH RANGE"),
        (degrees, "doesn't say how far its samples are apart; give --spacing AZIMUTH RANGE"),
        (text, r"20230307.tif can't be read as a raster"),
        (half_a_dimap, "names band q_IW3_VV_.* is missing; keep .dim and .data together"),
        (another_dimap, "has no pair of bands i_... and q_..., so no complex image; bands: none"),
        (no_xml, r"is no BEAM-DIMAP product \(.*\); save it from SNAP again"),
        (magnitudes_in_hdf5, "/data/VV of .*20230307.h5 is float32, not complex; give the CSLC itself"),
        (half_an_hdf5, "can't be read as HDF5"),
        (magnitudes_in_a_cube, "has no complex variable, .*; it has amplitude"),
        (real_parts_alone, "has no complex variable, .*; it has real"),
        (magnitudes_in_an_array, "is an array of 3 axes and float32; give complex"),
        (a_garbled_array, "can't be read as a Zarr array"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_stack_that_cannot_be_used_is_told_in_one_sentence(
    cohmap: Command, tmp_path: Path, write: Callable[[Path], Path], says: str
) -> None:
    (tmp_path / "in").mkdir()
    given = write(tmp_path / "in")
    with pytest.raises(CohmapError, match=says) as refused:
        open_stack([str(given)])
    assert "\n" not in str(refused.value)
    answer = cohmap("labels", str(given), "--output", str(tmp_path / "out"))
    assert answer.code == 2
    assert answer.err == f"cohmap: {refused.value}\n"
    assert not (tmp_path / "out").exists()


def test_a_file_that_breaks_off_is_told_when_it_is_read(tmp_path: Path) -> None:
    folder = files.write_dimap(tmp_path / "stack.dim", STACK).with_suffix(".data")
    stack = open_stack([str(tmp_path)])
    for path in folder.glob("q_*.img"):
        path.unlink()
    with pytest.raises(CohmapError, match="can't be read"):
        stack.read(FIRST, (slice(0, 4), slice(0, 4)))


def test_hdf5_without_its_library_says_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = files.write_cslcs(tmp_path, STACK)
    real = builtins.__import__

    def without(name: str, *further: Any, **named: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return real(name, *further, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CohmapError, match=r'needs h5py; pip install "cohmap\[slc\]" brings it'):
        open_stack([str(folder)])


def test_dates_must_be_one_for_each_image(tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match="--dates names 1 days for 2 images; name one for each, in order"):
        open_stack([str(no_date(tmp_path))], dates=[FIRST], spacing=files.SPACING)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("20230331-coreg.znap", "2023-03-31"),
        ("OPERA_L2_CSLC-S1_T087-185678-IW2_20180210T232711Z_20230101T100506Z_S1A_VV_v1.0.h5", "2018-02-10"),
        ("S1A_IW_SLC__1SDV_20230331T055032_20230331T055059_047884_05C0F4_3703.tif", "2023-03-31"),
        ("i_IW1_VV_slv1_06Jan2023", "2023-01-06"),
        ("31-MAR-2023 05:50:35.812250", "2023-03-31"),
        ("2023-03-31 05:50:35.812250", "2023-03-31"),
        ("20230231.tif", None),
        ("31Foo2023", None),
        ("120230331.tif", None),
    ],
)
def test_days_are_found_in_names(name: str, day: str | None) -> None:
    found = date_in(name)
    assert (found.isoformat() if found else None) == day


@pytest.mark.parametrize(
    ("name", "polarisation"),
    [
        ("slc_20230331_VV.tif", "VV"),
        ("i_VH_06Jan2023", "VH"),
        ("S1A_IW_SLC__1SSH_2023", "HH"),
        ("VV_VH.tif", ""),
        ("a", ""),
    ],
)
def test_polarisations_are_found_in_names(name: str, polarisation: str) -> None:
    assert polarisation_in(name) == polarisation
