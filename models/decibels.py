"""From power to what a network sees: decibels, clipped to a range, scaled to 0 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.errors import ModelError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class DecibelRange:
    """A network's input range; the published one by default.

    Attributes
    ----------
    low, high
        Backscatter in dB that becomes 0 and 1; what lies beyond is clipped.
    eps
        Linear power added before the logarithm.

    Raises
    ------
    ModelError
        It is no range.
    """

    low: float = -20.0
    high: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        if not -200.0 <= self.low < self.high <= 200.0:
            raise ModelError(f"{self.low:g} to {self.high:g} is no range in dB; the published one is -20 to 0")
        if not (math.isfinite(self.eps) and 0.0 < self.eps < 1.0):
            raise ModelError(f"eps = {self.eps:g} is no small power to add before the logarithm; 1e-10 is usual")

    def scale(self, power: torch.Tensor) -> torch.Tensor:
        """Linear power, any shape, to 0 to 1; NaN stays NaN, and negative power (noise subtracted) counts as none."""
        decibels = 10.0 * (power.clamp(min=0.0) + self.eps).log10()
        return (decibels.clamp(self.low, self.high) - self.low) / (self.high - self.low)
