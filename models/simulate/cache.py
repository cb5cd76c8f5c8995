"""A bounded store of things that are dear to make: each made once, whoever asks first, and dropped when out of use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Cache(Generic[Key, Value]):
    """Keeps what was used last, up to a number of bytes.

    Safe to use from several threads: where two ask for the same thing, one makes it and the other waits for it.

    Parameters
    ----------
    limit
        Bytes to keep at most. What was asked for last is kept even where it is larger.
    size
        Bytes that a value takes.
    """

    def __init__(self, limit: int, size: Callable[[Value], int]) -> None:
        self._limit = limit
        self._size = size
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, Future[Value]] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made now where it is not there."""
        with self._lock:
            entry = self._entries.get(key)
            mine = entry is None
            if entry is None:
                entry = self._entries[key] = Future()
            self._entries.move_to_end(key)
        if mine:
            try:
                entry.set_result(make())
            except BaseException as error:
                with self._lock:
                    del self._entries[key]
                entry.set_exception(error)
                raise
            self._evict(key)
        return entry.result()

    def _evict(self, newest: Key) -> None:
        with self._lock:
            sizes = {key: self._size(entry.result()) for key, entry in self._entries.items() if entry.done()}
            total = sum(sizes.values())
            for key, size in sizes.items():
                if total <= self._limit:
                    break
                if key != newest:
                    del self._entries[key]
                    total -= size
