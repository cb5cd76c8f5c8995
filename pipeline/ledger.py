"""What is done: one line a finished unit, fsynced, so that a stopped run resumes where it was.

A unit counts as done when its line is there, its fingerprint (a digest of everything it was made from) still
matches, and its data still exist. Absent or present data alone prove nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from pipeline.storage import Folder

# On object storage a line can't be appended; the file is put whole after this many lines. What a kill loses is at
# most this many records, so that many units are made again: wasteful, never wrong.
REMOTE_BATCH = 32


def digest(*parts: Any) -> str:
    """Short hash of anything that JSON can say."""
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def checksum(*arrays: npt.NDArray[np.generic]) -> str:
    """Short hash of the arrays' values."""
    state = hashlib.blake2b(digest_size=12)
    for array in arrays:
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


def file_digest(content: BinaryIO) -> str:
    """Short hash of a file's bytes."""
    state = hashlib.blake2b(digest_size=12)
    while block := content.read(1 << 20):
        state.update(block)
    return state.hexdigest()


class Ledger:
    """The ledger of one stage; used by one process, as a context manager."""

    def __init__(self, folder: Folder, stage: str) -> None:
        self._folder = folder
        self._name = f"ledger/{stage}.jsonl"
        self._records: dict[str, dict[str, Any]] = {}
        self._unsaved = 0
        self._stream: BinaryIO | None = None
        self._load()

    def _load(self) -> None:
        if not self._folder.exists(self._name):
            return
        whole = self._folder.read_bytes(self._name)
        for line in whole.split(b"\n"):
            try:
                record = json.loads(line)
                self._records[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                continue  # the torn last line of a killed run, or an empty one

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream:
            self._stream.close()
            self._stream = None
        if self._unsaved:
            self._save_remote()

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: str) -> dict[str, Any] | None:
        """The last record of a unit."""
        return self._records.get(key)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The last record of every unit."""
        return iter(self._records.values())

    def matches(self, key: str, fingerprint: str) -> bool:
        """Whether the unit was finished from exactly these inputs."""
        record = self._records.get(key)
        return record is not None and record["fingerprint"] == fingerprint

    def checksum(self, key: str) -> str:
        """Checksum of what the unit wrote, "" where it isn't done."""
        record = self._records.get(key)
        return str(record["checksum"]) if record else ""

    def record(self, key: str, fingerprint: str, checksum: str, **facts: Any) -> None:
        """Write down that a unit is done; returns when the line is on disk."""
        entry = {"key": key, "fingerprint": fingerprint, "checksum": checksum, **facts}
        self._records[key] = entry
        if self._folder.local:
            self._append(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        else:
            self._unsaved += 1
            if self._unsaved >= REMOTE_BATCH:
                self._save_remote()

    def _append(self, line: bytes) -> None:
        if self._stream is None:
            assert self._folder.local is not None  # noqa: S101 - the caller asked
            path = self._folder.local / self._name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("ab")
            if self._stream.tell():
                self._stream.write(b"\n")  # ends a line that a killed run may have torn
        self._stream.write(line)
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _save_remote(self) -> None:
        lines = [json.dumps(entry, ensure_ascii=False).encode() for entry in self._records.values()]
        self._folder.write_bytes(self._name, b"\n".join(lines) + b"\n")
        self._unsaved = 0
