"""Coherence from the correlation of two detected intensities: the published estimators.

For circular-Gaussian samples of coherence g, intensities of L looks obey the Siegert relation
E[I1 I2] = E[I1] E[I2] (1 + g^2 / L), so that corr(I1, I2) = g^2 whatever L. The three estimators below differ only
in what they divide by, and so in what spoils them:

- by the second moments (Guarnieri & Prati): texture common to both images cancels, but a few bright targets
  fill the window;
- by the means, with the speckle's variance taken from the number of looks (Rignot & van Zyl): least noise over
  homogeneous ground, but every texture counts as coherence;
- by the sample's own variances (Touzi et al.): no looks needed, but texture counts as coherence.
"""

from __future__ import annotations

import torch

from models.coherence.statistic import Axis, Speckle, Statistic
from models.coherence.window import Window


def _quotient(top: torch.Tensor, bottom: torch.Tensor) -> torch.Tensor:
    """Quotient top / bottom, and 0 where bottom is 0: an image without variation says nothing."""
    return torch.where(bottom > 0, top / torch.where(bottom > 0, bottom, torch.ones_like(bottom)), 0.0)


def _uncentred(
    reference: torch.Tensor, secondary: torch.Tensor, valid: torch.Tensor, window: int, _: Speckle
) -> tuple[torch.Tensor, torch.Tensor]:
    local = Window(valid, window)
    product = local.mean(reference * secondary)
    squares = local.mean(reference**2) * local.mean(secondary**2)
    return _quotient(product, torch.sqrt(squares))[None], local.filled()


def _over_means(
    reference: torch.Tensor, secondary: torch.Tensor, valid: torch.Tensor, window: int, _: Speckle
) -> tuple[torch.Tensor, torch.Tensor]:
    local = Window(valid, window)
    means = local.mean(reference) * local.mean(secondary)
    return _quotient(local.mean(reference * secondary) - means, means)[None], local.filled()


def _centred(
    reference: torch.Tensor, secondary: torch.Tensor, valid: torch.Tensor, window: int, _: Speckle
) -> tuple[torch.Tensor, torch.Tensor]:
    local = Window(valid, window)
    mean, other = local.mean(reference), local.mean(secondary)
    covariance = local.mean(reference * secondary) - mean * other
    variance = local.mean(reference**2) - mean**2
    other_variance = local.mean(secondary**2) - other**2
    # A variance this far below the squared mean is rounding error, not speckle.
    flat = (variance < 1e-12 * mean**2) | (other_variance < 1e-12 * other**2)
    bottom = torch.sqrt(torch.where(flat, 0.0, variance * other_variance))
    return _quotient(covariance, bottom)[None], local.filled()


def _root(square: torch.Tensor) -> torch.Tensor:
    return torch.sqrt(square.clamp(0.0, 1.0))


GUARNIERI_PRATI = Statistic(
    name="guarnieri-prati",
    margin=0,
    axes=(Axis(0.3, 1.0, 57),),
    measure=_uncentred,
    closed_form=lambda rho, looks: _root((looks + 1.0) * rho - looks),
)

RIGNOT_VAN_ZYL = Statistic(
    name="rignot-van-zyl",
    margin=0,
    axes=(Axis(-0.2, 0.8, 51),),
    measure=_over_means,
    closed_form=lambda excess, looks: _root(looks * excess),
)

TOUZI_INTENSITY = Statistic(
    name="touzi-intensity",
    margin=0,
    axes=(Axis(-0.4, 1.0, 57),),
    measure=_centred,
    closed_form=lambda rho, _looks: _root(rho),
)
