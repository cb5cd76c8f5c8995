"""Simulating a pool: shards that aren't there yet are made by processes of their own, in order, ahead of their use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Self

from models.errors import ModelError
from models.train.examples import simulated_example
from models.train.pool import shard_path, write_shard


def make_shard(folder: Path, number: int, *, seed: int, count: int, size: int) -> None:
    """Simulate examples number * count and on."""
    import torch

    torch.set_num_threads(1)
    write_shard(shard_path(folder, number), [simulated_example(seed, number * count + k, size) for k in range(count)])


class Simulation:
    """Makes the shards that aren't there yet while something else goes on.

    Parameters
    ----------
    folder
        Of the pool.
    shards
        How many it shall have.
    seed, count, size
        Of the scenes; `count` of them a shard, `size` pixels wide.
    workers
        Processes.

    Raises
    ------
    ModelError
        The folder holds a pool made in another way.
    """

    def __init__(self, folder: Path, shards: int, *, seed: int, count: int, size: int, workers: int) -> None:
        _claim(folder, {"seed": seed, "examples_per_shard": count, "size": size, "made_by": "models.train.examples"})
        self._executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        self.jobs: dict[int, Future[None]] = {
            number: self._executor.submit(make_shard, folder, number, seed=seed, count=count, size=size)
            for number in range(shards)
            if not shard_path(folder, number).exists()
        }

    def wait_for(self, shards: int) -> None:
        """Return when the first so many shards are there; raises what their simulation raised."""
        for number in sorted(each for each in self.jobs if each < shards):
            self.jobs.pop(number).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(cancel_futures=True)


def simulate_pool(folder: Path, shards: int, *, seed: int, count: int, size: int, workers: int) -> Iterator[int]:
    """Simulate the shards that aren't there yet, and say how many there are after each; raises as `Simulation` does."""
    with Simulation(folder, shards, seed=seed, count=count, size=size, workers=workers) as simulation:
        yield shards - len(simulation.jobs)
        for number in sorted(simulation.jobs):
            simulation.wait_for(number + 1)
            yield shards - len(simulation.jobs)


def _claim(folder: Path, made_by: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "pool.json"
    if not manifest.exists() and not any(folder.glob("shard-*.npy")):
        partial = manifest.with_suffix(".partial")
        partial.write_text(json.dumps(made_by, indent=2), encoding="utf-8")
        partial.replace(manifest)
        return
    try:
        same = manifest.exists() and json.loads(manifest.read_text(encoding="utf-8")) == made_by
    except ValueError as error:
        raise ModelError(f"{manifest} is damaged ({error}); delete {folder} to simulate again") from None
    if not same:
        raise ModelError(f"{folder} holds examples made in another way; name another `pool`, or delete it")
