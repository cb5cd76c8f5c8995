"""How good the averaged weights are on scenes kept aside, and by what factor their sigma is off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.errors import ModelError
from models.evaluate.scores import BINS
from models.train.batch import whole_batch
from models.train.networks import predict
from models.train.pool import Pool


@dataclass(frozen=True)
class Validation:
    """Scores on the scenes kept aside.

    Attributes
    ----------
    rmse, bias
        Over all pixels.
    rmse_by_bin
        Where the true coherence lies between two neighbours of `models.evaluate.scores.BINS`;
        NaN where it nowhere does.
    inside_68, inside_90
        Share of the pixels closer to the truth than 1 and 1.645 sigma.
    sigma_scale
        Factor that would make these shares right, the mean of both.
    """

    rmse: float
    bias: float
    rmse_by_bin: tuple[float, ...]
    inside_68: float
    inside_90: float
    sigma_scale: float

    def as_dict(self) -> dict[str, object]:
        """Rounded, for the history and the card."""
        values: dict[str, object] = {
            name: round(value, 4) for name, value in vars(self).items() if name != "rmse_by_bin"
        }
        return values | {"rmse_by_bin": [round(value, 4) for value in self.rmse_by_bin]}


def validate(network: nn.Module, pool: Pool, scenes: int, device: torch.device) -> Validation:
    """Score a network on whole scenes of the pool, where their truth is known.

    Raises
    ------
    ModelError
        It is known nowhere.
    """
    errors, ratios, truths = [], [], []
    for number in range(min(scenes, len(pool))):
        batch = whole_batch(pool, number).to(device)
        with torch.no_grad():
            coherence, log_variance = predict(network, *batch.shown)
        known = torch.isfinite(batch.coherence)
        difference = (coherence - batch.coherence)[known]
        errors.append(difference.cpu().numpy())
        ratios.append((difference.abs() * torch.exp(-0.5 * log_variance[known])).cpu().numpy())
        truths.append(batch.coherence[known].cpu().numpy())
    error, ratio, truth = (np.concatenate(parts) for parts in (errors, ratios, truths))
    if not truth.size:
        raise ModelError("what is kept aside has no truth at any pixel; make its examples again")
    place = np.minimum(np.digitize(truth, BINS) - 1, len(BINS) - 2)
    return Validation(
        rmse=float(np.sqrt(np.mean(error**2))),
        bias=float(error.mean()),
        rmse_by_bin=tuple(_rmse(error[place == k]) for k in range(len(BINS) - 1)),
        inside_68=float((ratio <= 1.0).mean()),
        inside_90=float((ratio <= 1.645).mean()),
        sigma_scale=float(0.5 * (np.quantile(ratio, 0.68) + np.quantile(ratio, 0.90) / 1.645)),
    )


def _rmse(errors: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(errors**2))) if errors.size else math.nan
