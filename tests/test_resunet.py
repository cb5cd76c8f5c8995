"""The published network: its size, and how far a pixel's influence reaches."""

from __future__ import annotations

import pytest
import torch

from models.coherence.residual_unet import FILL, HALO, LATTICE
from models.resunet import ResidualUNet
from tests.keras_files import SMALL, every_path_open, random_network

UP, DOWN = 137, 122


def test_it_is_as_large_as_keras_says_the_published_one_is() -> None:
    network = ResidualUNet()
    trainable = sum(parameter.numel() for parameter in network.parameters())
    statistics = sum(
        tensor.numel() for name, tensor in network.named_buffers() if name.endswith(("running_mean", "running_var"))
    )
    assert (trainable, statistics, trainable + statistics) == (8_115_426, 5_888, 8_121_314)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 48)])
def test_it_gives_two_maps_of_the_images_size_between_0_and_1(height: int, width: int) -> None:
    network = random_network(channels=SMALL)
    with torch.inference_mode():
        for answer in network(torch.rand(3, 2, height, width)):
            assert answer.shape == (3, 1, height, width)
            assert 0 < answer.min() < answer.max() < 1


def test_it_can_be_trained() -> None:
    network = ResidualUNet(entering=3, channels=(2, 4))
    mean, log_variance = network(torch.rand(2, 3, 8, 8))
    (mean.mean() + log_variance.mean()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_halo_covers_all_that_an_estimate_depends_on_whatever_the_weights() -> None:
    network = every_path_open()
    side, reach = 320, torch.zeros(2, dtype=torch.int64)
    for phase in range(LATTICE):
        place = side // 2 + phase
        image = torch.zeros(1, 1, side, side, dtype=torch.float64)
        image[0, 0, place, place] = 1e6
        with torch.inference_mode():
            touched = network.features(image)[0, 0].sum(dim=0).nonzero().flatten()
        reach = torch.maximum(reach, torch.stack([place - touched.min(), touched.max() - place]))
    assert reach.tolist() == [UP, DOWN]
    assert max(UP, DOWN) + FILL // 2 <= HALO
    assert HALO % LATTICE == 0
