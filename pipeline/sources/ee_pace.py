"""How fast Earth Engine is asked: how many requests at once, and how long a failed one waits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# Requests at once to begin with; more, up to the ceiling, only where the server keeps up.
FIRST_LIMIT = 16

# Requests at once where the project has used up its quota and the server says that it runs restricted.
RESTRICTED_LIMIT = 2


@dataclass(frozen=True)
class Patience:
    """How long a transient failure (429, 5xx, a lost connection, a timeout) is put up with.

    Waits grow as ``first * 2**k`` seconds up to `longest`, each drawn evenly from the upper half of that, so that
    requests refused together don't come back together; a ``Retry-After`` that the server sends is a lower bound.

    Attributes
    ----------
    attempts
        Tries in all.
    garbled
        Tries in all where answers arrive but make no sense.
    first, longest
        Seconds.
    deadline
        Seconds until one request counts as lost; Earth Engine itself gives up on a computation after five minutes.
    sleep
        Waits that many seconds.
    clock
        Says what time it is, in seconds.
    """

    attempts: int = 8
    garbled: int = 5
    first: float = 1.0
    longest: float = 60.0
    deadline: float = 330.0
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)
    clock: Callable[[], float] = field(default=time.monotonic, compare=False)

    def heed(self, retry_after: float | None) -> float:
        """Seconds that the server asked for and gets."""
        return min(retry_after or 0.0, 10 * self.longest)

    def wait(self, attempt: int, retry_after: float | None) -> None:
        """Wait before try number `attempt` + 1."""
        step = min(self.first * 2.0 ** (attempt - 1), self.longest)
        pause = step * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        self.sleep(max(pause, self.heed(retry_after)))


class Pace:
    """How many requests may be under way at once; safe to use from several threads.

    Halved where the server says that it is too busy, raised by one after as many answers as may be under way, never
    above the ceiling. Requests refused together count once: they were all sent at the pace that was too fast.

    Parameters
    ----------
    ceiling
        Most requests under way at once.
    patience
        How to wait.
    """

    def __init__(self, ceiling: int, patience: Patience) -> None:
        self.limit = min(FIRST_LIMIT, ceiling)
        self.restricted = False
        self._ceiling = ceiling
        self._patience = patience
        self._changed = threading.Condition()
        self._under_way = 0
        self._answered = 0
        self._slowed = 0
        self._resume_at = -float("inf")

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait until one more request may be sent; what it yields is to be handed to `slow_down`."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way < self.limit)
            self._under_way += 1
            sent_at, pause = self._slowed, self._resume_at - self._patience.clock()
        try:
            if pause > 0:
                self._patience.sleep(pause)
            yield sent_at
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def slow_down(self, sent_at: int, retry_after: float | None = None) -> None:
        """The server was too busy for a request; a ``Retry-After`` holds every request back."""
        with self._changed:
            if sent_at == self._slowed:
                self.limit = max(1, self.limit // 2)
                self._slowed += 1
                self._answered = 0
            if retry_after:
                until = self._patience.clock() + self._patience.heed(retry_after)
                self._resume_at = max(self._resume_at, until)

    def go_on(self, *, restricted: bool = False) -> bool:
        """The server answered a request; whether it is the first answer to say that the project is restricted."""
        with self._changed:
            news = restricted and not self.restricted
            self.restricted = restricted
            ceiling = min(self._ceiling, RESTRICTED_LIMIT) if restricted else self._ceiling
            self._answered += 1
            if self._answered >= self.limit:
                self.limit += 1
                self._answered = 0
                self._changed.notify_all()
            self.limit = min(self.limit, ceiling)
            return news
