"""Many independent tasks on Dask: a local cluster, any scheduler by address, or this process."""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from threadpoolctl import threadpool_limits

from pipeline.clusters import local_cluster, room_here, room_of
from pipeline.errors import CohmapError
from pipeline.interrupts import kept_from_children, postponed

T = TypeVar("T")
R = TypeVar("R")

# Batches handed out at once, per worker: enough to keep it busy, few enough that Ctrl-C is quick and memory bounded.
AHEAD = 3
# Tasks go out in batches that take about so long: a scheduler spends a millisecond or more on each, however short.
# A worker that is lost costs the tasks of its batches.
BATCH_SECONDS = 0.25
MOST_TOGETHER = 256
# What Dask does beside the work, less of it. Its log of the latest thousand messages would keep the tasks in them, most
# of what is ever sent. Looks at every worker's stack a hundred times a second, and at every event loop fifty
# times, took a sixth of a core for two workers that did nothing.
QUIET = {
    "distributed.admin.low-level-log-length": 0,
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.profile.enabled": False,
}


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within the block the libraries' own threads are capped at one: the workers are the parallelism."""
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


@dataclass(frozen=True)
class _Batch:
    """What a worker made of the first tasks of a batch, and the seconds that took."""

    results: list[Any]
    seconds: float


def _run_batch(function: Callable[[T], R], tasks: tuple[T, ...]) -> _Batch:
    """On a worker: tasks one after the other, until one fails or they take too long; the rest comes again.

    A task that fails is in front of a batch then, and the error that of the batch.
    """
    with one_thread():  # to find all libraries' threads takes milliseconds
        begin, results = time.perf_counter(), [function(tasks[0])]
        for task in tasks[1:]:
            if time.perf_counter() - begin > 2 * BATCH_SECONDS:
                break
            try:
                results.append(function(task))
            except Exception:  # noqa: BLE001 - raised when it comes again
                break
        return _Batch(results, time.perf_counter() - begin)


class Pool:
    """Runs tasks, as a context manager; the cluster starts with the first task and not before.

    Parameters
    ----------
    workers
        Worker processes of a local cluster, one thread each; 0 runs everything in this process. None: one a core, or
        one a GPU.
    scheduler
        Address of a running Dask scheduler, e.g. ``tcp://host:8786``; its workers must reach the output folder.
    device
        Where the tasks compute; unless it is "cpu", GPUs get a worker each where `dask-cuda` is installed.
    """

    def __init__(self, workers: int | None = None, scheduler: str | None = None, device: str = "cpu") -> None:
        self._workers = workers
        self._scheduler = scheduler
        self._device = device
        self._stack = contextlib.ExitStack()
        self._client: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client = None
        self._stack.close()

    def room(self) -> int:
        """Bytes of memory for a worker, and on its GPU; on this machine however many workers there are."""
        return room_here(self._device) if self._scheduler is None else room_of(self._connect(), self._device)

    def run(
        self, function: Callable[[T], R], tasks: Iterable[T], together: int = MOST_TOGETHER
    ) -> Iterator[tuple[T, R]]:
        """Run `function` on every task, yielding each task with its result as it is done, in no order.

        At most so many tasks go out `together`: fewer where a task holds much, for several batches a worker are kept
        in memory. The first error of a task is raised here; tasks not begun are dropped.
        """
        if self._workers == 0 and self._scheduler is None:
            for task in tasks:
                with one_thread():
                    result = function(task)
                yield task, result
            return
        waiting = iter(tasks)
        first = next(waiting, None)
        if first is None:
            return  # nothing to do: don't start a cluster for it
        yield from self._run_on_cluster(function, first, waiting, together)

    def _run_on_cluster(
        self, function: Callable[[T], R], first: T, waiting: Iterator[T], most: int
    ) -> Iterator[tuple[T, R]]:
        from distributed import KilledWorker

        with postponed():
            client = self._connect()
        running: dict[Any, tuple[T, ...]] = {}
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        together = 1

        def submit(tasks: tuple[T, ...]) -> None:
            if tasks:
                with postponed():
                    future = client.submit(_run_batch, function, tasks, pure=False)
                    running[future] = tasks
                    future.add_done_callback(finished.put)

        try:
            for task in (first, *itertools.islice(waiting, AHEAD * max(self._size(), 1) - 1)):
                submit((task,))
            while running:
                future = finished.get()  # here, and while the result is used, is where Ctrl-C may strike
                with postponed():
                    tasks, batch = running.pop(future), future.result()
                yield from zip(tasks, batch.results, strict=False)
                submit(tasks[len(batch.results) :])
                fitting = BATCH_SECONDS / max(batch.seconds / len(batch.results), 1e-6)
                together = max(1, min(int(fitting), 2 * together, most))
                submit(tuple(itertools.islice(waiting, together)))
        except KilledWorker:
            raise CohmapError(
                "a worker process died again and again on one tile, perhaps for lack of memory; "
                "take fewer --workers, or a smaller [grid] tile in another --output"
            ) from None
        except CancelledError:
            raise CohmapError(
                f"the Dask scheduler at {self._scheduler or 'this machine'} is gone; see that it runs, "
                "then give the same command again"
            ) from None
        finally:
            if self._client is client:  # else the pool is closed, and its tasks with it
                with postponed():
                    client.cancel(list(running))

    def _size(self) -> int:
        return len(self._client.ncores())

    def _connect(self) -> Any:
        if self._client is not None:
            return self._client
        import dask
        from distributed import Client

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is raised here
        self._stack.enter_context(dask.config.set(QUIET))
        if self._scheduler is not None:
            try:
                client = Client(self._scheduler, timeout=10, set_as_default=False)
            except (OSError, ValueError, TimeoutError):
                raise CohmapError(
                    f"no Dask scheduler answers at {self._scheduler}; start one with `dask scheduler`, "
                    "or leave --scheduler out"
                ) from None
            self._client = self._stack.enter_context(client)
            if not self._size():
                raise CohmapError(f"the scheduler at {self._scheduler} has no workers; start some with `dask worker`")
            return self._client
        with kept_from_children():
            cluster = self._stack.enter_context(local_cluster(self._workers, self._device))
        self._client = self._stack.enter_context(Client(cluster, set_as_default=False))
        return self._client
