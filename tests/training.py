"""Training in miniature: a pool of small scenes, a network of few channels, settings that are done in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models.train.config import TrainConfig
from models.train.examples import Example, simulated_example
from models.train.pool import shard_path, write_shard
from models.train.supply import VALIDATION_SEED

SIZE = 64
SMALL_NETWORK = {"channels": (8, 12, 16), "encoder": (1, 1, 1), "decoder": (1, 1)}


def small_config(**changed: Any) -> TrainConfig:
    """Ten steps on pieces of 32 pixels."""
    settings: dict[str, Any] = {
        "name": "small",
        "seed": 3,
        "steps": 10,
        "batch": 2,
        "side": 32,
        "warm_up": 2,
        "validation_scenes": 2,
        "validate_every": 4,
        "pool": {"shards": 2, "examples_per_shard": 2, "size": SIZE},
        "network": SMALL_NETWORK,
    }
    return TrainConfig.model_validate(settings | changed)


def write_pool(folder: Path, examples: list[Example], *, per_shard: int = 2) -> Path:
    """A folder of shards."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(0, len(examples), per_shard):
        write_shard(shard_path(folder, number // per_shard), examples[number : number + per_shard])
    return folder


def prepare_pools(output: Path, config: TrainConfig) -> None:
    """What `models.train.supply.prepare` makes, without processes of its own."""
    settings = config.pool
    for name, seed, count in (
        ("pool", config.seed, settings.shards * settings.examples_per_shard),
        ("validation", config.seed + VALIDATION_SEED, config.validation_scenes),
    ):
        examples = [simulated_example(seed, number, settings.size) for number in range(count)]
        write_pool(output / name, examples, per_shard=settings.examples_per_shard)


NUMBERED = 20
"""Side of a numbered example."""


def numbered_example(number: int, size: int = NUMBERED, *, dates: int = 0) -> Example:
    """An example whose every pixel has a number of its own, which all channels carry and half precision holds.

    The truth is that number / 2048; reference, secondary, mean and deviation are 2, 4, 8 and 16 times the truth,
    the latter two zero without further dates. The spacing is 10, 20 or 30 m, by turns.
    """
    rows, cols = np.mgrid[:size, :size]
    truth = (1 + cols + size * (rows + size * number)) / 2048.0
    images, further = np.stack([2.0 * truth, 4.0 * truth]), np.stack([8.0 * truth, 16.0 * truth]) * (dates > 0)
    spacing = 10.0 * (1 + number % 3)
    return Example(images.astype(np.float16), further.astype(np.float16), dates, truth.astype(np.float16), spacing)
