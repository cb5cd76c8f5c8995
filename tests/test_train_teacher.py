"""A network taught by another: what it is drawn to, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.coherence.network import CoherenceNetwork, Layout, Weights
from models.errors import ModelError
from models.train.batch import whole_batch
from models.train.examples import Example
from models.train.loop import train
from models.train.loss import TAUGHT, regression_loss
from models.train.pool import Pool
from models.train.teacher import Teacher
from tests.training import SIZE, SMALL_NETWORK, small_config, write_pool

CPU = torch.device("cpu")
TOLD, TRUE = 0.9, 0.1


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights that say `TOLD` whatever they are shown."""
    network = CoherenceNetwork(Layout(**SMALL_NETWORK))
    state = network.state_dict()
    state["leave.weight"].zero_()
    state["leave.bias"].fill_(float(np.log(TOLD / (1 - TOLD))))
    path = tmp_path_factory.mktemp("teacher") / "sure.safetensors"
    Weights(network.layout, state).save(path)
    return str(path)


def speckle(seed: int) -> Example:
    images = np.random.default_rng(seed).normal(-2.0, 0.5, (2, SIZE, SIZE)).astype(np.float16)
    return Example(images, np.zeros_like(images), 0, np.full((SIZE, SIZE), TRUE, np.float16), 10.0)


def test_the_mean_is_drawn_to_the_teacher_and_a_little_to_the_truth() -> None:
    truth, taught = torch.full((4,), 0.5), torch.full((4,), 0.7)
    coherence = torch.tensor([0.1, 0.4, 0.5, 0.9], requires_grad=True)
    log_variance = torch.zeros(4, requires_grad=True)
    regression_loss(coherence, log_variance, truth, taught).backward()
    assert coherence.grad is not None
    aim = (1 - TAUGHT) * truth + TAUGHT * taught
    np.testing.assert_allclose(coherence.grad, 20.0 * (coherence.detach() - aim), rtol=1e-5)


def test_the_spread_is_that_of_the_error_against_the_truth() -> None:
    coherence, truth = torch.full((4,), 0.3), torch.full((4,), 0.5)
    pulls = []
    for taught in (None, torch.full((4,), 0.7)):
        log_variance = torch.full((4,), -3.0, requires_grad=True)
        regression_loss(coherence, log_variance, truth, taught).backward()
        pulls.append(log_variance.grad)
    torch.testing.assert_close(*pulls)


def test_where_no_truth_is_known_the_teacher_is_not_asked() -> None:
    coherence = torch.tensor([0.2, 0.3], requires_grad=True)
    truth, taught = torch.tensor([0.5, torch.nan]), torch.tensor([0.6, 0.6])
    regression_loss(coherence, torch.zeros(2), truth, taught).backward()
    assert coherence.grad is not None
    assert coherence.grad[0] != 0.0
    assert coherence.grad[1] == 0.0


def test_a_pupil_says_what_its_teacher_says(sure: str, tmp_path: Path) -> None:
    one_shard = {"shards": 1, "examples_per_shard": 2, "size": SIZE}
    config = small_config(steps=30, batch=2, rate=4e-2, average=0.8, validate_every=30, pool=one_shard, teacher=sure)
    for name in ("pool", "validation"):
        write_pool(tmp_path / name, [speckle(1), speckle(2)])
    *_, last = train(config, tmp_path, device="cpu")
    assert last.validation is not None
    assert last.validation.bias == pytest.approx(TAUGHT * (TOLD - TRUE), abs=0.15)


def test_a_teacher_estimates_a_batch(sure: str, tmp_path: Path) -> None:
    write_pool(tmp_path, [speckle(1)])
    taught = Teacher(sure, CPU).coherence(whole_batch(Pool(tmp_path), 0))
    torch.testing.assert_close(taught, torch.full((1, 1, SIZE, SIZE), TOLD))
    assert not taught.requires_grad


def test_a_teacher_can_be_one_that_is_shipped() -> None:
    Teacher("speckle-unet", CPU)


def test_a_teacher_that_is_not_there_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there are no weights at .*nobody"):
        Teacher("nobody", CPU)
    with pytest.raises(ModelError, match="there are no weights at"):
        Teacher(str(tmp_path / "gone.safetensors"), CPU)


def test_runs_begun_before_there_were_teachers_go_on() -> None:
    assert "teacher" not in small_config().model_dump_json()
    assert '"teacher":"speckle-unet"' in small_config(teacher="speckle-unet").model_dump_json()
