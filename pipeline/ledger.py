"""What is done: one line a finished unit, so that a stopped run resumes where it was.

A unit counts as done when its line is there, its fingerprint (a digest of everything it was made from) still
matches, and its data still exist. Absent or present data alone prove nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from pipeline.storage import Folder

# A record is handed to the system at once, so a kill loses none. Waiting for the disk after each would cost more than a
# small tile; a power cut loses the records of this many seconds, and their units are made again: wasteful, never wrong.
SYNC_SECONDS = 0.5
# On object storage a line can't be appended: lines are put as a further small file, when there are so many or after so
# long. All lines become one file when the stage ends. A kill loses at most what was not put yet.
REMOTE_BATCH = 32
REMOTE_SECONDS = 20.0


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
        self._further = f"ledger/{stage}"
        # as lines, not as what they say: a third of the memory, of which a large region has most here
        self._lines: dict[str, bytes] = {}
        self._unsaved: list[bytes] = []
        self._pieces: list[str] = []
        self._stream: BinaryIO | None = None
        self._saved = time.monotonic()
        self._load()

    def _load(self) -> None:
        if self._folder.local is None:
            self._pieces = [f"{self._further}/{name}" for name in self._folder.names(self._further)]
        for name in (self._name, *self._pieces):
            try:
                whole = self._folder.read_bytes(name)
            except FileNotFoundError:
                continue
            for line in whole.split(b"\n"):
                try:
                    self._lines[json.loads(line)["key"]] = line
                except (ValueError, KeyError, TypeError):
                    continue  # the torn last line of a killed run, or an empty one

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream:
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._stream = None
        if self._unsaved or self._pieces:
            self._put_whole()

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, key: str) -> dict[str, Any] | None:
        """The last record of a unit."""
        line = self._lines.get(key)
        return None if line is None else json.loads(line)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The last record of every unit."""
        return map(json.loads, self._lines.values())

    def matches(self, key: str, fingerprint: str) -> bool:
        """Whether the unit was finished from exactly these inputs."""
        record = self.get(key)
        return record is not None and record["fingerprint"] == fingerprint

    def checksum(self, key: str) -> str:
        """Checksum of what the unit wrote, "" where it isn't done."""
        record = self.get(key)
        return str(record["checksum"]) if record else ""

    def record(self, key: str, fingerprint: str, checksum: str, **facts: Any) -> None:
        """Write down that a unit is done; when this returns, a kill of this process no longer loses it on a disk."""
        entry = {"key": key, "fingerprint": fingerprint, "checksum": checksum, **facts}
        line = json.dumps(entry, ensure_ascii=False).encode()
        self._lines[key] = line
        overdue = time.monotonic() - self._saved
        if self._folder.local:
            self._append(line, sync=overdue > SYNC_SECONDS)
        else:
            self._unsaved.append(line)
            if len(self._unsaved) >= REMOTE_BATCH or overdue > REMOTE_SECONDS:
                self._put_piece()

    def _append(self, line: bytes, *, sync: bool) -> None:
        if self._stream is None:
            assert self._folder.local is not None  # noqa: S101 - the caller asked
            path = self._folder.local / self._name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("ab")
            if self._stream.tell():
                self._stream.write(b"\n")  # ends a line that a killed run may have torn
        self._stream.write(line + b"\n")
        self._stream.flush()
        if sync:
            os.fsync(self._stream.fileno())
            self._saved = time.monotonic()

    def _put_piece(self) -> None:
        last = self._pieces[-1].rpartition("/")[2].partition(".")[0] if self._pieces else "0"
        name = f"{self._further}/{int(last) + 1:08d}.jsonl"
        self._folder.write_bytes(name, b"\n".join(self._unsaved) + b"\n")
        self._pieces.append(name)
        self._unsaved.clear()
        self._saved = time.monotonic()

    def _put_whole(self) -> None:
        self._folder.write_bytes(self._name, b"\n".join(self._lines.values()) + b"\n")
        self._unsaved.clear()
        while self._pieces:
            self._folder.remove(self._pieces.pop(0))  # the oldest first: what a kill leaves is never out of date
