"""Coherence of a pair of complex images of any size, strip by strip, with its bias taken out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from models.coherence.device import resolve_device
from models.errors import ModelError
from models.slc.coherence import samples_per_look
from models.slc.curves import curve
from models.slc.modes import estimate_by
from models.slc.present import present
from models.slc.two_scale import BLOCK
from models.slc.windows import Sides

ComplexArray = npt.NDArray[np.complex64]
FloatArray = npt.NDArray[np.float32]

STRIP = 1 << 21
"""Samples estimated at once, about; two-scale takes some 100 bytes for each."""
REACH = 2 * BLOCK
"""Samples beyond a window that change its estimate, at most: blocks, their neighbours and the evening of brightness."""


def pair_coherence(
    first: ComplexArray,
    second: ComplexArray,
    *,
    mode: str = "two-scale",
    window: Sides = (5, 19),
    stride: Sides = (1, 1),
    calibrated: bool = True,
    fill: tuple[float, float] | None = None,
    device: str = "auto",
) -> FloatArray:
    """Coherence of two coregistered complex images.

    Parameters
    ----------
    first, second
        Complex samples, shape (lines, samples); NaN or 0 where there is none.
    mode
        boxcar; paper, interpolated or magnitudes (`models.slc.fourier`); two-scale (`models.slc.two_scale`).
    window, stride
        Lines and samples of the window, and from one of its places to the next.
    calibrated
        Take out the bias that homogeneous speckle has (`models.slc.curves`).
    fill
        Share of the sampled band that the images fill along lines and samples; measured on the first where left out.
    device
        auto, cpu or cuda.

    Returns
    -------
    FloatArray
        float32 in [0, 1], NaN where one of the images has no data (`models.slc.present`); shape
        (ceil(lines / stride), ceil(samples / stride)).

    Raises
    ------
    ModelError
        Images that aren't two-dimensional or differ in shape, a window or stride below 1, an unknown mode or device.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise ModelError(f"coherence takes two images of one shape, not {first.shape} and {second.shape}")
    estimate, where = estimate_by(mode), resolve_device(device)
    strips = []
    for strip in strips_of(first.shape, window, stride):
        part = [torch.from_numpy(np.ascontiguousarray(image[strip.needed])).to(where) for image in (first, second)]
        strips.append(estimate(part[0], part[1], window, stride).cpu().numpy()[strip.kept])
    coherence: FloatArray = np.concatenate(strips).astype(np.float32)
    if calibrated:
        coherence = curve(mode, window, band_fill(first) if fill is None else fill).invert(coherence)
    coherence[~(present(first) & present(second))[:: stride[0], :: stride[1]]] = np.nan
    return coherence


@dataclass(frozen=True)
class Strip:
    """Lines that are estimated at once.

    Attributes
    ----------
    needed
        Lines of the images.
    kept
        Lines of their estimate.
    """

    needed: slice
    kept: slice


def strips_of(shape: tuple[int, int], window: Sides, stride: Sides) -> Iterator[Strip]:
    """Strips of an image whose estimates, put together, are those of the whole.

    Raises
    ------
    ModelError
        Window or stride are below 1.
    """
    if min(*window, *stride) < 1 or window[0] * window[1] < 2:
        raise ModelError(
            f"a window of {window[0]} x {window[1]} samples every {stride[0]} x {stride[1]} gives no coherence; "
            "take two samples at least, and steps of one at least"
        )
    lines, aligned = shape[0], math.lcm(BLOCK, stride[0])
    step = max(aligned, STRIP // max(1, shape[1]) // aligned * aligned)
    halo = -(-(REACH + window[0]) // aligned) * aligned
    for start in range(0, lines, step):
        begin, end = max(0, start - halo), min(lines, start + step + halo)
        kept = slice((start - begin) // stride[0], -(-(min(lines, start + step) - begin) // stride[0]))
        yield Strip(slice(begin, end), kept)


def band_fill(image: ComplexArray) -> tuple[float, float]:
    """Share of the sampled band that an image fills along lines and samples, from how alike its neighbours are."""
    along, across = samples_per_look(np.where(np.isfinite(image), image, 0))
    return min(1.0, 1.0 / along), min(1.0, 1.0 / across)
