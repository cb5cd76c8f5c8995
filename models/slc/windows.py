"""Windows over complex images, around every pixel or every so many, and sums over them."""

from __future__ import annotations

import torch
from torch.nn import functional

from models.coherence.window import sliding_sum

Sides = tuple[int, int]


def cleaned(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The image with 0 for what isn't a number, and where there is power at all; shape (…, height, width)."""
    power = image.real**2 + image.imag**2
    there = torch.isfinite(power) & (power > 0)
    return torch.where(there, image, 0.0), there


def products(
    first: torch.Tensor, second: torch.Tensor, both: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """z1 conj(z2), |z1|^2 and |z2|^2, 0 where one of the images has no sample."""
    powers = (torch.where(both, image.real**2 + image.imag**2, 0.0) for image in (first, second))
    one, two = powers
    return torch.where(both, first * second.conj(), 0.0), one, two


def padded(image: torch.Tensor, before: Sides, after: Sides) -> torch.Tensor:
    """Zeros around the last two axes; complex images too."""
    return functional.pad(image, (before[1], after[1], before[0], after[0]))


def margins(window: Sides) -> tuple[Sides, Sides]:
    """Pixels of a window before and after the one it is centred on; of an even side one more before."""
    before = (window[0] // 2, window[1] // 2)
    return before, (window[0] - 1 - before[0], window[1] - 1 - before[1])


def windows(image: torch.Tensor, window: Sides, stride: Sides) -> torch.Tensor:
    """Every window that lies inside, as a view: shape (…, rows, cols, window rows, window cols)."""
    return image.unfold(-2, window[0], stride[0]).unfold(-2, window[1], stride[1])


def window_sums(image: torch.Tensor, window: Sides, stride: Sides = (1, 1)) -> torch.Tensor:
    """Sums over every window that lies inside, at the same places as `windows`."""
    across = sliding_sum(image, window[1], -1)[..., :: stride[1]]
    return sliding_sum(across, window[0], -2)[..., :: stride[0], :]
