"""The azimuth spectrum of a TOPS image: where its centre lies, and how to bring that to zero.

As the antenna is steered along a burst, the centroid drifts from line to line, by a whole sampling frequency within
some hundred lines. Whatever filters or interpolates along azimuth must take the drift out first, or it cuts the band.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

ComplexArray = npt.NDArray[np.complex64]

_SMOOTH = 9
"""Lines over which the turning of the phase is averaged before it is unwrapped."""


def azimuth_centroid(image: ComplexArray) -> tuple[float, float]:
    """Centroid of the azimuth spectrum at the first line, in cycles a line, and its drift in cycles a line, per line.

    The phase of each line's correlation with the next is the centroid there (Madsen 1989, "Estimating the Doppler
    centroid of SAR data", IEEE TAES 25(2)); a straight line is fitted to it.

    Parameters
    ----------
    image
        Shape (lines, samples), at least two lines.
    """
    turns = (image[1:].astype(np.complex128) * np.conj(image[:-1])).sum(axis=1)
    smooth = ndimage.uniform_filter1d(turns.real, _SMOOTH) + 1j * ndimage.uniform_filter1d(turns.imag, _SMOOTH)
    centroids = np.unwrap(np.angle(smooth)) / (2.0 * np.pi)
    if centroids.size == 1:
        return float(centroids[0]), 0.0
    drift, start = np.polyfit(np.arange(centroids.size) + 0.5, centroids, 1, w=np.sqrt(np.abs(turns)))
    return float(start), float(drift)


def deramped(image: ComplexArray) -> ComplexArray:
    """The image with its azimuth spectrum centred on zero at every line; its moduli stay as they are."""
    start, drift = azimuth_centroid(image)
    lines = np.arange(image.shape[0], dtype=np.float64)
    turn: ComplexArray = np.exp(-2j * np.pi * (start * lines + 0.5 * drift * lines**2)).astype(np.complex64)
    turned: ComplexArray = image * turn[:, np.newaxis]
    return turned
