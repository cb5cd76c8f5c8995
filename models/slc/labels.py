"""From coregistered complex images to what a network learns from: detected images, and the coherence beneath them.

What is shown and what is true are brought to the same pixels. The truth is NaN wherever the window that it is estimated
in holds a sample without data, or reaches beyond the image: there it would have fewer looks than it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.slc.coherence import independent_looks, sample_coherence, unbiased
from models.slc.detect import FACTOR, on_pixels, range_looks
from models.slc.pair import pair_coherence
from models.slc.present import present
from models.slc.sampling import Sampling, Truth

ComplexArray = npt.NDArray[np.complex64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

GRD_PIXEL = 10.0
"""Side in metres of the pixels of GRD-like images."""
NOMINAL = 10.0
"""Metres that networks are told of an SLC's own samples, whatever they measure, as in `models.simulate.mixture`."""
EXTENT = (69.0, 66.0)
"""Metres along azimuth and ground range that a window is chosen for: 5 x 19 samples of Sentinel-1 IW."""
_WHOLE = 1.0 - 1e-3
_NOISE = 5.0
"""Standard deviations of a sum of so many random phases above which it means something."""


def boxcar(first: ComplexArray, second: ComplexArray, window: tuple[int, int], looks: float) -> FloatArray:
    """Coherence in a boxcar window without the bias of so many looks; fringes must have been removed.

    Touzi et al. 1999, see `models.slc.coherence`.
    """
    return unbiased(sample_coherence(first, second, window), looks)


def two_scale(first: ComplexArray, second: ComplexArray, window: tuple[int, int], looks: float) -> FloatArray:
    """Coherence whatever fringes there are, without the bias of so many looks; see `models.slc.two_scale`."""
    fill = min(1.0, math.sqrt(looks / (window[0] * window[1])))
    return pair_coherence(first, second, mode="two-scale", window=window, fill=(fill, fill))


@dataclass(frozen=True)
class Measure:
    """What estimates labels; another one needs no other change.

    Attributes
    ----------
    name
        For the manifest.
    reach
        Lines and samples beyond the window, on each side, that an estimate needs.
    coherence
        First and second image, window (lines, samples) and its independent looks, to coherence without bias.
    fringes
        Whether it is right where the phase turns within its window.
    """

    name: str
    reach: tuple[int, int]
    coherence: Callable[[ComplexArray, ComplexArray, tuple[int, int], float], FloatArray]
    fringes: bool = False


BOXCAR = Measure("boxcar, bias removed (Touzi et al. 1999)", (0, 0), boxcar)
# phase models are made of what is there, so they need nothing beyond the window
TWO_SCALE = Measure("two-scale, bias removed by simulation", (0, 0), two_scale, fringes=True)
MEASURES = {Truth.two_scale: TWO_SCALE, Truth.boxcar: BOXCAR}


def window_for(spacing: tuple[float, float]) -> tuple[int, int]:
    """The odd numbers of lines and samples, at least three, whose window is nearest to `EXTENT`."""
    lines, samples = (
        max(3, 2 * round((extent / step - 1.0) / 2.0) + 1) for extent, step in zip(EXTENT, spacing, strict=True)
    )
    return lines, samples


def pixel_of(sampling: Sampling, spacing: tuple[float, float]) -> tuple[float, float]:
    """Metres of a detected image's pixels along azimuth and ground range, from those of the complex samples."""
    return spacing if sampling is Sampling.amplitude else (GRD_PIXEL, GRD_PIXEL)


def told_spacing(sampling: Sampling) -> float:
    """Pixel spacing in metres that a network is told of such images."""
    return NOMINAL if sampling is Sampling.amplitude else GRD_PIXEL


def detected(
    image: ComplexArray, spacing: tuple[float, float], sampling: Sampling, carrier: FloatArray | None = None
) -> FloatArray:
    """Linear power of a complex image on the pixels of a sampling, NaN where a pixel isn't all data.

    Parameters
    ----------
    image
        Shape (lines, samples); zero or NaN without data.
    spacing
        Of its samples, in metres along azimuth and ground range.
    carrier
        Phase in radians that keeps the spectrum from lying around zero, where it is known; taken out before what
        resamples. Without it a drift of the azimuth centroid that is linear along lines is found and taken out.
    """
    there = present(image)
    filled = np.where(there, image, np.complex64(0.0))
    if sampling is Sampling.amplitude:
        power: FloatArray = (np.abs(filled) ** 2).astype(np.float32)
        return np.where(there, power, np.float32(np.nan))
    if carrier is not None:
        filled = filled * np.exp(-1j * np.nan_to_num(carrier)).astype(np.complex64)
    return _where_whole(on_pixels(range_looks(filled, spacing[1]), spacing, GRD_PIXEL), there, spacing)


def label(
    first: ComplexArray,
    second: ComplexArray,
    window: tuple[int, int],
    looks: float,
    *,
    measure: Measure = TWO_SCALE,
) -> FloatArray:
    """Coherence of two complex images, NaN where the window isn't all data.

    Parameters
    ----------
    first, second
        Coregistered, flattened; shape (lines, samples), zero or NaN without data.
    window
        Lines and samples.
    looks
        Independent samples in the window, more than 1.
    measure
        What estimates it; where the window is whole is the same for all.

    Returns
    -------
    FloatArray
        float32 in [0, 1] or NaN, same shape.

    Raises
    ------
    ModelError
        Shapes differ.
    """
    there = present(first) & present(second)
    one, two = (np.where(there, image, np.complex64(0.0)) for image in (first, second))
    whole = ndimage.uniform_filter(there.astype(np.float32), window, mode="constant") > _WHOLE
    return np.where(whole, measure.coherence(one, two, window, looks), np.float32(np.nan))


def on_same_pixels(coherence: FloatArray, spacing: tuple[float, float], sampling: Sampling) -> FloatArray:
    """A label on the pixels that `detected` gives: as it is, or its mean over each pixel, NaN where one part is."""
    if sampling is Sampling.amplitude:
        return coherence
    there = np.isfinite(coherence)
    filled = np.where(there, coherence, np.float32(0.0))
    return _where_whole(on_pixels(_dense(filled), spacing, GRD_PIXEL), there, spacing)


def _dense(values: FloatArray) -> FloatArray:
    """Between samples too, by straight lines, on the lattice of `models.slc.detect.intensity`."""
    for axis in (0, 1):
        here = np.moveaxis(values, axis, 0)
        step = np.concatenate([here[1:], here[-1:]]) - here
        between = np.stack([here + np.float32(part / FACTOR) * step for part in range(FACTOR)], axis=1)
        values = np.moveaxis(between.reshape(-1, here.shape[1]), 0, axis)
    return values


def _where_whole(values: FloatArray, there: BoolArray, spacing: tuple[float, float]) -> FloatArray:
    """NaN on pixels that a sample without data has part in."""
    if there.all():
        return values
    share = on_pixels(_dense(there.astype(np.float32)), spacing, GRD_PIXEL)
    return np.where(share > _WHOLE, values, np.float32(np.nan))


def looks_of(images: list[ComplexArray], window: tuple[int, int]) -> float:
    """Independent samples in a window: the median over several pieces of an image, NaN where none has data.

    A piece counts where nine tenths of it are data; see `models.slc.coherence.independent_looks`.
    """
    found = [
        independent_looks(np.where(present(image), image, np.complex64(0.0)), window)
        for image in images
        if image.size and present(image).mean() > 0.9
    ]
    return float(np.median(found)) if found else math.nan


def turns(first: ComplexArray, second: ComplexArray, window: tuple[int, int]) -> float | None:
    """How often the phase of the interferogram turns within a window, as a mean over the images.

    From the phase of its correlation with itself one line, and one sample, further. A boxcar's coherence falls by the
    sinc of this; 0.25 turns take a tenth of it. None where these correlations don't stand out from those of noise.
    """
    there = present(first) & present(second)
    one, two = (np.where(there, image, np.complex64(0.0)).astype(np.complex128) for image in (first, second))
    cross = one * np.conj(two)
    even = cross / np.maximum(np.abs(cross), np.finfo(np.float64).tiny)
    noise = _NOISE * math.sqrt(max(1, int(np.count_nonzero(even))))
    along, across = ((even[1:] * np.conj(even[:-1])).sum(), (even[:, 1:] * np.conj(even[:, :-1])).sum())
    found = [
        abs(float(np.angle(step))) / (2.0 * np.pi) * side
        for step, side in zip((along, across), window, strict=True)
        if abs(step) > noise
    ]
    return max(found, default=None)
