"""The Residual U-Net of "Beyond Backscatter" (Sica, Pulella & Schmitt 2026), layer for layer as it was published.

Five levels of 32 to 512 channels. A block is conv-BN-ReLU-conv-BN beside a 1x1 convolution, with a ReLU after their
sum. Max-pooling leads down; bilinear upsampling and a 2x2 convolution lead up, where the skip comes first in the
concatenation. Two sigmoid heads. With the published widths it has 8,115,426 trainable parameters and 5,888 BatchNorm
statistics, together the 8,121,314 that Keras counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from models.coherence.trim import WHOLE, Cuts, Sides, cut_off, plan_cuts

CHANNELS = (32, 64, 128, 256, 512)
"""Channels of each level as published, from full resolution down."""
EPSILON = 1e-4
"""Of every BatchNorm, as published."""
MOMENTUM = 0.1
"""Of every BatchNorm. Keras counts the other way round: its published 0.9 is 0.1 here."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and the shortcut around them."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(entering, leaving, 3, padding=1)
        self.first_norm = nn.BatchNorm2d(leaving, EPSILON, MOMENTUM)
        self.second = nn.Conv2d(leaving, leaving, 3, padding=1)
        self.second_norm = nn.BatchNorm2d(leaving, EPSILON, MOMENTUM)
        self.shortcut = nn.Conv2d(entering, leaving, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (batch, entering, height, width) -> (batch, leaving, height, width)."""
        inner = functional.relu(self.first_norm(self.first(image)))
        inner = self.second_norm(self.second(inner))
        return functional.relu(inner + self.shortcut(image))


class Upsampling(nn.Module):
    """Twice the size by bilinear interpolation, then a 2x2 convolution."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(entering, leaving, 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (batch, entering, height, width) -> (batch, leaving, 2 height, 2 width)."""
        larger = functional.interpolate(image, scale_factor=2.0, mode="bilinear", align_corners=False)
        # Keras' "same" pads an even kernel at the bottom and on the right
        return functional.relu(self.conv(functional.pad(larger, (0, 1, 0, 1))))


class ResidualUNet(nn.Module):
    """Two images, [t1, t2] -> mean and log-variance of coherence, each through a sigmoid.

    Parameters
    ----------
    entering
        Channels of the input; 2 as published.
    channels
        Channels of each level, from full resolution down; the published ones by default.
    """

    def __init__(self, entering: int = 2, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        widths = [entering, *channels]
        self.encoder = nn.ModuleList(ResidualBlock(a, b) for a, b in pairwise(widths))
        steps = list(pairwise(channels[::-1]))
        self.upsampling = nn.ModuleList(Upsampling(a, b) for a, b in steps)
        self.decoder = nn.ModuleList(ResidualBlock(2 * b, b) for _, b in steps)
        self.mean = nn.Conv2d(channels[0], 1, 1)
        self.log_variance = nn.Conv2d(channels[0], 1, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance, both in (0, 1).

        Parameters
        ----------
        images
            Shape (batch, entering, height, width); sides are multiples of 2 to the number of levels less one.

        Returns
        -------
        mean, log_variance
            Each of shape (batch, 1, height, width).
        """
        both = torch.sigmoid(self.heads(images))
        return both[:, :1], both[:, 1:]

    def cuts(self, halo: int) -> Cuts:
        """Where a halo of so many pixels is dropped on the way, see `models.coherence.trim`."""
        # the 2x2 convolution of an upsampling looks one cell down and to the right
        return plan_cuts([1] * len(self.encoder), [1] * len(self.decoder), halo, after_enlarging=1)

    def heads(self, images: torch.Tensor, margin: Sides = WHOLE, halo: int = 0) -> torch.Tensor:
        """Mean and log-variance before their sigmoids.

        Parameters
        ----------
        images
            As `forward` takes them.
        margin, halo
            Sides on which there are so many pixels, a multiple of what the images' sides are multiples of, that aren't
            kept. The result lacks them.

        Returns
        -------
        torch.Tensor
            Shape (batch, 2, height, width).
        """
        features = self.features(images, margin, halo)
        return torch.cat([self.mean(features), self.log_variance(features)], 1)

    def features(self, images: torch.Tensor, margin: Sides = WHOLE, halo: int = 0) -> torch.Tensor:
        """What both heads see, shape (batch, channels[0], height, width); arguments as in `heads`."""
        cuts = self.cuts(halo)
        skips: list[torch.Tensor] = []
        inner = images
        for level, block in enumerate(self.encoder):
            if level:
                inner = functional.max_pool2d(inner, 2)
            inner = block(cut_off(inner, margin.times(cuts.entering[level])))
            skips.append(inner)
        skips.pop()
        steps = zip(self.upsampling, self.decoder, reversed(cuts.coarse), reversed(cuts.skips), strict=True)
        for upsampling, block, coarse, beside in steps:
            larger = upsampling(cut_off(inner, margin.times(coarse)))
            inner = block(torch.cat([cut_off(skips.pop(), margin.times(beside)), larger], dim=1))
        return cut_off(inner, margin.times(cuts.leaving))
