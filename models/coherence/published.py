"""The published layout as a network of ours: trained on the same examples, run by the same estimator, to compare."""

from __future__ import annotations

import math

import torch
from torch import nn

from models.coherence.blocks import SIDE
from models.coherence.ranges import HIGHEST_LOG, LOWEST_LOG
from models.coherence.residual_unet import HALO, LATTICE
from models.coherence.trim import WHOLE, Sides
from models.decibels import DecibelRange
from models.resunet import ResidualUNet

DECIBELS = 10.0 / math.log(10.0)


class PublishedNetwork(nn.Module):
    """The published layout on the same examples, to compare with: it sees two images in scaled dB and nothing else.

    Its sigmoid of the log variance is spread over the range that ours has. Attributes as `CoherenceNetwork` has.
    """

    lattice, halo, dates, side = LATTICE, HALO, 0, SIDE

    def __init__(self) -> None:
        super().__init__()
        self.network = ResidualUNet()
        self.scale = DecibelRange()

    def forward(
        self,
        images: torch.Tensor,
        context: torch.Tensor,
        dates: torch.Tensor,
        spacing: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Coherence and log variance; arguments as in `CoherenceNetwork.forward`."""
        return self.answer(self.trunk(self.features(images, context, dates, spacing)))

    def features(
        self,
        images: torch.Tensor,
        context: torch.Tensor,  # noqa: ARG002 - shown to all
        dates: torch.Tensor,  # noqa: ARG002
        spacing: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """What enters the network: decibels, scaled, and zero where there is no data."""
        low, high = self.scale.low, self.scale.high
        scaled = ((images * DECIBELS).clamp(low, high) - low) / (high - low)
        return torch.nan_to_num(scaled, nan=0.0)

    def trunk(self, features: torch.Tensor, margin: Sides = WHOLE) -> torch.Tensor:
        """The network up to both heads, before their sigmoids, less the halo; the mean is the first channel."""
        return self.network.heads(features, margin, self.halo)

    @staticmethod
    def answer(leaving: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Coherence and log variance from what leaves the network."""
        both = torch.sigmoid(leaving)
        return both[:, :1], LOWEST_LOG + (HIGHEST_LOG - LOWEST_LOG) * both[:, 1:]
