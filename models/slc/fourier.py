"""Coherence from the peak of the interferogram's local spectrum: fringes gather in it instead of cancelling.

After Sosnovsky, Kobernichenko, Vinogradova & Tsogtbaatar, "InSAR Data Coherence Estimation Using 2D Fast Fourier
Transform": both images' moduli are set to one, M = max |F2[z1 conj(z2)]| over a window, and M over the number of its
samples becomes coherence by a curve simulated for homogeneous scenes (`models.slc.curves`).
"""

from __future__ import annotations

import math

import torch

from models.slc.windows import Sides, cleaned, margins, padded, products, windows

AT_ONCE = 1 << 15
"""Windows transformed at a time: 2 kB each at 16 x 16."""


def fourier(
    first: torch.Tensor,
    second: torch.Tensor,
    window: Sides,
    stride: Sides = (1, 1),
    *,
    interpolated: bool = True,
    magnitudes: bool = True,
) -> torch.Tensor:
    """Height of the spectrum's peak over the window around each pixel, as a share of what a pure fringe would reach.

    Parameters
    ----------
    first, second
        Complex samples, shape (…, height, width); NaN or 0 where there is none.
    window, stride
        Rows and columns of the window, and from one of its places to the next.
    interpolated
        Find the peak between the frequencies of the transform: twice as many of them, a parabola through the highest
        three along each axis, and the exact transform there. Else the highest of the transform itself, as in the paper:
        half-way between two of its frequencies that is 2 / pi of the peak, along each axis.
    magnitudes
        Let samples count by their moduli. Else all alike, as in the paper.

    Returns
    -------
    torch.Tensor
        In [0, 1], NaN where a window has no sample; shape (…, ceil(height / stride), ceil(width / stride)).
    """
    (one, there), (two, here) = cleaned(first), cleaned(second)
    both = there & here
    cross, *weights = products(one, two, both)
    if not magnitudes:
        cross = torch.where(both, cross / cross.abs().clamp(min=torch.finfo(cross.real.dtype).tiny), 0.0)
        weights = [both.to(cross.real.dtype)]
    cross, *weights = (windows(padded(part, *margins(window)), window, stride) for part in (cross, *weights))
    shape = cross.shape[:-2]
    rows = max(1, AT_ONCE // max(1, math.prod(shape[:-2]) * shape[-1]))
    strips = zip(cross.split(rows, -4), *(weight.split(rows, -4) for weight in weights), strict=True)
    return torch.cat([_peaks(strip, weight, interpolated=interpolated) for strip, *weight in strips], -2)


def _peaks(cross: torch.Tensor, weights: list[torch.Tensor], *, interpolated: bool) -> torch.Tensor:
    sums = [weight.sum((-2, -1)) for weight in weights]
    reach = (sums[0] * sums[-1]).sqrt()  # of one weight: its sum
    height = _interpolated_peak(cross) if interpolated else torch.fft.fft2(cross).abs().amax((-2, -1))
    return torch.where(reach > 0, height / reach, torch.nan).clamp(max=1.0)


def _interpolated_peak(cross: torch.Tensor) -> torch.Tensor:
    window = cross.shape[-2:]
    shape = [2 * side for side in window]
    spectrum = torch.fft.fft2(cross, shape).abs()
    highest = spectrum.flatten(-2).argmax(-1)
    places = [highest // shape[1], highest % shape[1]]
    waves = []
    for axis, side in enumerate(window):
        around = []
        for step in (-1, 0, 1):
            near = list(places)
            near[axis] = (places[axis] + step) % shape[axis]
            around.append(spectrum.flatten(-2).gather(-1, (near[0] * shape[1] + near[1])[..., None])[..., 0])
        below, peak, above = around
        bend = (2.0 * peak - below - above).clamp(min=torch.finfo(peak.dtype).tiny)
        offset = (0.5 * (above - below) / bend).clamp(-0.5, 0.5)
        frequency = (places[axis] + offset) / shape[axis]
        steps = torch.arange(side, dtype=frequency.dtype, device=frequency.device)
        turns = -2.0 * math.pi * torch.remainder(frequency[..., None] * steps, 1.0)
        waves.append(torch.polar(torch.ones_like(turns), turns))
    along = (cross * waves[1][..., None, :]).sum(-1)
    return (along * waves[0]).sum(-1).abs()
