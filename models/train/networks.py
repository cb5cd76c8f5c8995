"""The networks that can be trained, shown the same examples and asked the same."""

from __future__ import annotations

import torch
from torch import nn

from models.coherence.network import CoherenceNetwork, Layout
from models.errors import ModelError
from models.train.config import NetworkSettings


def build(settings: NetworkSettings) -> nn.Module:
    """A fresh network: (images, context, dates) -> (coherence, log variance).

    Raises
    ------
    ModelError
        There is none of this kind to train.
    """
    if settings.kind != "speckle-unet":
        raise ModelError(f"network.kind = '{settings.kind}' can't be trained yet; choose 'speckle-unet'")
    return CoherenceNetwork(Layout(settings.channels, settings.encoder, settings.decoder))


def predict(network: nn.Module, *shown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Call a network, typed."""
    coherence, log_variance = network(*shown)
    return coherence, log_variance
