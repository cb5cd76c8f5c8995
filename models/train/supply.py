"""Where a run's examples come from: a folder as it is, or scenes simulated ahead of the steps that need them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from models.errors import ModelError
from models.train.config import TrainConfig
from models.train.pool import Pool
from models.train.simulation import Simulation, simulate_pool

POOL, TRAINING, VALIDATION = "pool", "training", "validation"
"""Folders: of what is simulated to train on; of what real examples train on; of what is kept aside."""
VALIDATION_SEED = 400_000
"""Added to the seed for the validation scenes; a run's training scenes and the benchmark's have others."""
GROWN = 0.8
"""Share of the steps after which the pool is whole."""


def shards_at(config: TrainConfig, step: int) -> int:
    """How many simulated shards a step draws from: a matter of the step alone, so that a run can be repeated."""
    settings = config.pool
    first = min(settings.first, settings.shards)
    grown = min(1.0, step / (GROWN * config.steps))
    return first + int((settings.shards - first) * grown)


def training_folder(config: TrainConfig, output: Path) -> Path:
    """Where the examples are that a run trains on: of a folder with two parts, the one for training."""
    if config.pool.folder is None:
        return output / POOL
    given = Path(config.pool.folder)
    return given / TRAINING if (given / TRAINING).is_dir() else given


def kept_aside(config: TrainConfig, output: Path) -> Pool:
    """What a run is validated on.

    Raises
    ------
    ModelError
        There is nothing, or the network can't take it whole.
    """
    if config.pool.validation == "simulated":
        return Pool(output / VALIDATION)
    from models.coherence.network import Layout

    pool, lattice = Pool(Path(str(config.pool.folder)) / VALIDATION), Layout(config.network.channels).lattice
    if pool.size % lattice:
        raise ModelError(
            f"the examples in {config.pool.folder} have {pool.size} pixels, and this network takes multiples of "
            f"{lattice}; make them again with another --size"
        )
    return pool


def prepare(config: TrainConfig, output: Path) -> Iterator[tuple[str, int, int]]:
    """Simulate what is validated on and what the first step draws from, unless it is there.

    Yields
    ------
    folder, done, total
        Name of the folder, and how many of its shards are there.
    """
    settings = config.pool
    aside = -(-config.validation_scenes // settings.examples_per_shard)
    count, size = settings.examples_per_shard, settings.size
    for folder, seed, shards in (
        (VALIDATION, config.seed + VALIDATION_SEED, aside if settings.validation == "simulated" else 0),
        (POOL, config.seed, 0 if settings.folder else shards_at(config, 0)),
    ):
        if shards:
            for done in simulate_pool(output / folder, shards, seed=seed, count=count, size=size, workers=_cores()):
                yield folder, done, shards


class Supply:
    """The pool of a run, growing while it runs.

    Parameters
    ----------
    output
        The run's folder, prepared.

    Raises
    ------
    ModelError
        There are no examples, or they are of another run.
    """

    def __init__(self, config: TrainConfig, output: Path) -> None:
        settings = config.pool
        self._config = config
        self._simulation: Simulation | None = None
        if settings.folder:
            self._pool = Pool(training_folder(config, output))
            return
        self._pool = Pool(output / POOL, shards_at(config, 0))
        if len(list((output / POOL).glob("shard-*.npy"))) < settings.shards:
            self._simulation = Simulation(
                output / POOL,
                settings.shards,
                seed=config.seed,
                count=settings.examples_per_shard,
                size=settings.size,
                workers=max(1, _cores() - 1),
            )

    def at(self, step: int) -> Pool:
        """What a step draws from; waits for it where simulation is behind."""
        if self._config.pool.folder is None and self._pool.shards < shards_at(self._config, step):
            if self._simulation is not None:
                self._simulation.wait_for(shards_at(self._config, step))
            self._pool.extend(shards_at(self._config, step))
        return self._pool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._simulation is not None:
            self._simulation.__exit__(kind, error, trace)


def _cores() -> int:
    count = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    return count or 1
