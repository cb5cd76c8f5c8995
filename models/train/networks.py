"""The networks that can be trained, shown the same examples and asked the same."""

from __future__ import annotations

import torch
from torch import nn

from models.coherence import network as networks
from models.train.config import NetworkSettings


def layout(settings: NetworkSettings) -> networks.Layout:
    """Size of the network that settings ask for."""
    return networks.Layout(settings.channels, settings.encoder, settings.decoder)


def build(settings: NetworkSettings) -> nn.Module:
    """A fresh network: (images, context, dates, spacing) -> (coherence, log variance)."""
    return networks.build(settings.kind, layout(settings))


def predict(network: nn.Module, *shown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Call a network, typed."""
    coherence, log_variance = network(*shown)
    return coherence, log_variance
