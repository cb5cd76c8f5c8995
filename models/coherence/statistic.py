"""What a classical estimator measures in a window, apart from how the measurement becomes coherence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # tables are read without PyTorch
    import torch

    Measure = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int, "Speckle"], tuple[torch.Tensor, torch.Tensor]]
    """(reference, secondary, valid, window, speckle) -> statistics (axes, height, width) and where there are any."""


@dataclass(frozen=True)
class Speckle:
    """What is known of a product's speckle over homogeneous ground.

    Attributes
    ----------
    looks
        Equivalent number of looks: mean^2 / variance of the intensity.
    log_variance
        Variance of the logarithm after the high-pass filter of `logarithm.py`.
    """

    looks: float
    log_variance: float


@dataclass(frozen=True)
class Axis:
    """A statistic's range, cut into equal steps: where its tables have their nodes."""

    low: float
    high: float
    nodes: int


@dataclass(frozen=True)
class Statistic:
    """One classical estimator.

    Attributes
    ----------
    name
        Name in the registry and of its calibration tables.
    margin
        Pixels beyond the window that a pixel's value depends on.
    axes
        Range of each number that `measure` gives; their count is 1, or 2 for an estimator read off a plane.
    measure
        Images and mask to statistics.
    closed_form
        Statistic (height, width) and equivalent looks to coherence, as published; None where there is no such formula.
    """

    name: str
    margin: int
    axes: tuple[Axis, ...]
    measure: Measure
    closed_form: Callable[[torch.Tensor, float], torch.Tensor] | None = None
