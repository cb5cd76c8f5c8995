"""How well coherence can be known at all from detected speckle: the Bayes floor over homogeneous ground.

The intensities of one resolution cell in two images follow Kibble's bivariate gamma density (Kibble 1941, "A
two-variate gamma type distribution", Sankhya 5(2)) with shape L, the equivalent looks, and correlation rho = gamma^2.
Given N independent cells and a uniform prior over gamma, no estimate has a smaller root-mean-square error than the
posterior mean. Mean power is taken as known, and oversampled pixels as fewer independent cells: a floor for comparison,
no bound in the strict sense.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from models.simulate.product import Product, relative_covariance

DoubleArray = npt.NDArray[np.float64]

WINDOWS = (5, 9, 11, 15, 21, 31)
"""Sides in pixels for which floors are usually stated."""
_GRID = 64
_REACH = 6


@lru_cache(maxsize=32)
def pixels_per_cell(product: Product) -> float:
    """Pixels that hold one independent cell, as far as products of two images' speckle are concerned.

    Where there is no coherence, the deviations of two images are independent, so their product correlates from pixel
    to pixel as the square of the speckle's own correlation; the sum of that over all offsets is the area. Rows and
    columns contribute factors of their own.
    """
    variance = relative_covariance(product, (0, 0))
    reach = range(1, _REACH + 1)
    rows, cols = (
        1.0 + 2.0 * sum((relative_covariance(product, offset) / variance) ** 2 for offset in offsets)
        for offsets in ([(step, 0) for step in reach], [(0, step) for step in reach])
    )
    return rows * cols


@lru_cache(maxsize=64)
def bayes_floor(cells: int, looks: float, *, trials: int = 200, seed: int = 1) -> float:
    """Root-mean-square error of the posterior mean of gamma, by Monte Carlo.

    Its mean square equals the mean variance of the posterior, which is averaged instead: it varies much less.

    Parameters
    ----------
    cells
        Independent resolution cells in the window.
    looks
        Equivalent looks of each.
    trials
        Windows drawn.
    """
    rng = np.random.default_rng(seed)
    truth = (np.arange(trials) + rng.uniform(size=trials)) / trials  # stratified: every coherence has its share
    grid = (np.arange(_GRID) + 0.5) / _GRID
    variance = 0.0
    for gamma in truth:
        first, second = draw_kibble(rng, float(gamma), looks, cells)
        evidence = log_density(grid, first, second, looks).sum(axis=1)
        weight = np.exp(evidence - evidence.max())
        weight /= weight.sum()
        variance += float(weight @ grid**2) - float(weight @ grid) ** 2
    return math.sqrt(variance / trials)


def window_floor(window: int, product: Product, *, trials: int = 200) -> float:
    """`bayes_floor` of a square window of this many pixels a side."""
    cells = max(1, round(window**2 / pixels_per_cell(product)))
    return bayes_floor(cells, product.looks_equivalent, trials=trials)


def draw_kibble(rng: np.random.Generator, gamma: float, looks: float, count: int) -> tuple[DoubleArray, DoubleArray]:
    """Pairs of intensities of mean `looks` and correlation gamma^2: a gamma mixture over Poisson counts."""
    rho = min(gamma**2, 1.0 - 1e-9)
    first = rng.gamma(looks, size=count)
    second = rng.gamma(looks + rng.poisson(first * rho / (1.0 - rho))) * (1.0 - rho)
    return first, second


def log_density(gammas: DoubleArray, first: DoubleArray, second: DoubleArray, looks: float) -> DoubleArray:
    """Logarithm of Kibble's density over that of two independent gamma variates, less log Gamma(L).

    exp(-rho (x + y) / (1 - rho)) / (1 - rho) * (rho x y)^((1 - L) / 2) * I_(L-1)(2 sqrt(rho x y) / (1 - rho))

    Parameters
    ----------
    gammas
        Between 0 and 1, both excluded.
    first, second
        Intensities of mean `looks`, one-dimensional.

    Returns
    -------
    DoubleArray
        Shape (gammas, pairs).
    """
    rho = gammas[:, np.newaxis] ** 2
    product = np.sqrt(rho * first * second)
    argument = 2.0 * product / (1.0 - rho)
    bessel = _log_bessel(looks - 1.0, argument) + argument
    logarithm: DoubleArray = (
        bessel - (looks - 1.0) * np.log(product) - rho / (1.0 - rho) * (first + second) - np.log1p(-rho)
    )
    return logarithm


def _log_bessel(order: float, argument: DoubleArray) -> DoubleArray:
    """Logarithm of the scaled Bessel function I exp(-z), from a table: the function itself takes ten times as long."""
    places, values = _bessel_table(order)
    read: DoubleArray = np.interp(np.log(argument), places, values)
    return read


@lru_cache(maxsize=8)
def _bessel_table(order: float) -> tuple[DoubleArray, DoubleArray]:
    """Natural logarithm of the argument, 1e-7 to 1e9, and of the function; errs by less than 1e-4 between nodes."""
    places = np.linspace(-16.0, 21.0, 8192)
    return places, np.log(special.ive(order, np.exp(places)))
