"""A map of 10,000 x 10,000 pixels is never read whole: bytes are counted where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from affine import Affine
from fsspec.spec import AbstractFileSystem
from odc.geo.geobox import GeoBox

from pipeline.products import Band, Product, save_index, write_cog
from pipeline.region import Tile
from pipeline.storage import Folder
from pipeline.view.page import read_output
from pipeline.view.windows import Frame
from tests.view_pages import SIZE, Handled

SIDE, TILE = 10_000, 2_000
GRID = GeoBox((SIDE, SIDE), Affine(10, 0, 600000, 0, -10, 5300000), "EPSG:32632")
MOMENTS = ("2023-01-04T17:14:12+00:00", "2023-01-16T17:14:12+00:00")


class Counted(AbstractFileSystem):  # type: ignore[misc]  # fsspec carries no annotations
    """Files of this machine as if they lay elsewhere; counts the bytes that are asked for."""

    protocol = "counted"
    cachable = False
    total = 0

    def _local(self, path: str) -> Path:
        return Path("/" + self._strip_protocol(path).lstrip("/"))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size and type."""
        local = self._local(path)
        if not local.exists():
            raise FileNotFoundError(path)
        kind = "directory" if local.is_dir() else "file"
        return {"name": str(local), "size": local.stat().st_size, "type": kind}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's own signature
        """What a folder holds."""
        if not self._local(path).is_dir():
            raise FileNotFoundError(path)
        found = [self.info(str(entry)) for entry in self._local(path).iterdir()]
        return found if detail else [entry["name"] for entry in found]

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """A range of a file."""
        with self._local(path).open("rb") as stream:
            stream.seek(start or 0)
            content = stream.read() if end is None else stream.read(end - (start or 0))
        Counted.total += len(content)
        return content


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One coherence map; cells of 8 pixels of noise, so that it is made quickly and yet doesn't shrink to nothing."""
    folder = Folder(str(tmp_path_factory.mktemp("large")))
    names = {"id": "large", "kind": "coherence", "title": "large", "path": "products/coherence/large.tif"}
    product = Product(
        **names,  # type: ignore[arg-type]  # "coherence" is a kind
        bands=(Band("coherence", "InSAR coherence, 0 to 1"),),
        track="ascending-015",
        polarisation="VV",
        reference=MOMENTS[0],
        secondary=MOMENTS[1],
        days=12,
        pairs=("ascending-015/pair",),
        estimator="none",
    )
    cells = np.random.default_rng(1).integers(0, 250, (1, TILE // 8, TILE // 8)) / np.float32(250)
    values = cells.astype(np.float32).repeat(8, axis=1).repeat(8, axis=2)
    tiles = [Tile(row, col, TILE, (SIDE, SIDE)) for row in range(SIDE // TILE) for col in range(SIDE // TILE)]
    write_cog(folder, product, GRID, ((tile, values) for tile in tiles))
    save_index(folder, "mosaic", [product])
    return folder


@pytest.fixture
def counted() -> type[Counted]:
    fsspec.register_implementation("counted", Counted, clobber=True)
    Counted.total = 0
    return Counted


def test_a_large_map_is_panned_without_reading_it_whole(large: Folder, counted: type[Counted]) -> None:
    assert large.local is not None
    size = (large.local / "products/coherence/large.tif").stat().st_size
    page = Handled(read_output(Folder(f"counted://{large.local.resolve()}")))
    whole = counted.total
    steps: list[int] = []
    assert page.page.top.picture is not None
    assert page.page.top.picture.step == 16
    assert page.page.top.picture.values.size < 4 * SIZE[0] * SIZE[1]
    for step in range(8):  # at full resolution, an eighth of a screen's width further each time
        left = 640000 + step * 1000
        page.look(Frame(left, 5250000, left + SIZE[0] * 10, 5250000 + SIZE[1] * 10))
        assert page.page.top.picture.step == 1
        steps.append(counted.total - whole - sum(steps))
    before = counted.total
    page.click(644000, 5253000)
    clicked = counted.total - before
    page.close()
    print(f"file {size}, whole view {whole}, steps {steps}, click {clicked}")
    assert whole < size / 8
    assert sum(steps) < size / 8
    assert max(steps[1:]) < size / 20
    assert clicked < size / 10
