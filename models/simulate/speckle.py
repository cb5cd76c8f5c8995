"""From scatterers to a detected image: the sensor's impulse response, its looks, detection and the product's pixels."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from models.simulate.product import Product, azimuth_window, range_windows

FloatArray = npt.NDArray[np.float32]
ComplexArray = npt.NDArray[np.complex64]

MARGIN = 8
"""Pixels around an image beyond which the impulse response's power is below 1e-3 of its peak for every product."""


def circular_gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> ComplexArray:
    """Independent circular complex Gaussian samples of mean power 1."""
    pairs = rng.standard_normal((*shape, 2), dtype=np.float32)
    pairs *= np.float32(np.sqrt(0.5))
    return pairs.view(np.complex64)[..., 0]


def detect(scatterers: ComplexArray, product: Product, shift: tuple[float, float] = (0.0, 0.0)) -> FloatArray:
    """Focus scatterers into the product's looks, detect, sum and resample onto its pixels.

    Parameters
    ----------
    scatterers
        Complex reflectivity, shape (height * samples[0], width * samples[1]). The array is taken as periodic: give a
        margin of `MARGIN` pixels on each side and crop it off.
    shift
        Rows and columns in pixels by which the image is shifted down and to the right, as by imprecise coregistration.

    Returns
    -------
    FloatArray
        Mean power of the looks, shape (height, width); over homogeneous ground its mean is the scatterers' mean power.
    """
    rows, cols = product.samples
    height, width = scatterers.shape[0] // rows, scatterers.shape[1] // cols
    every_sample = product.resampling == "average"
    azimuth, looks, length = _transfer(product, height, width, shift)
    spectrum = fft.fft(scatterers, axis=0)
    spectrum *= azimuth[:, np.newaxis]
    samples = fft.ifft(spectrum, axis=0, overwrite_x=True)
    if not every_sample:
        samples = samples[(rows - 1) // 2 :: rows]
    spectrum = fft.fft(samples, axis=1, overwrite_x=True)
    image = np.zeros((spectrum.shape[0], length), np.float32)
    for bins, weights in looks:
        look = np.zeros(image.shape, np.complex64)
        # Moving a look's band to frequency 0 only turns its phase, which detection removes.
        np.multiply(spectrum[:, bins], weights, out=look[:, : weights.size])
        look = fft.ifft(look, axis=1, overwrite_x=True)
        image += look.real**2
        image += look.imag**2
    if not every_sample:
        image = image[:, :: length // width]
    return _resample(image, product)


def focus(scatterers: ComplexArray, product: Product) -> ComplexArray:
    """The single-look complex image: the whole band under the sensor's windows, on the grid of the scatterers.

    Returns
    -------
    ComplexArray
        Same shape as `scatterers`, periodic; mean power 1 over homogeneous ground of power 1.
    """
    height, width = scatterers.shape[0] // product.samples[0], scatterers.shape[1] // product.samples[1]
    azimuth, _, _ = _transfer(product, height, width, (0.0, 0.0))
    frequencies = (np.arange(scatterers.shape[1]) / scatterers.shape[1] - 0.5) / product.sample_spacing[1]
    ranges = range_windows(replace(product, looks=1), frequencies)[0]
    ranges /= np.sqrt((ranges**2).mean())
    spectrum = fft.fft2(scatterers)
    spectrum *= np.abs(azimuth)[:, np.newaxis]
    spectrum *= ranges.astype(np.float32)
    samples: ComplexArray = fft.ifft2(spectrum, overwrite_x=True)
    return samples


@lru_cache(maxsize=64)
def _transfer(
    product: Product, height: int, width: int, shift: tuple[float, float]
) -> tuple[ComplexArray, tuple[tuple[slice, ComplexArray], ...], int]:
    """Transfer function along azimuth, for each look its bins along range and their weights, and samples along range.

    Normalised so that scatterers of mean power 1 give an image of mean 1. The carrier is put at half the sampling
    frequency, so that every look's band is one run of bins; the scatterers' phases are uniform, so it can't be seen.
    """
    rows, cols = product.samples
    every_sample = product.resampling == "average"
    step, range_step = product.sample_spacing

    frequencies = (np.arange(height * rows) / (height * rows) - 0.5) / step
    azimuth = azimuth_window(product, frequencies)
    azimuth /= np.sqrt((azimuth**2).mean())
    # A pixel's centre lies between two samples where their number is even.
    centre = 0.0 if every_sample else (rows - 1) / 2.0 - (rows - 1) // 2
    # Bilinear: sample i lies half a pixel beyond pixel i, so that pixel i is the mean of samples i - 1 and i.
    half = 0.5 if product.resampling == "bilinear" else 0.0
    ramp = np.exp(2j * np.pi * frequencies * (centre * step + (half - shift[0]) * product.spacing))

    count = width * cols
    ranges = (np.arange(count) / count - 0.5) / range_step
    windows = range_windows(product, ranges)
    # A look is focused on the pixels at once, unless its band needs more samples than there are pixels.
    widest = max(np.count_nonzero(window) for window in windows)
    length = count if every_sample or widest > width else width
    windows *= length / np.sqrt(count * (windows**2).sum())
    range_centre = 0.0 if every_sample else (cols - 1) / 2.0
    range_ramp = np.exp(2j * np.pi * ranges * (range_centre * range_step + (half - shift[1]) * product.spacing))
    looks = []
    for window in windows:
        inside = np.flatnonzero(window)
        bins = slice(int(inside[0]), min(int(inside[-1]) + 1, int(inside[0]) + length))
        looks.append((bins, (window * range_ramp)[bins].astype(np.complex64)))
    return (azimuth * ramp).astype(np.complex64), tuple(looks), length


def _resample(image: FloatArray, product: Product) -> FloatArray:
    """Detected samples onto the product's pixels."""
    if product.resampling == "nearest":
        return image
    if product.resampling == "bilinear":
        image = np.float32(0.5) * (image + np.roll(image, 1, axis=0))
        return np.float32(0.5) * (image + np.roll(image, 1, axis=1))
    rows, cols = product.samples
    height, width = image.shape[0] // rows, image.shape[1] // cols
    averaged: FloatArray = image.reshape(height, rows, width, cols).mean(axis=(1, 3), dtype=np.float32)
    return averaged
