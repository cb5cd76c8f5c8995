"""The supply of examples: what a step draws from is a matter of its number, whoever was faster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelError
from models.train.pool import Pool, shard_path
from models.train.simulation import Simulation
from models.train.supply import GROWN, Supply, prepare, shards_at
from tests.training import SIZE, numbered_example, prepare_pools, small_config, write_pool

GROWING = {"shards": 3, "first": 1, "examples_per_shard": 2, "size": SIZE}


def test_the_pool_grows_with_the_steps_and_is_whole_before_the_end() -> None:
    config = small_config(steps=100, pool={"shards": 50, "first": 10})
    counts = [shards_at(config, step) for step in range(100)]
    assert counts[0] == 10
    assert counts == sorted(counts)
    assert counts[int(GROWN * 100) :] == [50] * 20
    assert shards_at(small_config(pool={"shards": 3, "first": 10}), 0) == 3


def test_only_what_training_begins_with_is_simulated_before(tmp_path: Path) -> None:
    config = small_config(pool=GROWING)
    assert list(prepare(config, tmp_path)) == [
        ("validation", 0, 1),
        ("validation", 1, 1),
        ("pool", 0, 1),
        ("pool", 1, 1),
    ]
    assert len(Pool(tmp_path / "pool")) == 2


def test_the_rest_is_simulated_as_it_would_have_been_before(tmp_path: Path) -> None:
    config = small_config(steps=10, pool=GROWING)
    prepare_pools(tmp_path / "whole", config)
    assert list(prepare(config, tmp_path / "growing"))[-1] == ("pool", 1, 1)
    with Supply(config, tmp_path / "growing") as supply:
        assert supply.at(0).shards == 1
        assert supply.at(8).shards == 3
        grown, whole = supply.at(8), Pool(tmp_path / "whole" / "pool")
        for number in range(6):
            np.testing.assert_array_equal(grown[number][0], whole[number][0])


def test_shards_that_came_early_are_not_drawn_from_before_their_step(tmp_path: Path) -> None:
    config = small_config(steps=10, pool=GROWING)
    prepare_pools(tmp_path, config)
    with Supply(config, tmp_path) as supply:
        assert [supply.at(step).shards for step in (0, 4, 8, 9)] == [1, 2, 3, 3]


def test_a_folder_is_used_whole(tmp_path: Path) -> None:
    folder = write_pool(tmp_path / "mine", [numbered_example(number) for number in range(6)])
    with Supply(small_config(pool={"folder": str(folder), "shards": 1}), tmp_path) as supply:
        assert len(supply.at(0)) == len(supply.at(9)) == 6


def test_what_a_simulation_failed_of_reaches_who_waits_for_it(tmp_path: Path) -> None:
    with (
        Simulation(tmp_path, 2, seed=1, count=1, size=8, workers=1) as simulation,
        pytest.raises(ModelError, match="a scene is at least 16 pixels wide, not 8"),
    ):
        simulation.wait_for(1)
    assert not shard_path(tmp_path, 0).exists()
