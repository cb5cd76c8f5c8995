"""Files by path or URI: what there is below a folder, and streams that GDAL can read from."""

from __future__ import annotations

import io
import json
import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import CohmapError

# GDAL's names for what fsspec calls by a scheme
_GDAL_PREFIXES = {"/vsis3/": "s3://", "/vsigs/": "gs://", "/vsiaz/": "az://", "/vsicurl/": ""}


@dataclass(frozen=True)
class Entry:
    """A file in a listing: its address, its path below the listed folder, and when it changed (empty = unknown)."""

    href: str
    path: str
    updated: str


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
def _plain_errors(where: str) -> Iterator[None]:
    """Turn whatever a storage library raises into one sentence."""
    try:
        yield
    except CohmapError:
        raise
    except FileNotFoundError:
        raise CohmapError(f"{where} does not exist; check source.path") from None
    except Exception as error:  # noqa: BLE001 - every storage library has its own errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CohmapError(f"{where} can't be read ({reason}); check the address and your access to it") from None


def listing(uri: str, suffixes: Sequence[str]) -> list[Entry]:
    """All files below a folder (or the one file) whose name ends like one of `suffixes`, sorted by path.

    Raises
    ------
    CohmapError
        The folder does not exist or can't be listed.
    """
    store, root = filesystem(uri)
    with _plain_errors(f"source.path {uri}"):
        store.invalidate_cache()  # a long-lived process must see what was added since
        if not store.exists(root):
            raise FileNotFoundError(uri)
        found = store.find(root, detail=True)
    entries = []
    for name, info in found.items():
        if name.lower().endswith(tuple(suffixes)):
            below = name.removeprefix(root).lstrip("/") or posixpath.basename(name)
            href = name if isinstance(store, LocalFileSystem) else store.unstrip_protocol(name)
            entries.append(Entry(href, below, _changed(info)))
    return sorted(entries, key=lambda entry: entry.path)


def _changed(info: dict[str, Any]) -> str:
    """A listing's modification time as ISO 8601; each filesystem has its own key for it."""
    for key in ("mtime", "LastModified", "updated", "last_modified", "created"):
        moment = info.get(key)
        if isinstance(moment, int | float):
            moment = datetime.fromtimestamp(moment, UTC)
        if isinstance(moment, datetime):
            return moment.isoformat(timespec="seconds")
        if isinstance(moment, str):
            return moment
    return ""


def exists(href: str) -> bool:
    """Whether a file is (still) there."""
    store, path = filesystem(href)
    with _plain_errors(href):
        return bool(store.exists(path))


def read_json(href: str) -> Any:
    """A JSON file's content.

    Raises
    ------
    CohmapError
        The file is not there, not readable or not JSON.
    """
    store, path = filesystem(href)
    with _plain_errors(href):
        content = store.cat_file(path)
    try:
        return json.loads(content)
    except ValueError as error:
        raise CohmapError(f"{href} is not valid JSON ({error}); it is damaged or no STAC file") from None


def absolute(href: str, base: str) -> str:
    """An address as seen from the file `base` that mentions it."""
    if href.startswith("/") or "://" in href:
        return href
    scheme, separator, path = base.rpartition("://")
    return scheme + separator + posixpath.normpath(posixpath.join(posixpath.dirname(path), href))


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
