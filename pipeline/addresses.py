"""Rasters by address: a path, or a URI that any fsspec filesystem opens, read by GDAL either way."""

from __future__ import annotations

import io
import os
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rasterio
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import CohmapError

_READ_AHEAD = 1 << 18
# GDAL's names for what fsspec calls by a scheme
_GDAL_PREFIXES = {"/vsis3/": "s3://", "/vsigs/": "gs://", "/vsiaz/": "az://", "/vsicurl/": ""}


class StreamError(OSError):
    """A file elsewhere stopped answering while it was read."""


def filesystem(href: str) -> tuple[Any, str]:
    """The fsspec filesystem of an address, and the address as that filesystem names it.

    Raises
    ------
    CohmapError
        The filesystem's package is not installed, or the address has an unknown scheme.
    """
    for prefix, scheme in _GDAL_PREFIXES.items():
        if href.startswith(prefix):
            href = scheme + href.removeprefix(prefix)
    try:
        store, path = url_to_fs(href)
    except ImportError as error:
        raise CohmapError(
            f"{href} needs a package that is missing ({error}); pip install 'cohmap[cloud]' brings those of s3:// and gs://"
        ) from None
    except ValueError as error:
        raise CohmapError(f"{href} is no address that can be read: {error}") from None
    return store, os.path.normpath(path) if isinstance(store, LocalFileSystem) else path


def local_path(href: str) -> str | None:
    """The path of an address on this machine, None where it lies elsewhere."""
    store, path = filesystem(href)
    return path if isinstance(store, LocalFileSystem) else None


@contextmanager
def open_raster(href: str) -> Iterator[Any]:
    """A raster as an open rasterio dataset, for one thread.

    Files that are not local are read by ranges through fsspec, with the credentials that other files there are read
    with.

    Raises
    ------
    StreamError
        A file elsewhere could not be read to the end.
    RasterioError, OSError
        Whatever else rasterio says of the file.
    """
    path = local_path(href)
    if path is not None:
        with rasterio.open(path, driver=_driver(path)) as dataset:
            yield dataset
        return
    streams: list[Ranges] = []

    def opener(*_: str, **__: str) -> io.BufferedReader:
        streams.append(Ranges(href))
        return io.BufferedReader(streams[-1], _READ_AHEAD)

    # rasterio keeps open streams by name: a name of its own keeps threads apart
    alias = f"{uuid.uuid4().hex}/{posixpath.basename(href)}"
    try:
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
            rasterio.open(alias, opener=opener, driver=_driver(href)) as dataset,
        ):
            yield dataset
    except Exception:
        failure = next((stream.failure for stream in streams if stream.failure), None)
        if failure:
            raise StreamError(str(failure)) from failure
        raise


def _driver(href: str) -> str | None:
    """GeoTIFF where the name says so: a file of that name may hold a VRT, whose text leads GDAL anywhere."""
    return "GTiff" if href.lower().endswith((".tif", ".tiff")) else None


class Ranges(io.RawIOBase):
    """A file on any filesystem as a stream of independent range requests, for GDAL to read from.

    fsspec's own file objects keep state that some filesystems share between callers; a range request does not, so every
    thread may have a stream of the same file.

    Attributes
    ----------
    failure
        What went wrong. GDAL calls this stream from C and an exception there would abort the process, so the stream
        ends instead and the reason is kept here.
    """

    def __init__(self, href: str) -> None:
        self.failure: Exception | None = None
        self._store, self._path = filesystem(href)
        self._position = 0
        self._known_size: int | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the position, as any stream does."""
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._size()
        self._position = offset
        return offset

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer from the position on; 0 at the end and after a failure."""
        end = min(self._position + len(buffer), self._size())
        if end <= self._position:
            return 0
        try:
            content = self._store.cat_file(self._path, start=self._position, end=end)
        except Exception as error:  # noqa: BLE001 - see `failure`
            self.failure = error
            return 0
        if len(content) != end - self._position:
            ignored = len(content) > end - self._position  # then the whole file came
            self.failure = OSError("the server ignores byte ranges" if ignored else "the answer was cut short")
            return 0
        buffer[: len(content)] = content
        self._position = end
        return len(content)

    def _size(self) -> int:
        if self._known_size is None:  # asked for late: GDAL opens more streams than it reads
            try:
                self._known_size = int(self._store.size(self._path))
            except Exception as error:  # noqa: BLE001 - see `failure`
                self.failure = error
                self._known_size = 0
        return self._known_size
