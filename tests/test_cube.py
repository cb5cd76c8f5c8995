"""Cubes: growing, whole chunks, windows with halo, and readable by plain xarray."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline import cube
from pipeline.cube import Cube, Layout, Variable
from pipeline.errors import CohmapError
from pipeline.storage import Folder
from tests.fakes import make_region

REGION = make_region()
TILE = REGION.tiles[0]


def layout(*days: int) -> Layout:
    times = np.array(days, dtype=np.int64) * 86400
    attrs = {"standard_name": "time", "units": cube.EPOCH, "calendar": "proleptic_gregorian"}
    entries = tuple({"id": f"p{day}"} for day in days)
    return Layout("time", (Variable("vv", {"units": "1"}),), entries, {"time": (times, attrs)})


def ensure(folder: Folder, *days: int) -> Cube:
    return cube.ensure(folder, "stack/a.zarr", REGION.grid, 64, layout(*days), {"title": "a"})


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path))


def values(seed: int = 0) -> cube.FloatArray:
    return np.random.default_rng(seed).random(TILE.shape, dtype=np.float32)


def test_a_tile_comes_back_as_written(folder: Folder) -> None:
    stack = ensure(folder, 0, 12)
    stack.write_tile("vv", 1, TILE, values())
    np.testing.assert_array_equal(stack.read_tile("vv", 1, TILE), values())
    assert np.isnan(stack.read_tile("vv", 0, TILE)).all()


def test_a_cube_grows_and_what_is_there_keeps_its_place(folder: Folder) -> None:
    ensure(folder, 12, 24).write_tile("vv", 1, TILE, values())
    stack = ensure(folder, 0, 12, 24, 36)
    assert [entry["id"] for entry in stack.entries] == ["p12", "p24", "p0", "p36"]
    np.testing.assert_array_equal(stack.read_tile("vv", stack.position("p24"), TILE), values())


def test_ensuring_again_changes_nothing(folder: Folder, tmp_path: Path) -> None:
    ensure(folder, 0, 12)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ensure(folder, 0, 12)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


class Killed(BaseException):
    """The process ends here."""


class Mortal(Folder):
    """A folder whose process is killed when it writes for the n-th time."""

    def __init__(self, uri: str, writes: int) -> None:
        super().__init__(uri)
        self.left = [None] * writes

    def write_bytes(self, name: str, content: bytes) -> None:
        if not self.left:
            raise Killed
        self.left.pop()
        super().write_bytes(name, content)


def kill_at_every_write(folder: Folder, *days: int) -> Iterator[None]:
    """Ensure a cube of these days, killed at the first write, the second, and so on; ends once it is whole."""
    for writes in itertools.count():
        try:
            ensure(Mortal(folder.uri, writes), *days)
        except Killed:
            yield
        else:
            return


def test_a_kill_leaves_no_cube_or_the_whole(folder: Folder) -> None:
    there = [folder.exists("stack/a.zarr/zarr.json") for _ in kill_at_every_write(folder, 0, 12)]
    assert len(there) > 8
    assert not any(there)
    assert xr.open_zarr(folder.address("stack/a.zarr")).sizes == {"time": 2, "y": 128, "x": 128}


def test_a_kill_while_it_grows_leaves_the_cube_that_was(folder: Folder) -> None:
    ensure(folder, 12).write_tile("vv", 0, TILE, values())
    for _ in kill_at_every_write(folder, 0, 12, 24):
        seen = xr.open_zarr(folder.address("stack/a.zarr"))
        assert seen.time.dt.dayofyear.to_numpy().tolist() == [13]
        np.testing.assert_array_equal(seen.vv[0, TILE.rows, TILE.cols], values())
        assert [entry["id"] for entry in Cube(folder, "stack/a.zarr").entries] == ["p12"]
    assert xr.open_zarr(folder.address("stack/a.zarr")).time.size == 3


def test_a_tile_of_nothing_leaves_a_chunk_as_proof(folder: Folder) -> None:
    stack = ensure(folder, 0)
    assert not cube.Chunks(stack).has_tile(["vv"], 0, TILE)
    stack.write_tile("vv", 0, TILE, np.full(TILE.shape, np.nan, np.float32))
    assert cube.Chunks(stack).has_tile(["vv"], 0, TILE)


def test_beyond_the_grid_there_is_nothing(folder: Folder) -> None:
    stack = ensure(folder, 0)
    for tile in REGION.tiles:
        stack.write_tile("vv", 0, tile, np.ones(tile.shape, np.float32))
    window = stack.read_tile("vv", 0, TILE, halo=10)
    assert window.shape == (84, 84)
    assert np.isnan(window[:10]).all()
    assert np.isnan(window[:, :10]).all()
    assert (window[10:, 10:] == 1).all()


def test_another_grid_is_refused(folder: Folder) -> None:
    ensure(folder, 0)
    with pytest.raises(CohmapError, match="another grid"):
        cube.ensure(folder, "stack/a.zarr", REGION.grid, 128, layout(0), {})


def test_a_missing_cube_says_what_to_run(folder: Folder) -> None:
    with pytest.raises(CohmapError, match="run `cohmap export` first"):
        Cube(folder, "stack/none.zarr")


def test_plain_xarray_reads_it_without_a_warning(folder: Folder) -> None:
    ensure(folder, 12, 0).write_tile("vv", 0, TILE, values())
    import rioxarray  # noqa: F401 - as its user would

    dataset = xr.open_zarr(folder.address("stack/a.zarr"))
    assert dataset.vv.dims == ("time", "y", "x")
    assert dataset.odc.geobox == REGION.grid
    assert dataset.rio.crs.to_epsg() == 32632
    np.testing.assert_array_equal(dataset.vv[0, TILE.rows, TILE.cols], values())


def test_opened_as_a_cube_it_is_chunked_and_sorted_in_time(folder: Folder) -> None:
    ensure(folder, 12, 0)
    dataset = cube.open_cube(folder, "stack/a.zarr", "time")
    assert dataset.vv.chunks == ((1, 1), (64, 64), (64, 64))
    assert (np.diff(dataset.time.to_numpy()) > np.timedelta64(0)).all()
