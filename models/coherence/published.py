"""The published layout as a network of ours: trained on the same examples, run by the same estimator, to compare."""

from __future__ import annotations

import math

import torch
from torch import nn

from models.coherence.ranges import HIGHEST_LOG, LOWEST_LOG
from models.coherence.residual_unet import HALO, LATTICE
from models.decibels import DecibelRange
from models.resunet import ResidualUNet

DECIBELS = 10.0 / math.log(10.0)


class PublishedNetwork(nn.Module):
    """The published layout on the same examples, to compare with: it sees two images in scaled dB and nothing else.

    Its sigmoid of the log variance is spread over the range that ours has. Attributes as `CoherenceNetwork` has.
    """

    lattice, halo, dates = LATTICE, HALO, 0

    def __init__(self) -> None:
        super().__init__()
        self.network = ResidualUNet()
        self.scale = DecibelRange()

    def forward(
        self,
        images: torch.Tensor,
        context: torch.Tensor,  # noqa: ARG002 - shown to all
        dates: torch.Tensor,  # noqa: ARG002
        spacing: torch.Tensor,  # noqa: ARG002
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Coherence and log variance; arguments as in `CoherenceNetwork.forward`."""
        low, high = self.scale.low, self.scale.high
        scaled = ((images * DECIBELS).clamp(low, high) - low) / (high - low)
        mean, spread = self.network(torch.nan_to_num(scaled, nan=0.0))
        return mean, LOWEST_LOG + (HIGHEST_LOG - LOWEST_LOG) * spread
