"""Training on labels: truth that isn't known counts for nothing, and validation is on places kept aside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import ModelError
from models.train.batch import draw_batch
from models.train.config import TrainConfig, read_config
from models.train.examples import Example, Origin
from models.train.loop import train
from models.train.loss import regression_loss
from models.train.pool import Pool, shard_path, write_shard
from models.train.supply import Supply, prepare
from models.train.validate import validate
from tests.benchmarks.amsterdam import FOLDER
from tests.conftest import Command
from tests.slc_files import write_geotiff
from tests.training import SMALL_NETWORK, numbered_example, small_config, write_pool

ORIGIN = Origin("2023-03-19", "2023-03-31", 12, 30.3, 0.1, 2, 46.0, 111.0)


def gappy(seed: int, size: int = 48) -> Example:
    """Half of the truth is unknown."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(2, size, size)).astype(np.float16)
    truth = np.full((size, size), 0.5, np.float16)
    truth[:, : size // 2] = np.nan
    return Example(images, np.zeros_like(images), 0, truth, 10.0, ORIGIN)


def labels_folder(folder: Path, size: int = 48) -> Path:
    write_pool(folder / "training", [gappy(number, size) for number in range(4)])
    write_pool(folder / "validation", [gappy(9, size)])
    return folder


def labelled(folder: Path) -> TrainConfig:
    return small_config(steps=4, pool={"folder": str(folder), "validation": "folder"})


def test_unknown_truth_reaches_neither_loss_nor_weights() -> None:
    truth = torch.tensor([0.2, 0.9, float("nan")])
    told = [torch.tensor(values, requires_grad=True) for values in ([0.4, 0.5, 0.7], [-2.0, -3.0, -1.0])]
    loss = regression_loss(told[0], told[1], truth)
    assert loss.item() == pytest.approx(regression_loss(told[0][:2], told[1][:2], truth[:2]).item())
    loss.backward()
    for values in told:
        assert values.grad is not None
        assert torch.isfinite(values.grad).all()
        assert values.grad[2] == 0.0


def test_gaps_in_the_truth_do_not_stop_a_run(tmp_path: Path) -> None:
    folder = labels_folder(tmp_path / "labels")
    (tmp_path / "run").mkdir()
    losses = [moment.loss for moment in train(labelled(folder), tmp_path / "run", device="cpu")]
    assert losses
    assert np.isfinite(losses).all()


def test_pieces_have_truth_somewhere(tmp_path: Path) -> None:
    examples = [gappy(number) for number in range(3)]
    for example in examples:
        example.coherence[:44] = np.nan
    batch = draw_batch(Pool(write_pool(tmp_path, examples)), np.random.default_rng(1), 40, 16)
    assert torch.isfinite(batch.coherence).flatten(1).any(1).all()


class Half(torch.nn.Module):
    """Says 0.6 everywhere."""

    def forward(self, images: torch.Tensor, *_further: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        whole = torch.ones_like(images[:, :1])
        return 0.6 * whole, -4.0 * whole


def test_validation_counts_what_is_known(tmp_path: Path) -> None:
    found = validate(Half(), Pool(write_pool(tmp_path, [gappy(1)])), 4, torch.device("cpu"))
    assert found.rmse == pytest.approx(0.1, abs=1e-3)
    assert found.inside_68 == 1.0


def test_validation_without_any_truth_is_told(tmp_path: Path) -> None:
    example = gappy(1)
    example.coherence[...] = np.nan
    pool = Pool(write_pool(tmp_path, [example]))
    with pytest.raises(ModelError, match="what is kept aside has no truth at any pixel"):
        validate(Half(), pool, 4, torch.device("cpu"))


def test_where_examples_come_from_is_read_back(tmp_path: Path) -> None:
    write_shard(shard_path(tmp_path, 0), [gappy(1), numbered_example(0, 48)])
    write_shard(shard_path(tmp_path, 1), [numbered_example(0, 48)])  # as all shards were before
    pool = Pool(tmp_path)
    assert [pool.origin(number) for number in range(3)] == [ORIGIN, None, None]
    assert "origins" not in shard_path(tmp_path, 1).with_suffix(".json").read_text()


@pytest.mark.parametrize("origins", ["[1, 2]", "[null]", '[{"days": 1}, null]', "3"])
def test_damaged_origins_are_named(tmp_path: Path, origins: str) -> None:
    write_pool(tmp_path, [numbered_example(0), numbered_example(1)])
    beside = shard_path(tmp_path, 0).with_suffix(".json")
    beside.write_text(f'{{"dates": [0, 0], "spacing": [10.0, 10.0], "origins": {origins}}}')
    with pytest.raises(ModelError, match=r"shard-00000\.npy"):
        Pool(tmp_path)


def test_both_parts_of_a_folder_are_used_and_nothing_is_simulated(tmp_path: Path) -> None:
    config = labelled(labels_folder(tmp_path / "labels"))
    assert list(prepare(config, tmp_path / "run")) == []
    with Supply(config, tmp_path / "run") as supply:
        assert len(supply.at(0)) == 4


def test_a_run_begun_before_this_setting_goes_on() -> None:
    assert "validation" not in small_config().model_dump()["pool"]
    told = small_config(pool={"folder": "labels", "validation": "folder"})
    assert TrainConfig.model_validate_json(told.model_dump_json()) == told


def test_places_kept_aside_need_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text('name = "t"\nsteps = 1\n[pool]\nvalidation = "folder"\n')
    with pytest.raises(
        ModelError, match=r'pool.validation = "folder" needs pool.folder: name what `cohmap labels` made'
    ):
        read_config(path)


def test_examples_that_the_network_cannot_take_whole_are_told(tmp_path: Path) -> None:
    folder = labels_folder(tmp_path / "labels", size=40)
    with pytest.raises(ModelError, match="have 40 pixels, and this network takes multiples of 16; make them again"):
        list(train(labelled(folder), tmp_path / "run", device="cpu"))


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"needs the SLC pair at {FOLDER}")
@pytest.mark.parametrize("images", ["amplitude", "grd"])
def test_the_real_pair_of_amsterdam_trains_a_network(cohmap: Command, tmp_path: Path, images: str) -> None:
    for day in ("20230319", "20230331"):
        write_geotiff(tmp_path / f"slc_{day}_VV.tif", np.load(FOLDER / f"slc_{day}.npy")[np.newaxis])
    stack = [str(path) for path in sorted(tmp_path.glob("slc_*.tif"))]
    labels = tmp_path / "labels"
    answer = cohmap(
        "labels", *stack, "--output", str(labels), "--spacing", "13.86", "3.45", "--images", images, "--quiet"
    )
    assert answer.code == 0, answer.err

    pool = Pool(labels / "training")
    origin = pool.origin(0)
    assert origin is not None
    assert (origin.reference, origin.secondary, origin.days) == ("2023-03-19", "2023-03-31", 12)
    assert origin.looks == pytest.approx(33, abs=4)
    truths = np.concatenate([pool[number][0][4].ravel() for number in range(len(pool))]).astype(np.float32)
    assert float(np.nanmean(truths)) == pytest.approx(0.70, abs=0.03)

    levels = SMALL_NETWORK["channels"], SMALL_NETWORK["encoder"], SMALL_NETWORK["decoder"]
    (tmp_path / "amsterdam.toml").write_text(
        f'name = "amsterdam"\nsteps = 2\nbatch = 2\nside = 32\nwarm_up = 1\nvalidate_every = 1\n[pool]\n'
        f'folder = "{labels}"\nvalidation = "folder"\n[network]\nchannels = {list(levels[0])}\n'
        f"encoder = {list(levels[1])}\ndecoder = {list(levels[2])}\n"
    )
    run = tmp_path / "run"
    answer = cohmap("train", str(tmp_path / "amsterdam.toml"), "--output", str(run), "--device", "cpu", "--quiet")
    assert answer.code == 0, answer.err
    card = (run / "amsterdam.md").read_text()
    assert f"Validation (places kept aside in `{labels}`" in card
    assert "Trained on the examples in" in card

    answer = cohmap(
        "evaluate", str(run / "amsterdam.safetensors"), "--output", str(tmp_path / "scores"), "--sets", "matched",
        "--scenes", "1", "--seeds", "1", "--size", "64", "--device", "cpu", "--quiet",
    )  # fmt: skip
    assert answer.code == 0, answer.err
