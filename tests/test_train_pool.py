"""The pool on disk: what was written is read, what was half written isn't, and what is damaged is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelError
from models.train.examples import simulated_example
from models.train.pool import Pool, shard_path, write_shard
from models.train.simulation import make_shard, simulate_pool
from tests.training import numbered_example, write_pool

SIZE = 64


def simulated(folder: Path, *, shards: int = 2, seed: int = 5, size: int = SIZE) -> list[int]:
    return list(simulate_pool(folder, shards, seed=seed, count=2, size=size, workers=1))


def test_what_is_written_is_read_bit_for_bit(tmp_path: Path) -> None:
    examples = [simulated_example(5, number, SIZE) for number in range(3)]
    pool = Pool(write_pool(tmp_path, examples))
    assert len(pool) == 3
    assert pool.size == SIZE
    for number, example in enumerate(examples):
        arrays, dates, spacing = pool[number]
        assert arrays.dtype == np.float16
        np.testing.assert_array_equal(arrays[:2], example.images)
        np.testing.assert_array_equal(arrays[2:4], example.context)
        np.testing.assert_array_equal(arrays[4], example.coherence)
        assert (dates, spacing) == (example.dates, example.spacing)


def test_a_simulated_pool_is_made_once_and_goes_on_where_it_was(tmp_path: Path) -> None:
    assert simulated(tmp_path, shards=0) == [0]
    write_shard(shard_path(tmp_path, 0), [simulated_example(5, number, SIZE) for number in (0, 1)])
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert simulated(tmp_path) == [1, 2]
    assert {path: path.stat().st_mtime_ns for path in written} == written
    for number in (2, 3):
        arrays, dates, spacing = Pool(tmp_path)[number]
        example = simulated_example(5, number, SIZE)
        np.testing.assert_array_equal(arrays[:2], example.images)
        assert (dates, spacing) == (example.dates, example.spacing)
    assert simulated(tmp_path) == [2]


def test_a_shard_half_written_is_never_read(tmp_path: Path) -> None:
    write_pool(tmp_path, [numbered_example(0)])
    whole = shard_path(tmp_path, 0).read_bytes()
    shard_path(tmp_path, 1).with_suffix(".partial").write_bytes(whole[:1000])
    shard_path(tmp_path, 1).with_suffix(".json").write_text('{"dates": [0]}')
    assert len(Pool(tmp_path)) == 1


def test_a_disk_that_fills_leaves_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        make_shard(tmp_path, 0, seed=1, count=1, size=16)
    assert not list(tmp_path.glob("*.npy"))


def test_as_many_shards_are_used_as_asked_for(tmp_path: Path) -> None:
    write_pool(tmp_path, [numbered_example(number) for number in range(6)])
    assert len(Pool(tmp_path)) == 6
    assert len(Pool(tmp_path, 2)) == 4


def test_a_pool_made_in_another_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pool.json").write_text(json.dumps({"made_by": "SLC pairs"}))
    with pytest.raises(ModelError, match="holds examples made in another way; name another `pool`, or delete it"):
        simulated(tmp_path)
    assert json.loads((tmp_path / "pool.json").read_text()) == {"made_by": "SLC pairs"}


def test_a_pool_of_other_settings_is_refused(tmp_path: Path) -> None:
    simulated(tmp_path, shards=0)
    for changed in ({"seed": 6}, {"size": 96}):
        with pytest.raises(ModelError, match="made in another way"):
            simulated(tmp_path, shards=0, **changed)


def test_shards_that_nobody_vouches_for_are_refused(tmp_path: Path) -> None:
    write_pool(tmp_path, [numbered_example(0)])
    with pytest.raises(ModelError, match="made in another way"):
        simulated(tmp_path)


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "pool.json").write_text('{"seed":')
    with pytest.raises(ModelError, match=r"pool\.json is damaged .*; delete .* to simulate again"):
        simulated(tmp_path)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there are no examples \(shard-\*\.npy\) in"):
        Pool(tmp_path / "nowhere")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-64])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def garbled(path: Path) -> None:
    header = bytearray(path.read_bytes())
    header[20:30] = b"(" * 10
    path.write_bytes(header)


def pickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)


def archived(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, np.zeros(3))


def of_other_type(path: Path) -> None:
    np.save(path, np.load(path).astype(np.float64))


def of_other_shape(path: Path) -> None:
    np.save(path, np.load(path)[:, :4])


def without_dates(path: Path) -> None:
    path.with_suffix(".json").unlink()


def with_other_dates(path: Path) -> None:
    path.with_suffix(".json").write_text('{"dates": [0, 0, 0], "spacing": [10.0, 10.0]}')


def with_no_numbers(path: Path) -> None:
    path.with_suffix(".json").write_text('{"dates": ["a", "b"], "spacing": [10.0, 10.0]}')


def without_spacing(path: Path) -> None:
    path.with_suffix(".json").write_text('{"dates": [0, 0]}')


def with_a_list(path: Path) -> None:
    path.with_suffix(".json").write_text("[0, 0]")


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        emptied,
        garbled,
        pickled,
        archived,
        of_other_type,
        of_other_shape,
        without_dates,
        with_other_dates,
        with_no_numbers,
        without_spacing,
        with_a_list,
    ],
)
def test_a_damaged_shard_is_named_in_one_sentence(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    write_pool(tmp_path, [numbered_example(0), numbered_example(1)])
    damage(shard_path(tmp_path, 0))
    with pytest.raises(ModelError) as refused:
        Pool(tmp_path)
    assert str(shard_path(tmp_path, 0)) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_shards_of_two_sizes_are_refused(tmp_path: Path) -> None:
    write_shard(shard_path(tmp_path, 0), [numbered_example(0, 20)])
    write_shard(shard_path(tmp_path, 1), [numbered_example(0, 16)])
    with pytest.raises(ModelError, match=r"00001\.npy has examples of 16 pixels, shard-00000\.npy of 20"):
        Pool(tmp_path)
