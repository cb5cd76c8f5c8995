"""Coherence networks for tests: one of few channels whose every weight matters, and the one that is shipped."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models import registry
from models.coherence.learned import LearnedEstimator
from models.coherence.network import CoherenceNetwork, Layout, Weights

SMALL = Layout((8, 12, 16), (1, 1, 2), (1, 1))


def small_network(seed: int = 1) -> CoherenceNetwork:
    """Ready to estimate; fresh blocks would be the identity, these aren't."""
    generator = torch.Generator().manual_seed(seed)
    network = CoherenceNetwork(SMALL)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.normal_(0.0, module.weight[0].numel() ** -0.5, generator=generator)
            if module.bias is not None:
                module.bias.data.normal_(0.0, 0.1, generator=generator)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            module.weight.data.uniform_(0.3, 0.7, generator=generator)
            module.bias.data.normal_(0.0, 0.2, generator=generator)
    return network.eval()


def write_weights(path: Path, *, sigma_scale: float = 1.0) -> Path:
    """The small network's weights on disk."""
    network = small_network()
    Weights(SMALL, network.state_dict(), {"name": path.stem}, sigma_scale).save(path)
    return path


def shown(
    height: int, width: int, *, dates: int = 0, seed: int = 1
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logarithms of speckle, and of what further dates say, as networks take them."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.5 * torch.randn(1, 2, height, width, generator=generator) - 3.0
    mean = 0.3 * torch.randn(1, 1, height, width, generator=generator) - 3.0
    deviation = torch.rand(1, 1, height, width, generator=generator) * (dates > 1)
    context = torch.cat([mean, deviation], 1) * (dates > 0)
    return images, context, torch.tensor([dates]), torch.tensor([10.0])


def shipped_network(runtime: str = "auto") -> LearnedEstimator:
    """The default estimator on the CPU, known to be a network."""
    estimator = registry.get(device="cpu", runtime=runtime)
    assert isinstance(estimator, LearnedEstimator)
    return estimator
