"""A disk that takes no more: one sentence, and after making room the same command goes on."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely

from pipeline.change.vectors import write_polygons
from pipeline.errors import CohmapError
from pipeline.products import Band, Product, write_cog
from pipeline.storage import Folder
from tests.archive_files import REGION, region_file, write_archive
from tests.conftest import Command


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses to let files grow beyond `size` bytes: an error of the disk that needs no small disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_stage_says_so_and_goes_on_later(cohmap: Command, tmp_path: Path) -> None:
    region = region_file(tmp_path / "r.toml", write_archive(tmp_path / "images", days=(0, 12)))
    command = ("export", str(region), "--output", str(tmp_path / "out"))
    with no_file_above(8_000):  # a chunk has about 16 kB
        answer = cohmap(*command)
    assert answer.code == 2
    assert answer.err.startswith(f"cohmap: output {tmp_path / 'out'} can't be written (File too large); make room")
    assert answer.err.count("\n") == 1
    assert cohmap(*command).code == 0
    assert not list(tmp_path.rglob("*.partial*"))


def test_a_product_is_whole_or_not_there(tmp_path: Path) -> None:
    product = Product("m", "mean", "m.tif", "", (Band("mean", "a mean"),), "", "VV", "", "", 12, (), "")
    rng = np.random.default_rng(1)
    blocks = [(tile, rng.random((1, *tile.shape), dtype=np.float32)) for tile in REGION.tiles]
    with no_file_above(8_000), pytest.raises(CohmapError, match=r"m\.tif can't be written .*; make room"):
        write_cog(Folder(str(tmp_path)), product, REGION.grid, blocks)
    assert not list(tmp_path.iterdir())
    write_cog(Folder(str(tmp_path)), product, REGION.grid, blocks)
    assert [path.name for path in tmp_path.iterdir()] == ["m.tif"]


def test_polygons_are_whole_or_not_there(tmp_path: Path) -> None:
    folder, grid = Folder(str(tmp_path)), REGION.grid
    left, bottom, _, _ = grid.boundingbox.bbox
    outlines = [shapely.box(left, bottom, left + 10 * n, bottom + 10) for n in range(1, 9)]
    with no_file_above(60_000), pytest.raises(CohmapError, match=r"a\.gpkg can't be written .*; make room"):
        write_polygons(folder, "a", outlines, lambda number: {"id": number + 1}, grid)  # about 100 kB
    assert not list(tmp_path.iterdir())
    write_polygons(folder, "a", outlines, lambda number: {"id": number + 1}, grid)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.geojson", "a.gpkg"]
