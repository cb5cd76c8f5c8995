"""What a cluster can do to a run, told in one sentence; a stand-in for the cluster fails as the real one does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest
from distributed import KilledWorker, default_client

from pipeline.compute import Pool
from pipeline.errors import CohmapError


class Failed:
    """A future that is done, and whose result is an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    def result(self) -> Any:
        raise self._error


class FailingClient:
    """A client whose every task ends in one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.cancelled = 0

    def ncores(self) -> dict[str, int]:
        return {"worker-1": 1, "worker-2": 1}

    def submit(self, *_task: Any, pure: bool) -> Failed:
        assert not pure
        return Failed(self._error)

    def cancel(self, futures: list[Failed]) -> None:
        self.cancelled += len(futures)


def run(error: Exception) -> FailingClient:
    client = FailingClient(error)
    with Pool(scheduler="tcp://there:8786") as pool:
        pool._client = client
        list(pool.run(abs, range(100)))
    return client


def test_a_worker_that_dies_again_and_again() -> None:
    with pytest.raises(CohmapError, match="for lack of memory; take fewer --workers"):
        run(KilledWorker("tile", None, 3))  # type: ignore[arg-type]


def test_a_scheduler_that_is_gone() -> None:
    with pytest.raises(CohmapError, match="the Dask scheduler at tcp://there:8786 is gone"):
        run(CancelledError())


def test_the_first_error_of_a_task_is_raised_and_the_rest_is_dropped() -> None:
    client = FailingClient(ValueError("of the task"))
    with Pool() as pool:
        pool._client = client
        with pytest.raises(ValueError, match="of the task"):
            list(pool.run(abs, range(100)))
        assert client.cancelled == 5  # of the six that two workers get ahead


def test_a_pool_never_becomes_the_default_of_other_dask_users() -> None:
    with Pool(scheduler="nonsense") as pool, pytest.raises(CohmapError, match="no Dask scheduler answers at nonsense"):
        list(pool.run(abs, range(3)))
    with pytest.raises(ValueError, match="No clients found"):
        default_client()
