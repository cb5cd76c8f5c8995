"""What a regressor is shown: how the speckle of two images repeats, worked out before the first learned weight.

Convolutions add; coherence sits in products. corr(I1, I2) = gamma^2 for circular-Gaussian scatterers (Siegert
relation), so the products of both images' high-passed logarithms carry it, at lag zero and, where the images lie a
fraction of a pixel apart or speckle spans pixels, at the lags around it. The stem forms them, averages them over
windows and divides by the local variances. Nothing of it is learned, and all of it is local.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.coherence.window import sliding_sum, weight_inside

CELL = 4
"""Pixels, along both sides, of a cell that the network works on."""
LAGS = tuple((row, col) for row in (-1, 0, 1) for col in (-1, 0, 1))
WINDOWS = (1, 3, 5)
"""Sides in cells of the windows that products are averaged over."""
VARIANCE_FLOOR = 0.02
"""Added to a variance before dividing by it; the speckle of a GRD image has 0.25."""
MOST = 3.0
"""Limit of a normalised product: one cell with a corner reflector must not drown its neighbours."""
LOWEST, HIGHEST = -4.0, 3.0
"""Limits of a high-passed logarithm: single-look speckle falls far, a corner reflector rises far."""


class SpeckleStem(nn.Module):
    """Two logarithms, and what further dates say, to the channels of a coarse grid of cells."""

    @property
    def channels(self) -> int:
        """How many channels come out."""
        images, low, products = 3 * CELL**2, 3, len(WINDOWS) * len(LAGS)
        variances, context, spacing = 2 * (len(WINDOWS) - 1), (len(WINDOWS) - 1) * 2 + 4, 1
        return images + low + products + variances + context + spacing

    @torch.no_grad()
    def forward(
        self, images: torch.Tensor, context: torch.Tensor, dates: torch.Tensor, spacing: torch.Tensor
    ) -> torch.Tensor:
        """Features of a batch.

        Parameters
        ----------
        images
            Natural logarithm of power, reference and secondary, NaN without data; shape (batch, 2, height, width),
            both sides multiples of `CELL`.
        context
            Mean and standard deviation of further dates' logarithms, both zero where there is none; shape
            (batch, 2, height, width).
        dates
            Number of further dates, shape (batch,).
        spacing
            Pixel spacing in metres, shape (batch,): it tells the kind of product, hence its speckle.

        Returns
        -------
        torch.Tensor
            Shape (batch, channels, height / CELL, width / CELL).
        """
        there = torch.isfinite(images)
        speckle, mean, count = _high_passed(torch.where(there, images, 0.0), there)
        several = (dates > 0).to(images.dtype).view(-1, 1, 1, 1)
        told = (context[:, :1] != 0.0) & (dates > 0).view(-1, 1, 1, 1)
        steady, _, _ = _high_passed(context[:, :1], told)
        return torch.cat(
            [
                functional.pixel_unshuffle(torch.cat([speckle, steady], 1), CELL),
                _brightness(mean, count),
                *_repetition(speckle),
                *_agreement(speckle, steady, several),
                *_steadiness(context[:, 1:], told, dates),
                _everywhere((spacing / 10.0).log(), images),
            ],
            1,
        )


def box(image: torch.Tensor, side: int) -> torch.Tensor:
    """Mean over a square window of odd side; at the border, over what lies inside. Shape (…, height, width)."""
    if side == 1:
        return image
    reach = side // 2
    height, width = image.shape[-2:]
    padded = functional.pad(image, (reach, reach, reach, reach))
    total = sliding_sum(sliding_sum(padded, side, image.dim() - 2), side, image.dim() - 1)
    rows, cols = (weight_inside(length, side).to(image) for length in (height, width))
    return total / (rows[:, None] * cols)


def _high_passed(logarithm: torch.Tensor, there: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logarithms less their mean around, over what has data; that mean, and the share that has data, on half the grid.

    What has no data is 0 in all three, and counts in none.
    """
    valid = there.to(logarithm.dtype)
    count = functional.avg_pool2d(valid, 2)
    mean = _mean_around(functional.avg_pool2d(logarithm * valid, 2), count, 3)
    return ((logarithm - _enlarged(mean)) * valid).clamp(LOWEST, HIGHEST), mean, count


def _mean_around(total: torch.Tensor, weight: torch.Tensor, side: int) -> torch.Tensor:
    """Weighted mean in a window, of totals that already carry their weight; 0 where nothing weighs."""
    return box(total, side) / box(weight, side).clamp(min=1e-6)


def _enlarged(image: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(image, scale_factor=2.0, mode="nearest")


def _brightness(mean: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """How much brighter than its surroundings, how different at the two dates, and how much of it has data.

    Never the brightness itself: products differ in what they call sigma or gamma nought, and tiles must agree.
    """
    weight = box(count, 3)
    share = weight.mean(1, keepdim=True)
    total = (mean * weight).mean(1, keepdim=True)
    above = (total / share.clamp(min=1e-6) - _mean_around(total, share, 17)).clamp(-3.0, 3.0) * (share > 0)
    change = (mean[:, :1] - mean[:, 1:]).clamp(-2.0, 2.0) * (weight > 0).all(1, keepdim=True)
    return functional.avg_pool2d(torch.cat([above, change, count.mean(1, keepdim=True)], 1), CELL // 2)


def _repetition(speckle: torch.Tensor) -> list[torch.Tensor]:
    """Products of the two images' speckle at each lag, divided by its standard deviations; and these."""
    first, second = speckle[:, :1], speckle[:, 1:]
    height, width = first.shape[-2:]
    around = functional.pad(second, (1, 1, 1, 1), mode="replicate")
    products = torch.cat(
        [first * around[:, :, 1 + row : 1 + row + height, 1 + col : 1 + col + width] for row, col in LAGS], 1
    )
    cells = functional.avg_pool2d(products, CELL)
    variance = functional.avg_pool2d(speckle * speckle, CELL)
    wide = box(variance, WINDOWS[-1])
    deviation = (wide[:, :1] * wide[:, 1:]).sqrt() + VARIANCE_FLOOR
    correlations = [(box(cells, side) / deviation).clamp(-MOST, MOST) for side in WINDOWS]
    spreads = [(box(variance, side) + VARIANCE_FLOOR).log() * 0.5 + 0.6 for side in WINDOWS[1:]]
    return [*correlations, *spreads]


def _agreement(speckle: torch.Tensor, steady: torch.Tensor, several: torch.Tensor) -> list[torch.Tensor]:
    """Correlation of each image with the mean of further dates: what is common to all is texture, or lasts."""
    variance = functional.avg_pool2d(speckle * speckle, CELL)
    steady_variance = box(functional.avg_pool2d(steady * steady, CELL), 7)
    deviation = (box(variance, WINDOWS[-1]) * steady_variance).sqrt() + VARIANCE_FLOOR
    cells = functional.avg_pool2d(speckle * steady, CELL)
    correlations = [(box(cells, side) / deviation).clamp(-MOST, MOST) for side in WINDOWS[1:]]
    return [*correlations, ((steady_variance + VARIANCE_FLOOR).log() * 0.5 + 0.6) * several]


def _steadiness(deviation: torch.Tensor, told: torch.Tensor, dates: torch.Tensor) -> list[torch.Tensor]:
    """How little further dates differ among themselves where they have data, and how many there are."""
    known = (dates > 1).to(deviation.dtype).view(-1, 1, 1, 1)
    weight = functional.avg_pool2d(told.to(deviation.dtype), CELL)
    total = functional.avg_pool2d(deviation * told, CELL)
    number = dates.to(deviation.dtype)
    cells, around = ((_mean_around(total, weight, side) - 0.5) * known for side in (1, 5))
    return [cells, around, _everywhere(number / (number + 2.0), deviation)]


def _everywhere(value: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """One number of each example as a channel of its cells."""
    height, width = image.shape[-2] // CELL, image.shape[-1] // CELL
    return value.to(image.dtype).view(-1, 1, 1, 1).expand(-1, 1, height, width)
