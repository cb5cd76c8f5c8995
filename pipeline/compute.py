"""Many independent tasks on Dask: a local cluster, any scheduler by address, or this process."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Self, TypeVar

from threadpoolctl import threadpool_limits

from pipeline.errors import CohmapError
from pipeline.interrupts import kept_from_children, postponed

T = TypeVar("T")
R = TypeVar("R")

# Tasks handed out at once, per worker: enough to keep it busy, few enough that Ctrl-C is quick and memory bounded.
AHEAD = 3
# Dask has workers give freed memory back to the system at once, and glibc maps every large array anew, page by page:
# on tiles of floats that took longer than the estimates. Kept for the next tile instead, up to 256 MiB a worker.
WORKER_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 28), "MALLOC_TRIM_THRESHOLD_": str(1 << 28)}


def one_thread(function: Callable[[T], R], task: T) -> R:
    """Run a task with the libraries' own threads capped at one: the workers are the parallelism."""
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(1):
        return function(task)


class Pool:
    """Runs tasks, as a context manager; the cluster starts with the first task and not before.

    Parameters
    ----------
    workers
        Worker processes of a local cluster, one thread each; 0 runs everything in this process.
    scheduler
        Address of a running Dask scheduler, e.g. ``tcp://host:8786``; its workers must reach the output folder.
    """

    def __init__(self, workers: int | None = None, scheduler: str | None = None) -> None:
        self._workers = workers if workers is not None else available_cores()
        self._scheduler = scheduler
        self._stack = contextlib.ExitStack()
        self._client: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client = None
        self._stack.close()

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Run `function` on every task, yielding each task with its result as it is done, in no order.

        The first error of a task is raised here; tasks not begun are dropped.
        """
        if self._workers == 0 and self._scheduler is None:
            for task in tasks:
                yield task, one_thread(function, task)
            return
        waiting = iter(tasks)
        first = next(waiting, None)
        if first is None:
            return  # nothing to do: don't start a cluster for it
        yield from self._run_on_cluster(function, first, waiting)

    def _run_on_cluster(self, function: Callable[[T], R], first: T, waiting: Iterator[T]) -> Iterator[tuple[T, R]]:
        from distributed import KilledWorker

        with postponed():
            client = self._connect()
        running: dict[Any, T] = {}
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def submit(tasks: Iterable[T]) -> None:
            with postponed():
                for task in tasks:
                    future = client.submit(one_thread, function, task, pure=False)
                    running[future] = task
                    future.add_done_callback(finished.put)

        try:
            submit([first, *itertools.islice(waiting, AHEAD * max(self._size(), 1) - 1)])
            while running:
                future = finished.get()  # here, and while the result is used, is where Ctrl-C may strike
                with postponed():
                    task, result = running.pop(future), future.result()
                yield task, result
                submit(itertools.islice(waiting, 1))
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
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is raised here
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
        key = "distributed.nanny.pre-spawn-environ"
        self._stack.enter_context(dask.config.set({key: {**dask.config.get(key), **WORKER_ENVIRONMENT}}))
        with kept_from_children():
            cluster = self._stack.enter_context(
                LocalCluster(
                    n_workers=self._workers,
                    threads_per_worker=1,
                    processes=True,
                    # where Bokeh is installed Dask would serve its dashboard, to every machine that reaches this one
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    silence_logs=logging.CRITICAL,
                )
            )
        self._client = self._stack.enter_context(Client(cluster, set_as_default=False))
        return self._client


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
