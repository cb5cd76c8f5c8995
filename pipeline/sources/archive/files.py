"""Files by path or URI: what there is below a folder, and what stands in a JSON file."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from fsspec.implementations.local import LocalFileSystem

from pipeline.addresses import filesystem, local_path
from pipeline.errors import CohmapError


@dataclass(frozen=True)
class Entry:
    """A file in a listing: its address, its path below the listed folder, and when it changed (empty = unknown)."""

    href: str
    path: str
    updated: str


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
    except (ValueError, RecursionError) as error:
        raise CohmapError(f"{href} is not valid JSON ({error}); it is damaged or no STAC file") from None


def _is_here(href: str) -> bool:
    """Whether an address names a file of this machine, and is not relative to another."""
    if href.startswith("/"):
        return local_path(href) is not None  # /vsis3/… isn't
    return href.lower().startswith(("file:", "local:"))


def absolute(href: str, base: str) -> str:
    """An address as seen from the file `base` that mentions it.

    Raises
    ------
    CohmapError
        A file from elsewhere leads to one of this machine.
    """
    scheme, separator, path = base.rpartition("://")
    if separator and scheme != "file" and _is_here(href):
        if href.startswith("/") and scheme in {"http", "https"}:
            return urljoin(base, href)  # from the root of its server
        raise CohmapError(f"{base} leads to {href[:200]}, a file of this machine; a STAC file from elsewhere must not")
    if href.startswith("/") or "://" in href:
        return href
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), href))
    if separator and scheme != "file" and joined.split("/")[0] != path.split("/")[0]:
        raise CohmapError(f"{base} leads to {href[:200]}, out of its own bucket or server; give that a whole address")
    return scheme + separator + joined
