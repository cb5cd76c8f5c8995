"""Detected images from complex ones: oversampled before detection, with looks where wanted, onto square pixels.

Detection doubles the bandwidth: samples that just hold a complex image are too few for its intensity, which would alias
when it is averaged or interpolated.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from models.simulate.product import GRD_10M, range_windows
from models.slc.spectrum import deramped

ComplexArray = npt.NDArray[np.complex64]
FloatArray = npt.NDArray[np.float32]

FACTOR = 2
"""Oversampling, along both directions, that holds the intensity of any sampled image."""
PAD = 16
"""Zeros put around an image before its transform, in samples, so that its ends don't wrap into each other."""


def intensity(image: ComplexArray) -> FloatArray:
    """Single-look intensity, sampled `FACTOR` times as densely as the image along both directions.

    Parameters
    ----------
    image
        Shape (lines, samples); any azimuth centroid (see `models.slc.spectrum`).

    Returns
    -------
    FloatArray
        Linear power; sample (i, j) of the image is sample (FACTOR i, FACTOR j) here.
    """
    return _detected(_oversampled(_spectrum(image)), image.shape)


def range_looks(image: ComplexArray, spacing: float) -> FloatArray:
    """Intensity of five range looks, cut from the band as GRD products' are; sampled and given like `intensity`.

    Parameters
    ----------
    spacing
        Of the samples along range, in metres on the ground.
    """
    spectrum = _spectrum(image)
    frequencies = fft.fftfreq(spectrum.shape[1], spacing)
    # the processor's window on the whole band is in the image already
    windows = range_windows(replace(GRD_10M, band_hamming=1.0), frequencies)
    looks = [_detected(_oversampled(spectrum * window.astype(np.float32)), image.shape) for window in windows]
    total: FloatArray = np.sum(looks, axis=0, dtype=np.float32)
    return total


def _spectrum(image: ComplexArray) -> ComplexArray:
    lines, samples = (fft.next_fast_len(side + 2 * PAD) for side in image.shape)
    spectrum: ComplexArray = fft.fft2(deramped(image), (lines, samples))
    return spectrum


def _oversampled(spectrum: ComplexArray) -> ComplexArray:
    shape = [FACTOR * side for side in spectrum.shape]
    padded = np.zeros(shape, np.complex64)
    places = [np.concatenate([np.arange((side + 1) // 2), np.arange(-(side // 2), 0)]) for side in spectrum.shape]
    padded[np.ix_(*places)] = spectrum
    samples: ComplexArray = fft.ifft2(padded, overwrite_x=True)
    return samples * np.float32(FACTOR**2)


def _detected(samples: ComplexArray, shape: tuple[int, ...]) -> FloatArray:
    power: FloatArray = np.abs(samples[: FACTOR * shape[0], : FACTOR * shape[1]]) ** 2
    return power


def on_pixels(power: FloatArray, spacing: tuple[float, float], pixel: float) -> FloatArray:
    """Intensity averaged over square pixels.

    Parameters
    ----------
    power
        As `intensity` or `range_looks` give it.
    spacing
        Of the complex image's samples, in metres along azimuth and ground range.
    pixel
        Side of the pixels in metres; the first begins half a sample before the first sample. What is left over at the
        far ends is cut.
    """
    for axis in (0, 1):
        power = _averaged(power, pixel / spacing[axis] * FACTOR, axis)
    return power


def _averaged(power: FloatArray, step: float, axis: int) -> FloatArray:
    """Means over `step` samples each, fractions of samples included, from the running integral."""
    moved = np.moveaxis(power, axis, 0).astype(np.float64)
    integral = np.concatenate([np.zeros((1, moved.shape[1])), np.cumsum(moved, axis=0)])
    bounds = np.arange(math.floor(moved.shape[0] / step) + 1) * step
    read = ndimage.map_coordinates(
        integral, np.meshgrid(bounds, np.arange(moved.shape[1]), indexing="ij"), order=1, mode="nearest"
    )
    means: FloatArray = np.moveaxis(np.diff(read, axis=0) / step, 0, axis).astype(np.float32)
    return means
