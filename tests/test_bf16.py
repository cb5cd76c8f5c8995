"""PyTorch itself as a runtime: float32 that is float32, and bfloat16 under a version of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models import registry, weights
from models.coherence.learned import LearnedEstimator
from models.coherence.residual_unet import ResidualUNetEstimator
from models.decibels import DecibelRange
from models.estimator import FloatArray, within
from models.runtimes.choice import BF16, resolve_runtime
from models.runtimes.eager import EagerRunner
from models.simulate.draw import Recipe, draw
from tests.keras_files import SMALL, random_network
from tests.small_network import shipped_network


@pytest.fixture(scope="module")
def rounded() -> LearnedEstimator:
    return shipped_network(BF16)


@pytest.fixture(scope="module")
def scene() -> list[FloatArray]:
    """A simulated pair with a further date, and its true coherence at the end."""
    sample = draw(Recipe(size=352, contexts=1), 650_002, 0)
    return [sample.reference, sample.secondary, *sample.context, sample.coherence]


class Spy(nn.Module):
    """A convolution that remembers how it was asked to compute."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Two channels to one."""
        self.entered, self.tf32 = features.dtype, torch.backends.cudnn.allow_tf32
        made: torch.Tensor = self.conv(features)
        self.made = made.dtype
        return made


@pytest.mark.parametrize(("asked", "made"), [(False, torch.float32), (True, torch.bfloat16)])
def test_layers_round_when_asked_and_never_unasked(*, asked: bool, made: torch.dtype) -> None:
    spy, before = Spy(), torch.backends.cudnn.allow_tf32
    with torch.inference_mode():
        leaving = EagerRunner(spy, rounded=asked)(torch.ones(1, 2, 4, 4))
    assert (spy.entered, spy.made, leaving.dtype) == (torch.float32, made, torch.float32)
    assert not spy.tf32, "a GPU would round to ten bits"
    assert torch.backends.cudnn.allow_tf32 == before, "what others compute is theirs"


def test_maps_are_as_good_and_not_the_same(rounded: LearnedEstimator, scene: list[FloatArray]) -> None:
    reference, secondary, *context, truth = scene
    exact = registry.get(device="cpu", runtime="torch")
    whole, half = (each.estimate(reference, secondary, context) for each in (exact, rounded))
    for one, two in zip(whole, half, strict=True):
        assert two.dtype == np.float32
        np.testing.assert_allclose(two, one, rtol=0, atol=2e-2)
        assert 0.0 < np.abs(two - one).mean() < 2e-3
    errors = [float(np.sqrt(np.mean((maps[0] - truth) ** 2))) for maps in (whole, half)]
    assert errors[1] == pytest.approx(errors[0], abs=1e-3)


def test_a_cut_block_rounds_nearly_as_the_whole(rounded: LearnedEstimator, scene: list[FloatArray]) -> None:
    reference, secondary, *context, _ = scene
    whole = rounded.estimate(reference, secondary, context)
    kept = rounded.estimate(reference, secondary, context, margin=rounded.halo)
    for one, two in zip(whole, kept, strict=True):
        np.testing.assert_allclose(two, within(one, rounded.halo), rtol=0, atol=1e-2)


def test_its_version_says_so(rounded: LearnedEstimator) -> None:
    exact = registry.get(device="cpu", runtime="torch")
    assert rounded.version == f"{exact.version}-bf16"
    assert rounded.runtime == BF16


def test_the_published_network_rounds_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHMAP_WEIGHTS", str(tmp_path))
    weights.save("small", random_network().state_dict(), weights.Record(SMALL, DecibelRange(), 128, 32, "random", ""))
    exact, half = (ResidualUNetEstimator("small", device="cpu", runtime=each) for each in ("torch", BF16))
    assert half.version == f"{exact.version}-bf16"
    images = [np.random.default_rng(seed).gamma(4.0, 0.02, (48, 32)).astype(np.float32) for seed in (1, 2)]
    one, two = (each.estimate(images[0], images[1])[0] for each in (exact, half))
    assert 0.0 < np.abs(one - two).max() < 2e-2


def test_a_gpu_takes_it_when_asked_and_never_unasked() -> None:
    gpu = torch.device("cuda")
    assert resolve_runtime(BF16, gpu) == BF16
    assert resolve_runtime("auto", gpu) == "torch"
