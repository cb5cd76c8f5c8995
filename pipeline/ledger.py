"""What is done: one line a finished unit, so that a stopped run resumes where it was.

A unit counts as done when its line is there, its fingerprint (a digest of everything it was made from) still
matches, and its data still exist. Absent or present data alone prove nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
import weakref
from collections.abc import Iterator
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import numpy as np
import numpy.typing as npt

from pipeline.lines import LineIndex
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
        # lines stay in the file and are read when they are asked for: kept here, they were most of what a large
        # region took
        self._index = LineIndex()
        self._unsaved: list[bytes] = []
        self._pieces: list[str] = []
        self._reader: BinaryIO | None = None
        self._reading = threading.Lock()
        self._stream: BinaryIO | None = None
        self._saved = time.monotonic()
        self._load()

    def _load(self) -> None:
        if self._folder.local is None:
            self._pieces = [f"{self._further}/{name}" for name in self._folder.names(self._further)]
            self._stream = self._copy()
        for offset, entry in self._entries():
            self._index.add(entry["key"], offset)

    def _copy(self) -> BinaryIO:
        """What lies on object storage, in a nameless file of this machine that goes with this process."""
        copy = TemporaryFile(prefix="cohmap-ledger-")  # noqa: SIM115 - closed when the ledger goes
        weakref.finalize(self, copy.close)
        for name in (self._name, *self._pieces):
            with contextlib.suppress(FileNotFoundError):
                self._folder.read_into(name, copy)
            copy.write(b"\n")  # ends a line that a killed run may have torn
        return cast("BinaryIO", copy)

    def _open(self) -> BinaryIO | None:
        """The file of all lines, None where there is none yet."""
        if self._reader is None and self._folder.local is not None:
            with contextlib.suppress(FileNotFoundError):
                self._reader = (self._folder.local / self._name).open("rb")
                weakref.finalize(self, self._reader.close)
        return self._reader if self._folder.local is not None else self._stream

    def _line_at(self, offset: int) -> bytes:
        with self._reading:  # of several threads each must read where it has sought
            lines = self._open()
            if lines is None:
                return b""
            lines.seek(offset)
            return lines.readline()

    def _entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every record and where its line begins, in the order of the file, those that later ones replace included."""
        offset = 0
        while line := self._line_at(offset):
            if entry := _parse(line):
                yield offset, entry
            offset += len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream and self._folder.local:
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._stream = None
        if self._unsaved or self._pieces:
            self._put_whole()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def get(self, key: str) -> dict[str, Any] | None:
        """The last record of a unit."""
        for offset in self._index.of(key):
            entry = _parse(self._line_at(offset))
            if entry and entry["key"] == key:
                return entry
        return None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The last record of every unit."""
        return (entry for offset, entry in self._entries() if self._is_last(offset, entry["key"]))

    def _is_last(self, offset: int, key: str) -> bool:
        for newer in self._index.of(key):
            if newer == offset:
                return True
            entry = _parse(self._line_at(newer))
            if entry and entry["key"] == key:
                return False
        return True

    def matches(self, key: str, fingerprint: str) -> bool:
        """Whether the unit was finished from exactly these inputs."""
        record = self.get(key)
        return record is not None and record.get("fingerprint") == fingerprint

    def checksum(self, key: str) -> str:
        """Checksum of what the unit wrote, "" where it isn't done."""
        record = self.get(key)
        return str(record["checksum"]) if record else ""

    def record(self, key: str, fingerprint: str, checksum: str, **facts: Any) -> None:
        """Write down that a unit is done; when this returns, a kill of this process no longer loses it on a disk."""
        entry = {"key": key, "fingerprint": fingerprint, "checksum": checksum, **facts}
        line = json.dumps(entry, ensure_ascii=False).encode()
        overdue = time.monotonic() - self._saved
        if self._folder.local:
            self._index.add(key, self._append(line, sync=overdue > SYNC_SECONDS))
        else:
            self._index.add(key, self._keep(line))
            self._unsaved.append(line)
            if len(self._unsaved) >= REMOTE_BATCH or overdue > REMOTE_SECONDS:
                self._put_piece()

    def _append(self, line: bytes, *, sync: bool) -> int:
        """Write a line behind all others of the file; gives where it begins."""
        if self._stream is None:
            assert self._folder.local is not None  # noqa: S101 - the caller asked
            path = self._folder.local / self._name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("ab")
            if self._stream.tell():
                self._stream.write(b"\n")  # ends a line that a killed run may have torn
        offset = self._stream.tell()
        self._stream.write(line + b"\n")
        self._stream.flush()
        if sync:
            os.fsync(self._stream.fileno())
            self._saved = time.monotonic()
        return offset

    def _keep(self, line: bytes) -> int:
        """Write a line behind all others of the copy; gives where it begins."""
        assert self._stream is not None  # noqa: S101 - for the type checker: made when this was opened
        with self._reading:
            offset = self._stream.seek(0, os.SEEK_END)
            self._stream.write(line + b"\n")
        return offset

    def _put_piece(self) -> None:
        last = self._pieces[-1].rpartition("/")[2].partition(".")[0] if self._pieces else "0"
        name = f"{self._further}/{int(last) + 1:08d}.jsonl"
        self._folder.write_bytes(name, b"\n".join(self._unsaved) + b"\n")
        self._pieces.append(name)
        self._unsaved.clear()
        self._saved = time.monotonic()

    def _put_whole(self) -> None:
        with self._folder.staged(self._name) as whole, whole.open("wb") as lines:
            for offset, entry in self._entries():
                if self._is_last(offset, entry["key"]):
                    lines.write(self._line_at(offset))
        self._unsaved.clear()
        while self._pieces:
            self._folder.remove(self._pieces.pop(0))  # the oldest first: what a kill leaves is never out of date


def _parse(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for the torn last line of a killed run, a damaged one or an empty one."""
    try:
        entry = json.loads(line)
        return entry if isinstance(entry["key"], str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
