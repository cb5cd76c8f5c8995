"""From a source to a stack: reads in threads, writes in a few others, no further ahead than can be written.

What has been read and isn't written is lost if the process is killed, and fills memory until then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

What = TypeVar("What")
Got = TypeVar("Got")

# Writes at once: one waits until its bytes are safe on the disk while the other compresses. More would leave more of
# them unfinished at a kill.
WRITERS = 2

# How much the latest read and the latest write count in the averages.
LATEST = 0.2


class Lead:
    """How many reads may be begun and not written yet.

    By Little's law as many as can be written in the time that one read takes, and one a writer; more would only wait.
    Up to the ceiling until the first one has been written.

    Parameters
    ----------
    ceiling
        Most of them, however quick writing is.
    """

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._reading: float | None = None
        self._writing: float | None = None

    @property
    def most(self) -> int:
        """Reads that may be begun and not written yet."""
        if self._reading is None or self._writing is None:
            return self._ceiling
        return min(self._ceiling, WRITERS + math.ceil(self._reading * WRITERS / max(self._writing, 1e-6)))

    def learn(self, reading: float, writing: float) -> None:
        """One was read, and written, in so many seconds."""
        self._reading = _average(self._reading, reading)
        self._writing = _average(self._writing, writing)


def _average(before: float | None, latest: float) -> float:
    return latest if before is None else (1 - LATEST) * before + LATEST * latest


def transfer(
    wanted: Iterator[What],
    read: Callable[[What], Got],
    write: Callable[[What, Got], None],
    threads: int,
    ceiling: int,
) -> None:
    """Read everything that is wanted, and write it.

    Where a read fails nothing new is begun, but what is under way is still written; then its error is raised.

    Parameters
    ----------
    read, write
        Called in threads, `write` in at most WRITERS at once.
    threads
        Reads at once.
    ceiling
        Most reads begun and not written yet; fewer where writing is slow.
    """
    lead = Lead(ceiling)
    reading: dict[Future[tuple[Got, float]], What] = {}
    writing: set[Future[Any]] = set()
    failure: BaseException | None = None

    def timed_read(what: What) -> tuple[Got, float]:
        begun = time.monotonic()
        got = read(what)
        return got, time.monotonic() - begun

    def timed_write(what: What, got: Got, seconds: float) -> None:
        begun = time.monotonic()
        write(what, got)
        lead.learn(seconds, time.monotonic() - begun)

    with ThreadPoolExecutor(threads, "read") as readers, ThreadPoolExecutor(WRITERS, "write") as writers:

        def begin() -> None:
            while len(writing) <= WRITERS and len(reading) + len(writing) < lead.most:
                for what in wanted:
                    reading[readers.submit(timed_read, what)] = what
                    break
                else:
                    return

        begin()
        try:
            while reading or writing:
                for future in wait({*reading, *writing}, return_when=FIRST_COMPLETED).done:
                    if future in writing:
                        writing.remove(future)
                        future.result()
                        continue
                    what = reading.pop(future)
                    failure = failure or future.exception()
                    if future.exception() is None:
                        writing.add(writers.submit(timed_write, what, *future.result()))
                del future  # it holds pixels
                if failure is None:
                    begin()
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
    if failure is not None:
        raise failure
