"""The ways to estimate coherence from two complex images, by name."""

from __future__ import annotations

from functools import partial
from typing import Literal, Protocol, get_args

import torch

from models.errors import ModelError
from models.slc.boxcar import boxcar
from models.slc.fourier import fourier
from models.slc.two_scale import two_scale
from models.slc.windows import Sides

SlcMode = Literal["boxcar", "paper", "interpolated", "magnitudes", "two-scale"]


class Estimate(Protocol):
    """Complex images of shape (…, height, width), a window and a stride, to coherence."""

    def __call__(
        self, first: torch.Tensor, second: torch.Tensor, window: Sides, stride: Sides = (1, 1)
    ) -> torch.Tensor:
        """In [0, 1], NaN where a window has no sample; shape (…, ceil(height / stride), ceil(width / stride))."""
        ...


_MODES: dict[SlcMode, Estimate] = {
    "boxcar": boxcar,
    "paper": partial(fourier, interpolated=False, magnitudes=False),
    "interpolated": partial(fourier, interpolated=True, magnitudes=False),
    "magnitudes": partial(fourier, interpolated=True, magnitudes=True),
    "two-scale": two_scale,
}


def estimate_by(mode: str) -> Estimate:
    """The estimate of this name.

    Raises
    ------
    ModelError
        There is none.
    """
    if mode not in get_args(SlcMode):
        raise ModelError(f"unknown mode '{mode}'; choose one of {', '.join(get_args(SlcMode))}")
    return _MODES[mode]  # type: ignore[index]
