"""Detected images of several dates from the covariance of what the ground sends back at each pair of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.simulate.product import Product
from models.simulate.speckle import ComplexArray, circular_gaussian, detect, focus

FloatArray = npt.NDArray[np.float32]
Covariance = Sequence[Sequence[FloatArray]]
"""Lower triangle: entry [i][j], j <= i, has shape (height, width); the diagonal is received power."""

LEAST = np.float32(1e-12)


def draw_scatterers(covariance: Covariance, product: Product, rng: np.random.Generator) -> list[ComplexArray]:
    """Circular-Gaussian scatterers of every date with this covariance, on the product's grid of scatterers."""
    factor = cholesky(covariance)
    height, width = covariance[0][0].shape
    shape = (height * product.samples[0], width * product.samples[1])
    white = [circular_gaussian(rng, shape) for _ in factor]
    scatterers = []
    for row in factor:
        total = per_scatterer(row[0], product) * white[0]
        for entry, noise in zip(row[1:], white[1:], strict=False):
            total += per_scatterer(entry, product) * noise
        scatterers.append(total)
    return scatterers


def draw_images(
    covariance: Covariance,
    product: Product,
    rng: np.random.Generator,
    shifts: Sequence[tuple[float, float]],
    *,
    focused: int = 0,
) -> tuple[list[FloatArray], list[ComplexArray]]:
    """One detected image a date, shifted down and right by rows and columns in pixels.

    Parameters
    ----------
    focused
        How many dates, from the first, to give as focused complex samples too (`speckle.focus`), not shifted.

    Returns
    -------
    images, samples
        Shape (height, width), periodic: see `speckle.detect`.
    """
    scatterers = draw_scatterers(covariance, product, rng)
    samples = [focus(date, product) for date in scatterers[:focused]]
    images = [detect(date, product, shift) for date, shift in zip(scatterers, shifts, strict=True)]
    return images, samples


def cholesky(covariance: Covariance) -> list[list[FloatArray]]:
    """Factor L of covariance = L L^T at each pixel; what rounding makes negative counts as zero."""
    factor: list[list[FloatArray]] = []
    for i, row in enumerate(covariance):
        entries: list[FloatArray] = []
        for j in range(i):
            rest = row[j] - sum((entries[k] * factor[j][k] for k in range(j)), np.float32(0.0))
            entries.append(np.where(factor[j][j] > LEAST, rest / np.maximum(factor[j][j], LEAST), np.float32(0.0)))
        rest = row[i] - sum((entry**2 for entry in entries), np.float32(0.0))
        entries.append(np.sqrt(np.maximum(rest, np.float32(0.0))))
        factor.append(entries)
    return factor


def per_scatterer(array: FloatArray, product: Product) -> FloatArray:
    """A value of each pixel, repeated for its scatterers."""
    return np.repeat(np.repeat(array, product.samples[1], axis=1), product.samples[0], axis=0)
