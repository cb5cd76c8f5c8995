"""The stand-in in a process of its own, so that what is measured has its own interpreter."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from tests.earthengine.server import serve
from tests.earthengine.world import World


@dataclass(frozen=True)
class Count:
    """What was asked of the stand-in."""

    requests: int
    most_under_way: int


@dataclass(frozen=True)
class Apart:
    """A stand-in somewhere else."""

    url: str
    project: str
    token: str
    _pipe: Connection

    def take(self, latency: float) -> None:
        """From now on requests for pixels take so many seconds, and are counted from 0."""
        self._pipe.send(latency)
        self._pipe.recv()

    def count(self) -> Count:
        """Requests for pixels since."""
        self._pipe.send(None)
        found = self._pipe.recv()
        assert isinstance(found, Count)
        return found


def _run(pipe: Connection, make: Callable[..., World], arguments: tuple[Any, ...]) -> None:
    world = make(*arguments)
    world.answers = {}
    before = 0
    with serve(world) as server:
        pipe.send((server.url, world.project, world.token))
        with contextlib.suppress(EOFError):
            while True:
                asked = pipe.recv()
                total = len(world.requests("computePixels"))
                if asked is None:
                    pipe.send(Count(total - before, world.most_under_way))
                else:
                    world.latency, world.most_under_way, before = asked, 0, total
                    pipe.send(None)


@contextlib.contextmanager
def serve_apart(make: Callable[..., World], *arguments: Any) -> Iterator[Apart]:
    """A server for the world that `make` gives, in a process of its own; an answer given once is kept, encoded."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, make, arguments), daemon=True)
    process.start()
    try:
        url, project, token = here.recv()
        yield Apart(url, project, token, here)
    finally:
        here.close()
        process.terminate()
        process.join()
