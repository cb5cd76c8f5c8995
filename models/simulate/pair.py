"""A pair of detected images whose population coherence is known, from first principles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from models.errors import ModelError
from models.simulate.product import GRD_10M, RTC_20M, RTC_30M, Product, footprint, product_for
from models.simulate.series import draw_images
from models.simulate.speckle import MARGIN

__all__ = ["GRD_10M", "RTC_20M", "RTC_30M", "Product", "SimulatedPair", "product_for", "simulate_pair"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SimulatedPair:
    """Two images and the coherence that an unbiased estimate of infinite precision would find.

    Attributes
    ----------
    reference, secondary
        Linear power, float32, shape (height, width).
    coherence
        Population coherence of the two complex images at each pixel: over its resolution cell, weighted by power,
        thermal noise included; float32, shape (height, width). Intensities of the same coherence everywhere correlate
        as its square; at an edge across range they correlate a little more, because the looks' bands overlap there.
    """

    reference: FloatArray
    secondary: FloatArray
    coherence: FloatArray


def simulate_pair(
    coherence: npt.NDArray[np.floating],
    backscatter: npt.NDArray[np.floating] | Sequence[npt.NDArray[np.floating]],
    *,
    product: Product = GRD_10M,
    rng: np.random.Generator,
    noise: float = 0.0,
    registration: tuple[float, float] = (0.0, 0.0),
) -> SimulatedPair:
    """Draw circular-Gaussian scatterers of given coherence and make two images of them as the sensor would.

    A scatterer of backscatter s1, s2 and coherence g has the two reflectivities sqrt(s1) z1 and
    sqrt(s2) (g z1 + sqrt(1 - g^2) w), with z1, w independent circular Gaussians; thermal noise of power n is white
    over the same band, which is the same as scatterers of power s + n and coherence g sqrt(s1 s2 / (s1+n) / (s2+n)).
    The impulse response, the looks and the detection follow (`speckle.detect`).

    Parameters
    ----------
    coherence
        Coherence of the ground in [0, 1], shape (height, width), on the product's pixels.
    backscatter
        Linear power of the ground, same shape; or one for each image (of more, the first two).
    noise
        Noise-equivalent backscatter (NESZ), linear power.
    registration
        Rows and columns in pixels by which the secondary lies too far down and right. The coherence returned is that
        of the images once registered.

    Raises
    ------
    ModelError
        Shapes differ, coherence outside [0, 1], or negative power.
    """
    gamma = np.asarray(coherence, np.float32)
    both = (backscatter, backscatter) if isinstance(backscatter, np.ndarray) else backscatter[:2]
    ground = [np.asarray(power, np.float32) for power in both]
    _check(gamma, ground, noise)

    height, width = gamma.shape
    rows, cols = (margins(side, shift) for side, shift in zip(gamma.shape, registration, strict=True))
    gamma = np.pad(gamma, (rows, cols), mode="symmetric")
    ground = [np.pad(power, (rows, cols), mode="symmetric") for power in ground]
    received = [power + np.float32(noise) for power in ground]
    common = gamma * np.sqrt(ground[0] * ground[1])

    covariance = [[received[0]], [common, received[1]]]
    images, _ = draw_images(covariance, product, rng, [(0.0, 0.0), registration])
    inside = np.s_[rows[0] : rows[0] + height, cols[0] : cols[0] + width]
    truth = resolved_coherence(common, received[0], received[1], product)[inside]
    return SimulatedPair(images[0][inside].copy(), images[1][inside].copy(), truth.copy())


def resolved_coherence(common: FloatArray, first: FloatArray, second: FloatArray, product: Product) -> FloatArray:
    """Population coherence of the sensor's samples: common power over received power, each over the resolution cell.

    Parameters
    ----------
    common
        Coherence times the geometric mean of the two backscatters, per pixel.
    first, second
        Received power, thermal noise included, per pixel.

    Returns
    -------
    FloatArray
        float32 in [0, 1], same shape; 0 where nothing is received.
    """
    return coherence_of_cells(*(over_cell(array, product) for array in (common, first, second)))


def coherence_of_cells(common: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """`resolved_coherence` of powers that are over the resolution cell already."""
    bottom = np.sqrt(first * second)
    ratio: FloatArray = np.divide(common, bottom, out=np.zeros_like(common), where=bottom > 0)
    return ratio.clip(0.0, 1.0)


def over_cell(array: FloatArray, product: Product) -> FloatArray:
    """Power per pixel, averaged over each pixel's resolution cell."""
    rows, cols = footprint(product)
    smooth = ndimage.convolve1d(array, rows, axis=0, mode="nearest")
    return ndimage.convolve1d(smooth, cols, axis=1, mode="nearest")


def margins(side: int, shift: float) -> tuple[int, int]:
    """Pixels to add before and after, so that the periodic transform wraps outside the image and factors well."""
    least = MARGIN + math.ceil(abs(shift))
    total: int = fft.next_fast_len(side + 2 * least)
    return least, total - side - least


def _check(coherence: FloatArray, backscatter: list[FloatArray], noise: float) -> None:
    if coherence.ndim != 2 or any(power.shape != coherence.shape for power in backscatter):
        shapes = ", ".join(str(array.shape) for array in (coherence, *backscatter))
        raise ModelError(f"coherence and backscatter must be images of one shape, not {shapes}")
    if not (coherence.min(initial=0.0) >= 0.0 and coherence.max(initial=0.0) <= 1.0):
        raise ModelError("coherence must lie in [0, 1] everywhere; clip the map before simulating")
    if noise < 0 or not all(power.min(initial=0.0) >= 0.0 for power in backscatter):
        raise ModelError("backscatter and noise are linear power and can't be negative; convert dB with 10**(dB/10)")
