"""What a cluster can do to a run, told in one sentence; a stand-in for the cluster fails as the real one does.

Real workers are at the end: one of them dies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from distributed import KilledWorker, default_client

from pipeline import clusters, compute
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


def test_short_tasks_go_out_in_batches_and_long_ones_alone() -> None:
    client = Direct()
    with Pool() as pool:
        pool._client = client
        assert sorted(pool.run(abs, range(500))) == [(n, n) for n in range(500)]
        assert 1 < max(client.sizes) <= compute.MOST_TOGETHER
        client.sizes.clear()
        assert len(list(pool.run(nap, [0.3] * 8))) == 8
    assert client.sizes == [1] * 8


def test_a_batch_that_takes_longer_than_thought_is_cut_short_and_goes_on() -> None:
    naps = [0.0] * 100 + [0.3] * 6
    client = Direct()
    with Pool() as pool:
        pool._client = client
        assert [task for task, _ in pool.run(nap, naps)] == naps
    assert sum(client.sizes) > len(naps), "what a batch left undone was handed out again"


def test_results_before_an_error_are_told_before_it() -> None:
    told: list[int] = []
    with Pool() as pool:
        pool._client = Direct()
        with pytest.raises(ZeroDivisionError):
            told += [task for task, _ in iter_safely(pool.run(inverse, [*range(1, 100), 0, *range(200, 900)]), told)]
    assert set(range(1, 100)) <= set(told)


def test_tasks_are_made_when_their_time_comes() -> None:
    made: list[int] = []
    with Pool() as pool:
        pool._client = Direct()
        results = pool.run(abs, (made.append(n) or n for n in range(100_000)))  # type: ignore[func-returns-value]
        for _ in range(10):
            next(results)
        results.close()  # type: ignore[attr-defined]
    assert len(made) < compute.AHEAD * 2 * compute.MOST_TOGETHER, "no more than what two workers have before them"


class Direct:
    """A client that runs each batch at once; two workers."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def ncores(self) -> dict[str, int]:
        return {"worker-1": 1, "worker-2": 1}

    def submit(self, run: Callable[..., Any], function: Any, tasks: tuple[Any, ...], *, pure: bool) -> Any:
        assert not pure
        self.sizes.append(len(tasks))
        try:
            return Finished(run(function, tasks))
        except ZeroDivisionError as error:
            return Failed(error)

    def cancel(self, futures: list[Any]) -> None:
        del futures


class Finished:
    """A future that is done."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    def result(self) -> Any:
        return self._result


def iter_safely(results: Iterator[Any], told: list[Any]) -> Iterator[Any]:
    for task, result in results:
        told.append(task)
        yield task, result


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def inverse(number: int) -> float:
    return 1 / number


@lru_cache
def model() -> str:
    """Stands for what is loaded once: as slow as its file is long."""
    return f"loaded in {os.getpid()}"


def tile(task: tuple[str, int]) -> str:
    """Notes who works on a tile; the worker of tile 20 dies on it, once."""
    folder, number = task
    loaded_before = model.cache_info().currsize
    model()
    with (Path(folder) / "log").open("a") as log:
        log.write(f"{number} {os.getpid()} {loaded_before}\n")
    if number == 20 and not (Path(folder) / "died").exists():
        (Path(folder) / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return model()


def test_a_lost_worker_costs_its_own_tiles_and_models_are_loaded_once(tmp_path: Path) -> None:
    with Pool(2) as pool:
        done = list(pool.run(tile, ((str(tmp_path), number) for number in range(60))))
    assert sorted(number for (_, number), _ in done) == list(range(60))
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    times = Counter(int(number) for number, _, _ in lines)
    again = [number for number, count in times.items() if count > 1]
    assert 20 in again
    assert max(times.values()) == 2
    assert len(again) <= 3 * 2 * compute.BATCH_SECONDS / 0.02, "only what the dead worker had is done again"
    loads = Counter(process for _, process, loaded_before in lines if loaded_before == "0")
    assert set(loads.values()) == {1}
    assert len(loads) in {2, 3}, "two workers; there may be work left for the one in place of the dead one"


def test_gpus_get_a_worker_each_where_dask_cuda_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    @contextlib.contextmanager
    def cuda_cluster(**settings: Any) -> Iterator[str]:
        begun.append(settings)
        yield "cluster"

    package = ModuleType("dask_cuda")
    package.LocalCUDACluster = cuda_cluster  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dask_cuda", package)
    monkeypatch.setattr(clusters, "count_gpus", lambda: 4)
    for workers, device in ((None, "auto"), (2, "cuda"), (16, "cuda")):
        with clusters.local_cluster(workers, device) as cluster:
            assert cluster == "cluster"
    assert [settings["n_workers"] for settings in begun] == [4, 2, 4]
    assert {settings["threads_per_worker"] for settings in begun} == {1}
