"""What training makes small."""

from __future__ import annotations

import torch

MEAN_WEIGHT = 40.0
SPREAD_WEIGHT = 0.15
TAUGHT = 0.8
"""Share of the mean's weight that goes to a teacher's estimate where there is one, and not to the truth."""


def regression_loss(
    coherence: torch.Tensor, log_variance: torch.Tensor, truth: torch.Tensor, taught: torch.Tensor | None = None
) -> torch.Tensor:
    """Squared error of the mean, and Gaussian negative log likelihood of the spread given that error.

    The likelihood doesn't reach the mean, so that places where it is hopeless don't count less: Gaussian likelihood
    alone lets a network neglect them. It is beta-NLL at beta = 1 but for a factor (Seitzer, Tavakoli, Antic & Martius
    2022, "On the Pitfalls of Heteroscedastic Uncertainty Estimation with Probabilistic Neural Networks", ICLR).

    Pixels whose truth is NaN count for nothing: labels of real pairs don't cover all that the images do.

    Parameters
    ----------
    taught
        What a teacher makes of the same images; the spread is still that of the error against the truth.
    """
    known = torch.isfinite(truth)
    if not bool(known.all()):
        coherence, log_variance, truth = coherence[known], log_variance[known], truth[known]
        taught = None if taught is None else taught[known]
    square = (coherence - truth) ** 2
    likelihood = log_variance + square.detach() * torch.exp(-log_variance)
    mean = square.mean()
    if taught is not None:
        mean = mean.lerp(((coherence - taught) ** 2).mean(), TAUGHT)
    return MEAN_WEIGHT * mean + SPREAD_WEIGHT * likelihood.mean()
