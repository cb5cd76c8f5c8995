"""The ordinary coherence of two complex images: one sum over a window, in which fringes cancel."""

from __future__ import annotations

import torch

from models.slc.windows import Sides, cleaned, margins, padded, products, window_sums


def boxcar(first: torch.Tensor, second: torch.Tensor, window: Sides, stride: Sides = (1, 1)) -> torch.Tensor:
    """|sum z1 conj(z2)| / sqrt(sum |z1|^2 sum |z2|^2) over the window around each pixel.

    After Touzi, Lopes, Bruniquel & Vachon 1999, "Coherence estimation for SAR imagery", IEEE TGRS 37(1).

    Parameters
    ----------
    first, second
        Complex samples, shape (…, height, width); NaN or 0 where there is none.
    window, stride
        Rows and columns of the window, and from one of its places to the next.

    Returns
    -------
    torch.Tensor
        In [0, 1], NaN where a window has no sample; shape (…, ceil(height / stride), ceil(width / stride)).
    """
    (one, there), (two, here) = cleaned(first), cleaned(second)
    parts = products(one, two, there & here)
    return normalised(*(window_sums(padded(part, *margins(window)), window, stride) for part in parts))


def normalised(cross: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Coherence from a sum of products and two sums of powers; NaN where one of these is nothing."""
    power = (first * second).sqrt()
    coherence = (cross.real**2 + cross.imag**2).sqrt() / power
    return torch.where(power > 0, coherence, torch.nan).clamp(max=1.0)
