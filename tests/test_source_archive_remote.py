"""The archive on storage that is no local disk: fsspec's file system in memory stands for object storage."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest

from pipeline.addresses import Ranges
from pipeline.errors import CohmapError
from pipeline.passes import Pass, group
from pipeline.sources import Query
from pipeline.sources.archive import ArchiveSource, files
from tests.archive_rasters import AREA, archive, opera, speckle, window, write


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    store = fsspec.filesystem("memory")
    for start, seed in (("20211119T015900", 1), ("20211201T015900", 2)):
        path = write(tmp_path / opera(start=start), speckle((300, 300), seed), tiled=True, blockxsize=64, blockysize=64)
        store.pipe_file(f"/bucket/deep/{path.name}", path.read_bytes())
    yield "memory://bucket"
    store.rm("/bucket", recursive=True)


def search(source: ArchiveSource) -> list[Pass]:
    return group(source.search(Query(AREA, None, None, ("VV",))))


def test_pixels_come_through_bit_for_bit(bucket: str) -> None:
    source = archive(bucket)
    passes = search(source)
    assert len(passes) == 2
    assert all(one.slices[0].hrefs["VV"].startswith("memory://") for one in passes)
    for one, seed in zip(passes, (1, 2), strict=True):
        np.testing.assert_array_equal(source.read(one, window((300, 300)), ("VV",))[0], speckle((300, 300), seed))


def test_many_threads_may_read_one_file(bucket: str) -> None:
    source = archive(bucket)
    (item, _) = search(source)
    shifts = [(10.0 * step, 7.0 * step) for step in range(24)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda shift: source.read(item, window((50, 60), shift), ("VV",))[0], shifts))
    values = speckle((300, 300))
    for (right, down), pixels in zip(shifts, results, strict=True):
        np.testing.assert_array_equal(pixels, values[int(down) : int(down) + 50, int(right) : int(right) + 60])


def test_only_the_ranges_asked_for_are_read(bucket: str) -> None:
    (one, _) = search(archive(bucket))
    stream = Ranges(one.slices[0].hrefs["VV"])
    assert stream.read(2) == b"II"
    assert stream.seek(-4, 2) == stream.tell()
    assert len(stream.read()) == 4
    assert stream.read(1) == b""


class Unreliable(fsspec.AbstractFileSystem):  # type: ignore[misc]  # fsspec carries no annotations
    """One file whose first bytes arrive, and then the connection is lost."""

    protocol = "unreliable"
    content = b""
    bytes_until_lost = 0

    def exists(self, path: str, **_: object) -> bool:
        return bool(path)

    def find(self, path: str, **_: object) -> dict[str, object]:
        return {f"{path}/{opera()}": {}}

    def size(self, path: str) -> int:
        del path
        return len(self.content)

    knows_ranges = True

    def cat_file(self, path: str, start: int = 0, end: int = 0, **_: object) -> bytes:
        del path
        if end > self.bytes_until_lost:
            raise ConnectionResetError("connection lost")
        return self.content[start:end] if self.knows_ranges else self.content


@pytest.mark.parametrize("arrives", [0, 1 << 18])
def test_a_lost_connection_is_an_error_and_not_a_crash(tmp_path: Path, arrives: int) -> None:
    Unreliable.content = write(tmp_path / opera(), speckle((300, 300))).read_bytes()
    Unreliable.bytes_until_lost = len(Unreliable.content)
    fsspec.register_implementation("unreliable", Unreliable, clobber=True)
    source = archive("unreliable://bucket")
    (item,) = search(source)
    Unreliable.bytes_until_lost = arrives
    with pytest.raises(
        CohmapError, match=r"can't be read \(connection lost\); check the connection and the server, and run again"
    ):
        source.read(item, window((300, 300)), ("VV",))


def test_a_server_that_knows_no_ranges_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Unreliable.content = write(tmp_path / opera(), speckle((300, 300))).read_bytes()
    Unreliable.bytes_until_lost = len(Unreliable.content)
    fsspec.register_implementation("unreliable", Unreliable, clobber=True)
    monkeypatch.setattr(Unreliable, "knows_ranges", False)
    with pytest.raises(CohmapError, match=r"can't be read \(the server ignores byte ranges\)"):
        search(archive("unreliable://bucket"))


def test_a_truncated_object_is_named(bucket: str) -> None:
    store = fsspec.filesystem("memory")
    path = f"/bucket/deep/{opera()}"
    store.pipe_file(path, store.cat_file(path)[:20_000])
    source = archive(bucket)
    with pytest.raises(CohmapError, match=rf"{opera()} is truncated or damaged \(.+\); download it again"):
        source.read(search(source)[0], window((300, 300)), ("VV",))


def test_an_object_that_disappears(bucket: str) -> None:
    source = archive(bucket)
    (item, _) = search(source)
    fsspec.filesystem("memory").rm_file(f"/bucket/deep/{opera()}")
    with pytest.raises(CohmapError, match=r"does not exist \(any more\)"):
        source.read(item, window(), ("VV",))


def test_a_bucket_that_is_not_there() -> None:
    with pytest.raises(CohmapError, match=r"source\.path memory://elsewhere does not exist"):
        search(archive("memory://elsewhere"))


def test_a_file_uri_is_a_local_path(tmp_path: Path) -> None:
    path = write(tmp_path / opera(), speckle())
    (item,) = search(archive(f"file://{tmp_path}"))
    assert item.slices[0].hrefs == {"VV": str(path)}


@pytest.mark.parametrize(
    ("href", "base", "address"),
    [
        ("./a_VV.tif", "/data/items/a.json", "/data/items/a_VV.tif"),
        ("../a_VV.tif", "s3://bucket/items/a.json", "s3://bucket/a_VV.tif"),
        ("s3://other/a_VV.tif", "/data/a.json", "s3://other/a_VV.tif"),
        ("/vsis3/other/a_VV.tif", "s3://bucket/a.json", "/vsis3/other/a_VV.tif"),
    ],
)
def test_links_are_followed_from_the_file_they_stand_in(href: str, base: str, address: str) -> None:
    assert files.absolute(href, base) == address
