"""The training loop: a stopped run goes on exactly, the loss falls, and what can't go on says so."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.errors import ModelError
from models.evaluate.scores import BINS
from models.train import checkpoint
from models.train.config import TrainConfig
from models.train.examples import Example
from models.train.loop import HISTORY, Moment, rate_at, train
from models.train.loss import regression_loss
from models.train.pool import Pool
from models.train.validate import validate
from tests.training import SIZE, numbered_example, prepare_pools, small_config, write_pool


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bits are promised for one number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pools of `small_config`."""
    output = tmp_path_factory.mktemp("pools")
    prepare_pools(output, small_config())
    return output


def fresh(pools: Path, folder: Path) -> Path:
    """A run's folder with its pools and nothing else."""
    shutil.copytree(pools, folder)
    return folder


def run(config: TrainConfig, output: Path, *, until: int | None = None) -> list[Moment]:
    """Train; stopped once so many steps are done."""
    moments: list[Moment] = []
    for moment in train(config, output, device="cpu"):
        moments.append(moment)
        if moment.done == until:
            break
    return moments


def history(output: Path) -> list[dict[str, Any]]:
    """Lines of the history without the time they took."""
    lines = [json.loads(line) for line in (output / HISTORY).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "cpu_seconds"} for line in lines]


def same_state(one: Path, other: Path) -> bool:
    """Whether two runs' weights, averages and optimisers are the same, bit for bit."""
    first, second = (load_file(output / checkpoint.FILE) for output in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def undisturbed(pools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = fresh(pools, tmp_path_factory.mktemp("undisturbed") / "run")
    torch.set_num_threads(1)
    run(small_config(steps=14), output)
    return output


@pytest.mark.parametrize("until", [4, 10], ids=["at a checkpoint", "two steps after a checkpoint"])
def test_a_stopped_run_goes_on_to_the_same_bits(pools: Path, undisturbed: Path, tmp_path: Path, until: int) -> None:
    output, config = fresh(pools, tmp_path / "run"), small_config(steps=14)
    run(config, output, until=until)
    moments = run(config, output)
    assert moments[-1].done == 14
    assert same_state(output, undisturbed)
    assert history(output) == history(undisturbed)


def test_a_history_ahead_of_the_checkpoint_or_cut_short_is_put_right(
    pools: Path, undisturbed: Path, tmp_path: Path
) -> None:
    output, config = fresh(pools, tmp_path / "run"), small_config(steps=14)
    run(config, output, until=8)
    with (output / HISTORY).open("a") as file:  # killed after validation, then while it wrote
        file.write('{"step": 12, "loss": 0.0}\n{"step": 14, "lo')
    run(config, output)
    assert history(output) == history(undisturbed)


def test_a_finished_run_has_nothing_left_to_do(undisturbed: Path, tmp_path: Path) -> None:
    output = fresh(undisturbed, tmp_path / "run")
    assert run(small_config(steps=14), output) == []
    assert history(output) == history(undisturbed)


def test_moments_tell_how_far_it_is(pools: Path, tmp_path: Path) -> None:
    moments = run(small_config(), fresh(pools, tmp_path / "run"))
    assert [(moment.done, moment.total) for moment in moments] == [
        (4, 10),
        (8, 10),
        (10, 10),
    ]
    assert all(moment.validation is not None and math.isfinite(moment.loss) for moment in moments)


def test_the_seed_decides_the_weights(pools: Path, undisturbed: Path, tmp_path: Path) -> None:
    output = fresh(pools, tmp_path / "run")
    run(small_config(steps=14, seed=4), output)
    assert not same_state(output, undisturbed)


def level_example(level: float, seed: int) -> Example:
    """Coherence that the image of one scene tells at a glance: its speckle repeats, or doesn't."""
    rng = np.random.default_rng(seed)
    first, other = rng.normal(-2.0, 0.5, (2, SIZE, SIZE))
    second = level * first + math.sqrt(1.0 - level**2) * (other + 2.0) - 2.0 * (1.0 - level)
    nothing = np.zeros((2, SIZE, SIZE), np.float16)
    return Example(
        np.stack([first, second]).astype(np.float16), nothing, 0, np.full((SIZE, SIZE), level, np.float16), 10.0
    )


def test_the_loss_falls_on_what_can_be_learned_by_heart(tmp_path: Path) -> None:
    one_shard = {"shards": 1, "examples_per_shard": 2, "size": SIZE}
    config = small_config(steps=60, batch=4, rate=2e-2, average=0.9, validate_every=60, pool=one_shard)
    for name in ("pool", "validation"):
        write_pool(tmp_path / name, [level_example(0.1, 1), level_example(0.9, 2)])
    moments = run(config, tmp_path)
    assert moments[-1].loss < 0.65 * moments[0].loss  # of the running mean, which forgets slowly
    found = moments[-1].validation
    assert found is not None
    assert found.rmse < 0.15  # 0.4 would be the error of the mean


def test_the_rate_rises_and_falls_to_nothing() -> None:
    config = small_config(steps=100, warm_up=10, rate=1.0)
    rates = [rate_at(config, step) for step in range(100)]
    assert int(np.argmax(rates)) == 9
    assert rates[0] == pytest.approx(0.1)
    assert np.all(np.diff(rates[:10]) > 0)
    assert np.all(np.diff(rates[9:]) < 0)
    assert 0.0 < rates[-1] < 1e-3
    assert rate_at(small_config(steps=100, warm_up=0, rate=1.0), 0) == 1.0


def test_the_likelihood_doesnt_reach_the_mean() -> None:
    truth = torch.full((4,), 0.5)
    coherence = torch.tensor([0.1, 0.4, 0.5, 0.9], requires_grad=True)
    log_variance = torch.tensor([-6.0, -2.0, -2.0, -6.0], requires_grad=True)
    regression_loss(coherence, log_variance, truth).backward()
    assert coherence.grad is not None
    assert log_variance.grad is not None
    # the pull on the mean is of the error alone, whatever sigma says
    np.testing.assert_allclose(coherence.grad, 20.0 * (coherence.detach() - truth))
    # sigma grows where the error is larger than it, and shrinks where it is smaller
    assert log_variance.grad[0] < 0 < log_variance.grad[2]


def damaged(output: Path) -> None:
    path = output / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:-1000])


def without_a_tensor(output: Path) -> None:
    rewrite(output, lambda tensors: tensors.pop("network.enter.weight"))


def of_another_average(output: Path) -> None:
    rewrite(output, lambda tensors: tensors.pop("average.enter.weight"))


def of_another_width(output: Path) -> None:
    rewrite(output, lambda tensors: tensors.update({"network.enter.weight": torch.zeros(2, 2)}))


def rewrite(output: Path, change: Any) -> None:
    path = output / checkpoint.FILE
    tensors = load_file(path)
    change(tensors)
    save_file(
        tensors, path, metadata={"step": "14", "by": checkpoint.fingerprint(small_config(steps=14).model_dump_json())}
    )


@pytest.mark.parametrize("damage", [damaged, without_a_tensor, of_another_average, of_another_width])
def test_a_damaged_checkpoint_is_named_in_one_sentence(undisturbed: Path, tmp_path: Path, damage: Any) -> None:
    output = fresh(undisturbed, tmp_path / "run")
    damage(output)
    with pytest.raises(ModelError, match=r"checkpoint\.safetensors is damaged \(.*\); delete it") as refused:
        run(small_config(steps=14), output)
    assert "\n" not in str(refused.value)


def test_a_checkpoint_of_other_settings_is_refused(undisturbed: Path, tmp_path: Path) -> None:
    output = fresh(undisturbed, tmp_path / "run")
    with pytest.raises(ModelError, match="belongs to a run with other settings; name another --output"):
        run(small_config(steps=15), output)


def test_a_checkpoint_replaces_the_last_one_only_when_it_is_whole(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_tensors: object, path: Path, **_settings: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    output = fresh(undisturbed, tmp_path / "run")
    before = (output / checkpoint.FILE).read_bytes()
    network = torch.nn.Linear(2, 2)
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(output, 1, network, {}, torch.optim.AdamW(network.parameters()), "by")
    assert (output / checkpoint.FILE).read_bytes() == before


def test_the_optimiser_goes_on_where_it_stood(tmp_path: Path) -> None:
    def stepped(network: torch.nn.Linear, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        network(torch.ones(1, 3)).sum().backward()
        optimizer.step()

    torch.manual_seed(0)
    network, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    optimizer, its = (torch.optim.AdamW(each.parameters(), lr=0.1) for each in (network, other))
    stepped(network, optimizer)
    checkpoint.save(tmp_path, 1, network, dict(network.state_dict()), optimizer, "by")
    loaded = checkpoint.load(tmp_path, other, its, "by")
    assert loaded is not None
    assert loaded[0] == 1
    stepped(network, optimizer)
    stepped(other, its)
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_examples_smaller_than_a_piece_are_told(pools: Path, tmp_path: Path) -> None:
    output = fresh(pools, tmp_path / "run")
    folder = write_pool(tmp_path / "numbered", [numbered_example(0)])
    with pytest.raises(ModelError, match="side = 32 is not usable: the pool's examples have 20 pixels"):
        run(small_config(pool={"folder": str(folder), "size": SIZE}), output)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    example = level_example(0.5, 1)
    write_pool(tmp_path / "validation", [example])
    example.coherence[...] = np.nan
    folder = write_pool(tmp_path / "pool", [example])
    with pytest.raises(ModelError, match="the loss of step 1 is nan; lower `rate`, or mend the pool's examples"):
        run(small_config(pool={"folder": str(folder), "size": SIZE}), tmp_path)


def test_pools_that_were_never_made_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there are no examples \(shard-\*\.npy\) in"):
        run(small_config(), tmp_path)


class Constant(torch.nn.Module):
    """Says the same everywhere."""

    def __init__(self, coherence: float, sigma: float) -> None:
        super().__init__()
        self._coherence, self._log_variance = coherence, 2.0 * math.log(sigma)

    def forward(self, images: torch.Tensor, *_further: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        whole = torch.ones_like(images[:, :1])
        return self._coherence * whole, self._log_variance * whole


def test_validation_tells_error_and_the_scale_of_sigma(tmp_path: Path) -> None:
    example = level_example(0.5, 1)
    example.coherence[...] = np.random.default_rng(2).normal(0.5, 0.1, example.coherence.shape)
    pool = Pool(write_pool(tmp_path, [example]))
    found = validate(Constant(0.5, 0.05), pool, 4, torch.device("cpu"))
    assert found.rmse == pytest.approx(0.1, rel=0.05)
    assert found.bias == pytest.approx(0.0, abs=0.01)
    assert found.sigma_scale == pytest.approx(2.0, rel=0.05)
    assert found.inside_68 == pytest.approx(0.383, abs=0.03)  # within half a standard deviation
    assert found.inside_90 == pytest.approx(0.589, abs=0.03)
    assert len(found.rmse_by_bin) == len(BINS) - 1


def test_a_bin_without_pixels_has_no_error(tmp_path: Path) -> None:
    pool = Pool(write_pool(tmp_path, [level_example(0.5, 1)]))
    found = validate(Constant(0.7, 0.1), pool, 1, torch.device("cpu"))
    assert found.rmse_by_bin[2] == pytest.approx(0.2, abs=1e-3)
    assert [math.isnan(value) for value in found.rmse_by_bin] == [True, True, False, True, True]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_stopped_on_a_gpu_goes_on_there(pools: Path, tmp_path: Path) -> None:
    output, config = fresh(pools, tmp_path / "run"), small_config()
    for moment in train(config, output, device="cuda"):
        if moment.done == 4:
            break
    assert [moment.done for moment in train(config, output, device="cuda")] == [8, 10]
