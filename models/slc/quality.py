"""How well a coherence tells the noise of the phase: its standard deviation where coherence is said to be this much.

The measure of Sosnovsky et al. (see `models.slc.fourier`): psi(gamma), the standard deviation of the interferometric
phase's error over the samples of one estimated coherence, should fall as theory has it; an estimate that loses
coherence on slopes puts good phases where bad ones belong.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

DoubleArray = npt.NDArray[np.float64]


def phase_noise(coherence: npt.ArrayLike) -> DoubleArray:
    """Standard deviation in radians of the phase of a single look.

    sqrt(pi^2 / 3 - pi asin(g) + asin(g)^2 - Li2(g^2) / 2): Bamler & Hartl 1998, "Synthetic aperture radar
    interferometry", Inverse Problems 14, after the exact density of Lee et al. 1994.

    Parameters
    ----------
    coherence
        In [0, 1].
    """
    gamma = np.asarray(coherence, np.float64)
    angle = np.arcsin(gamma)
    dilogarithm = special.spence(1.0 - gamma**2)
    variance: DoubleArray = math.pi**2 / 3.0 - math.pi * angle + angle**2 - 0.5 * dilogarithm
    return np.sqrt(np.maximum(variance, 0.0))


def psi(coherence: npt.ArrayLike, error: npt.ArrayLike, bins: npt.ArrayLike, least: int = 200) -> DoubleArray:
    """Root mean square of the phase's error where the estimated coherence lies between neighbouring bounds.

    Parameters
    ----------
    coherence, error
        Estimated coherence, and error of the phase in radians in [-pi, pi]; same shape, NaN left out.
    bins
        Bounds, rising.
    least
        Samples below which a mean says nothing.

    Returns
    -------
    DoubleArray
        One value between each two bounds, NaN where there are too few samples.
    """
    said, off = (np.asarray(part, np.float64).ravel() for part in (coherence, error))
    there = np.isfinite(said) & np.isfinite(off)
    said, off, bounds = said[there], off[there], np.asarray(bins, np.float64)
    place = np.clip(np.digitize(said, bounds) - 1, -1, bounds.size - 1)
    place[said == bounds[-1]] = bounds.size - 2
    values = [off[place == k] for k in range(bounds.size - 1)]
    return np.array([math.sqrt(np.mean(part**2)) if part.size >= least else math.nan for part in values])
