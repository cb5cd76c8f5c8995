"""Coherence from the logarithms of two detected images.

The logarithm turns texture and speckle into a sum, and tames bright targets. With x and y the logarithms less their
local means, s and t the speckle's share and u the texture common to both:

- corr(x, y) needs no knowledge of the product, but u counts as coherence;
- x - y = s - t doesn't hold u at all, and its variance is 2 var(s) (1 - corr(s, t)); var(s) must be known;
- both together tell u from coherence where the images can tell.

For L looks, corr(s, t) before the high-pass filter follows from Kibble's bivariate gamma density; it is within 0.04
of the g^2 of the intensities.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.coherence.statistic import Axis, Speckle, Statistic
from models.coherence.window import Window

HIGH_PASS = 3
"""Side in pixels of the mean that is removed from the logarithms: RMSE .168, .184 and .199 for 3, 5 and 7 at 10 m."""


TINY = 1e-12
"""Variance of a logarithm below which an image doesn't vary: rounding, not speckle."""


def high_pass(images: Sequence[torch.Tensor], valid: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Logarithms of power less their local means, and where at least half of that mean's pixels are valid."""
    local = Window(valid, HIGH_PASS)
    kept = valid & local.filled(0.5)
    logarithms = [torch.log(torch.where(valid, power, 1.0)) for power in images]
    return [torch.where(kept, each - local.mean(each), 0.0) for each in logarithms], kept


def _moments(
    reference: torch.Tensor, secondary: torch.Tensor, valid: torch.Tensor, window: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Correlation of the high-passed logarithms, variance of their difference, and where enough pixels are valid."""
    (x, y), kept = high_pass((reference, secondary), valid)
    local = Window(kept, window, tapered=True)
    variance, other, covariance = local.mean(x * x), local.mean(y * y), local.mean(x * y)
    bottom = torch.sqrt(variance * other)
    varies = bottom > TINY
    correlation = torch.where(varies, covariance / torch.where(varies, bottom, 1.0), 0.0)
    return correlation, variance + other - 2.0 * covariance, local.filled()


def _correlation(
    reference: torch.Tensor, secondary: torch.Tensor, valid: torch.Tensor, window: int, _: Speckle
) -> tuple[torch.Tensor, torch.Tensor]:
    correlation, _spread, filled = _moments(reference, secondary, valid, window)
    return correlation[None], filled


def _correlation_and_spread(
    reference: torch.Tensor, secondary: torch.Tensor, valid: torch.Tensor, window: int, speckle: Speckle
) -> tuple[torch.Tensor, torch.Tensor]:
    correlation, spread, filled = _moments(reference, secondary, valid, window)
    share = spread / (2.0 * speckle.log_variance)
    return torch.stack([correlation, torch.log(share.clamp(min=TINY))]), filled


LOG_CORRELATION = Statistic(
    name="log-correlation",
    margin=HIGH_PASS - 1,
    axes=(Axis(-0.3, 1.0, 53),),
    measure=_correlation,
    closed_form=lambda rho, _looks: torch.sqrt(rho.clamp(0.0, 1.0)),
)

LOG_MOMENTS = Statistic(
    name="log-moments",
    margin=HIGH_PASS - 1,
    axes=(Axis(-0.3, 1.0, 27), Axis(-3.0, 1.0, 26)),
    measure=_correlation_and_spread,
)
