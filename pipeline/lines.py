"""Where in a file the line of each key begins: sixteen bytes a line, whatever the key and the line say."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np

# Lines added since the rest was sorted are looked up one by one; this many make it worth sorting them in.
UNSORTED = 4096


class LineIndex:
    """Offsets of lines, by a hash of their keys.

    A key may have several lines, and two keys one hash: who asks reads the lines, the newest first, until one is of
    the key.
    """

    def __init__(self) -> None:
        self._hashes, self._offsets = array("q"), array("q")
        self._new_hashes, self._new_offsets = array("q"), array("q")
        self._new: dict[int, list[int]] = {}

    def add(self, key: str, offset: int) -> None:
        """Note a further line, which lies behind all others."""
        hashed = hash(key)
        self._new_hashes.append(hashed)
        self._new_offsets.append(offset)
        self._new.setdefault(hashed, []).append(offset)
        if len(self._new_hashes) >= max(UNSORTED, len(self._hashes) // 16):
            self._sort_in()

    def of(self, key: str) -> Iterator[int]:
        """Where lines of the key may begin, the newest first."""
        hashed = hash(key)
        yield from reversed(self._new.get(hashed, ()))
        first, behind = bisect_left(self._hashes, hashed), bisect_right(self._hashes, hashed)
        yield from reversed(self._offsets[first:behind])

    def _sort_in(self) -> None:
        hashes = np.concatenate([np.asarray(each) for each in (self._hashes, self._new_hashes)])
        offsets = np.concatenate([np.asarray(each) for each in (self._offsets, self._new_offsets)])
        order = np.argsort(hashes, kind="stable")  # lines of one hash stay in the order of the file
        self._hashes, self._offsets = array("q", hashes[order].tobytes()), array("q", offsets[order].tobytes())
        self._new_hashes, self._new_offsets = array("q"), array("q")
        self._new.clear()
