"""What training makes small."""

from __future__ import annotations

import torch

MEAN_WEIGHT = 40.0
SPREAD_WEIGHT = 0.15


def regression_loss(coherence: torch.Tensor, log_variance: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Squared error of the mean, and Gaussian negative log likelihood of the spread given that error.

    The likelihood doesn't reach the mean, so that places where it is hopeless don't count less: Gaussian likelihood
    alone lets a network neglect them. It is beta-NLL at beta = 1 but for a factor (Seitzer, Tavakoli, Antic & Martius
    2022, "On the Pitfalls of Heteroscedastic Uncertainty Estimation with Probabilistic Neural Networks", ICLR).

    Pixels whose truth is NaN count for nothing: labels of real pairs don't cover all that the images do.
    """
    known = torch.isfinite(truth)
    if not bool(known.all()):
        coherence, log_variance, truth = coherence[known], log_variance[known], truth[known]
    square = (coherence - truth) ** 2
    likelihood = log_variance + square.detach() * torch.exp(-log_variance)
    return MEAN_WEIGHT * square.mean() + SPREAD_WEIGHT * likelihood.mean()
