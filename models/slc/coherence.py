"""Coherence of two complex images in a boxcar window, and its bias.

After Touzi, Lopes, Bruniquel & Vachon 1999, "Coherence estimation for SAR imagery", IEEE TGRS 37(1).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage, special, stats

from models.errors import ModelError
from models.slc.spectrum import deramped

ComplexArray = npt.NDArray[np.complex64]
FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

_LEVELS = np.sin(np.linspace(0.0, 0.5 * np.pi, 201)) ** 2
"""Coherences at which the bias is computed, close together near 0 and 1."""
_TONE = 25
"""Side of the window whose power is evened out, so that a few bright targets don't count for all."""


def sample_coherence(first: ComplexArray, second: ComplexArray, window: tuple[int, int]) -> FloatArray:
    """|sum z1 conj(z2)| / sqrt(sum |z1|^2 sum |z2|^2) over the window around each pixel.

    Flat-earth and topographic phase must have been removed. At the borders the image is continued by its last pixels.

    Parameters
    ----------
    first, second
        Complex samples, shape (height, width).
    window
        Rows and columns.

    Returns
    -------
    FloatArray
        float32 in [0, 1], same shape; 0 where there is no power.

    Raises
    ------
    ModelError
        Shapes differ.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise ModelError(f"coherence takes two images of one shape, not {first.shape} and {second.shape}")
    cross = first.astype(np.complex128) * np.conj(second)
    real, imaginary, one, two = (
        _mean(part, window) for part in (cross.real, cross.imag, np.abs(first) ** 2, np.abs(second) ** 2)
    )
    power = np.sqrt(np.maximum(one, 0.0) * np.maximum(two, 0.0))
    ratio = np.divide(np.hypot(real, imaginary), power, out=np.zeros_like(power), where=power > 0)
    coherence: FloatArray = ratio.clip(0.0, 1.0).astype(np.float32)
    return coherence


def _mean(image: npt.NDArray[np.floating], window: tuple[int, int]) -> DoubleArray:
    mean: DoubleArray = ndimage.uniform_filter(image.astype(np.float64), window, mode="nearest")
    return mean


def expected_coherence(coherence: float, looks: float) -> float:
    """Mean sample coherence of `looks` independent samples whose true coherence is this (Touzi et al. 1999, eq. 13).

    E|g| = G(L) G(3/2) / G(L + 1/2) 3F2(3/2, L, L; L + 1/2, 1; g^2) (1 - g^2)^L. The series is summed as what it is: the
    mean of sqrt(Beta(k + 1, L - 1)) over negative binomial counts k, whose terms never overflow.

    Parameters
    ----------
    coherence
        In [0, 1].
    looks
        More than 1; need not be whole.
    """
    if coherence >= 1.0:
        return 1.0
    rest = 1.0 - coherence**2
    last = int(stats.nbinom.ppf(1.0 - 1e-12, looks, rest))
    counts = np.arange(last + 1, dtype=np.float64)
    roots = np.exp(
        special.gammaln(counts + 1.5)
        - special.gammaln(counts + 1.0)
        + special.gammaln(counts + looks)
        - special.gammaln(counts + looks + 0.5)
    )
    return float(stats.nbinom.pmf(counts, looks, rest) @ roots)


def unbiased(sample: FloatArray, looks: float) -> FloatArray:
    """The true coherence for which this sample coherence would be the mean; 0 below the mean of no coherence."""
    levels, expected = _bias_curve(looks)
    corrected: FloatArray = np.interp(sample, expected, levels).astype(np.float32)
    return corrected


@lru_cache(maxsize=32)
def _bias_curve(looks: float) -> tuple[DoubleArray, DoubleArray]:
    return _LEVELS, np.array([expected_coherence(float(level), looks) for level in _LEVELS])


def independent_looks(image: ComplexArray, window: tuple[int, int]) -> float:
    """Independent samples in a window, from the image's own correlation between neighbouring samples.

    The window's size over sum (1 - |lag| / side) |r(lag)|^2 along each direction.

    Parameters
    ----------
    image
        Shape (lines, samples); any azimuth centroid (see `models.slc.spectrum`).
    window
        Lines and samples.
    """
    along, across = samples_per_look(image, window)
    return window[0] / along * window[1] / across


def samples_per_look(image: ComplexArray, window: tuple[int, int] = (1000, 1000)) -> tuple[float, float]:
    """Samples along lines and columns that one independent sample takes; as `independent_looks`, axis by axis."""
    power: FloatArray = ndimage.uniform_filter(np.abs(image) ** 2, _TONE, mode="nearest")
    tone: FloatArray = np.sqrt(np.maximum(power, np.finfo(np.float32).tiny)).astype(np.float32)
    even: ComplexArray = np.divide(deramped(image), tone, dtype=np.complex64)
    return _correlated(even, window[0]), _correlated(even.T, window[1])


def _correlated(image: ComplexArray, side: int) -> float:
    """Samples along the first axis, of a window this long, that one independent sample takes."""
    power = float((np.abs(image) ** 2).mean())
    total = 1.0
    for lag in range(1, min(side, 4, image.shape[0])):
        correlation = abs((image[lag:] * np.conj(image[:-lag])).mean()) / power
        total += 2.0 * (1.0 - lag / side) * float(correlation) ** 2
    return total
