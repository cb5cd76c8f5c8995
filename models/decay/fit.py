"""Fit of the decay curve to coherence at several baselines, for many pixels at once, and what can't be told from them.

Weighted least squares in (log tau, rho_inf): the best of a grid of curves for each pixel, then Levenberg-Marquardt
steps from there. Readings are compared with what the estimator would read on average for the curve's coherence
(`models.decay.response`), so the floor that estimators keep above zero does not pass for coherence that lasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decay.curve import coherence_at, renewal
from models.decay.response import IDENTITY, Response
from models.errors import ModelError
from models.estimator import LEAST_SIGMA

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

# Pixels fitted together: their tables take some tens of megabytes.
BLOCK = 8192
# Curves tried first: decay times over the range searched, and lasting coherence.
TAUS, RHOS = 24, 11
STEPS = 14
# Decay times are searched from this share of the shortest baseline to this multiple of the longest.
SHORTEST, LONGEST = 0.25, 8.0
# What is told: tau within these multiples of the shortest and the longest baseline …
FASTEST, SLOWEST = 0.5, 1.5
# … with a relative standard error of tau, and a standard error of rho_inf, of no more than these.
TAU_ERROR, RHO_ERROR = 0.5, 0.15
# A fall of chi-square, against the same coherence at every baseline, that two standard errors would make.
RESOLVED = 4.0
# Above this reduced chi-square the points don't lie on such a curve.
ODD = 4.0
FEWEST = 3


class Quality(IntEnum):
    """What the data can tell of a pixel's decay."""

    NO_DATA = 0
    FITTED = 1
    """tau and rho_inf are told."""
    ODD_CURVE = 2
    """They are told, but the points lie farther from the curve than their errors allow."""
    FAST = 3
    """Decayed before the shortest baseline: rho_inf is told, tau is not."""
    SLOW = 4
    """Decays beyond the longest baseline: neither is told."""
    FLAT = 5
    """No decay to be seen among the baselines: neither is told."""
    FLOOR = 6
    """No more coherence at any baseline than the estimator reads where there is none: neither is told."""
    UNCERTAIN = 7
    """The standard errors are too large: neither is told."""
    FEW_BASELINES = 8
    """Fewer baselines with data than the curve needs: neither is told."""


TOLD = (Quality.FITTED, Quality.ODD_CURVE)


@dataclass(frozen=True)
class Fit:
    """The curve of each pixel; all arrays of one shape.

    Attributes
    ----------
    tau, tau_error
        Decay time and its standard error in days, float32; NaN where `quality` says that it can't be told.
    rho_inf, rho_inf_error
        Lasting coherence and its standard error, float32; NaN likewise.
    rmse
        Root-mean-square distance of the readings from the fitted curve, as read; NaN where there is no curve.
    baselines
        Number of baselines with data, uint8.
    quality
        `Quality`, uint8.
    """

    tau: FloatArray
    tau_error: FloatArray
    rho_inf: FloatArray
    rho_inf_error: FloatArray
    rmse: FloatArray
    baselines: npt.NDArray[np.uint8]
    quality: npt.NDArray[np.uint8]


@dataclass
class _Curves:
    """State of the fit of some pixels: parameters (pixels,), readings and weights (pixels, baselines)."""

    days: DoubleArray
    readings: DoubleArray
    weights: DoubleArray
    response: Response

    def expected(self, log_tau: DoubleArray, rho: DoubleArray) -> tuple[DoubleArray, ...]:
        """Expected readings of curves, and their derivatives by log tau and by rho_inf."""
        share = renewal(self.days, np.exp(log_tau)[:, np.newaxis])
        lasting = rho[:, np.newaxis]
        reading, slope = self.response.expected(lasting + (1 - lasting) * share)
        scaled = self.days / np.exp(log_tau)[:, np.newaxis]
        return reading, slope * (1 - lasting) * share * scaled, slope * (1 - share)

    def misfit(self, reading: DoubleArray) -> DoubleArray:
        """Chi-square of expected readings."""
        return np.asarray((self.weights * (self.readings - reading) ** 2).sum(axis=1))


def fit(
    days: npt.ArrayLike,
    coherence: npt.NDArray[Any],
    sigma: npt.NDArray[Any],
    *,
    response: Response = IDENTITY,
) -> Fit:
    """Fit gamma(t) = (1 - rho_inf) exp(-t / tau) + rho_inf to each pixel.

    Parameters
    ----------
    days
        Temporal baselines, shape (baselines,), all different and positive.
    coherence, sigma
        Reading at each baseline and its standard deviation, shape (baselines, ...); NaN where there is no data.
    response
        What the estimator reads on average at a true coherence; without it readings count as unbiased.

    Raises
    ------
    ModelError
        The shapes don't fit, or the baselines aren't positive and different.

    Notes
    -----
    Standard errors come from the curvature of chi-square at the minimum, widened by the square root of the reduced
    chi-square where that exceeds 1 (the rule of the Particle Data Group for inconsistent measurements). The response's
    spread is added to sigma in squares: that part of an error is the same in all pairs of a place.
    """
    baselines = np.asarray(days, np.float64)
    _check(baselines, coherence, sigma)
    flat, errors = (array.reshape(len(baselines), -1) for array in (coherence, sigma))
    blocks = [slice(start, start + BLOCK) for start in range(0, flat.shape[1], BLOCK)]
    made = [_fit_block(baselines, flat[:, block], errors[:, block], response) for block in blocks]
    shape = coherence.shape[1:]

    def whole(name: str) -> Any:
        return np.concatenate([part[name] for part in made]).reshape(shape) if made else np.empty(shape)

    floats = {name: whole(name).astype(np.float32) for name in ("tau", "tau_error", "rho_inf", "rho_inf_error", "rmse")}
    return Fit(**floats, baselines=whole("baselines").astype(np.uint8), quality=whole("quality").astype(np.uint8))


def _check(days: DoubleArray, coherence: npt.NDArray[Any], sigma: npt.NDArray[Any]) -> None:
    if days.ndim != 1 or coherence.shape != sigma.shape or coherence.shape[:1] != days.shape:
        raise ModelError(
            f"a fit takes coherence and sigma of one shape, baselines first, not {coherence.shape} and {sigma.shape} "
            f"for {days.size} baselines"
        )
    if not (days > 0).all() or np.unique(days).size < days.size:
        raise ModelError(f"baselines must be positive and different, not {days.tolist()}; join pairs of one baseline")


def _fit_block(days: DoubleArray, coherence: Any, sigma: Any, response: Response) -> dict[str, npt.NDArray[Any]]:
    there = (np.isfinite(coherence) & np.isfinite(sigma) & (sigma > 0)).T
    readings = np.where(there, coherence.T, 0.0).astype(np.float64)
    variance = np.where(there, sigma.T, 1.0).astype(np.float64) ** 2 + response.lasting_sigma(readings) ** 2
    weights = np.where(there, 1.0 / np.maximum(variance, LEAST_SIGMA**2), 0.0)
    curves = _Curves(days, readings, weights, response)
    log_tau, rho = _descend(curves, *_best_of_grid(curves))
    count = there.sum(axis=1)
    reading, by_tau, by_rho = curves.expected(log_tau, rho)
    chi2 = curves.misfit(reading)
    reduced = chi2 / np.maximum(count - 2, 1)
    tau_error, rho_error = _errors(weights, by_tau, by_rho, reduced)
    tau = np.exp(log_tau)
    residual = np.where(there, readings - reading, 0.0)
    quality = _judge(curves, there, tau, chi2, reduced, tau_error, rho_error)
    told = np.isin(quality, TOLD)
    lasting = told | (quality == Quality.FAST)
    return {
        "tau": np.where(told, tau, np.nan),
        "tau_error": np.where(told, tau * tau_error, np.nan),
        "rho_inf": np.where(lasting, rho, np.nan),
        "rho_inf_error": np.where(lasting, rho_error, np.nan),
        "rmse": np.where(lasting, np.sqrt((residual**2).sum(axis=1) / np.maximum(count, 1)), np.nan),
        "baselines": count,
        "quality": quality,
    }


def _best_of_grid(curves: _Curves) -> tuple[DoubleArray, DoubleArray]:
    """The best of a grid of curves for every pixel, by three matrix products."""
    days = curves.days
    log_taus = np.linspace(np.log(SHORTEST * days.min()), np.log(LONGEST * days.max()), TAUS)
    grid_tau, grid_rho = (axis.ravel() for axis in np.meshgrid(log_taus, np.linspace(0.0, 0.98, RHOS)))
    candidates = coherence_at(days, np.exp(grid_tau)[:, np.newaxis], grid_rho[:, np.newaxis])
    reading, _ = curves.response.expected(candidates)
    chi2 = curves.weights @ (reading**2).T - 2.0 * (curves.weights * curves.readings) @ reading.T
    best = chi2.argmin(axis=1)
    return grid_tau[best], grid_rho[best]


def _descend(curves: _Curves, log_tau: DoubleArray, rho: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Levenberg and Marquardt's steps; a step that makes things worse is not taken, and the next is shorter."""
    low, high = np.log(SHORTEST * curves.days.min()), np.log(LONGEST * curves.days.max())
    damping = np.full(log_tau.shape, 1e-2)
    here = curves.expected(log_tau, rho)
    chi2 = curves.misfit(here[0])
    for _ in range(STEPS):
        reading, by_tau, by_rho = here
        left = curves.weights * (curves.readings - reading)
        top_tau, top_rho = (left * by_tau).sum(axis=1), (left * by_rho).sum(axis=1)
        a, b, c = _normal(curves.weights, by_tau, by_rho)
        a, c = a * (1 + damping) + 1e-9, c * (1 + damping) + 1e-9
        determinant = np.maximum(a * c - b * b, 1e-18)
        new_tau = np.clip(log_tau + (c * top_tau - b * top_rho) / determinant, low, high)
        new_rho = np.clip(rho + (a * top_rho - b * top_tau) / determinant, 0.0, 1.0)
        there = curves.expected(new_tau, new_rho)
        tried = curves.misfit(there[0])
        better = tried <= chi2
        log_tau, rho = np.where(better, new_tau, log_tau), np.where(better, new_rho, rho)
        here = tuple(np.where(better[:, np.newaxis], new, old) for new, old in zip(there, here, strict=True))
        chi2 = np.where(better, tried, chi2)
        damping = np.clip(np.where(better, damping / 5, damping * 10), 1e-6, 1e6)
    return log_tau, rho


def _normal(weights: DoubleArray, by_tau: DoubleArray, by_rho: DoubleArray) -> tuple[DoubleArray, ...]:
    """Entries of the normal matrix: tau tau, tau rho, rho rho."""
    return (
        (weights * by_tau**2).sum(axis=1),
        (weights * by_tau * by_rho).sum(axis=1),
        (weights * by_rho**2).sum(axis=1),
    )


def _errors(
    weights: DoubleArray, by_tau: DoubleArray, by_rho: DoubleArray, reduced: DoubleArray
) -> tuple[DoubleArray, DoubleArray]:
    """Standard errors of log tau and of rho_inf; infinite where the baselines can't tell the two apart."""
    a, b, c = _normal(weights, by_tau, by_rho)
    determinant = a * c - b * b
    sound = determinant > 1e-12 * np.maximum(a * c, 1e-300)
    widened = np.maximum(reduced, 1.0) / np.where(sound, determinant, 1.0)
    return np.where(sound, np.sqrt(c * widened), np.inf), np.where(sound, np.sqrt(a * widened), np.inf)


def _judge(
    curves: _Curves,
    there: npt.NDArray[np.bool_],
    tau: DoubleArray,
    chi2: DoubleArray,
    reduced: DoubleArray,
    tau_error: DoubleArray,
    rho_error: DoubleArray,
) -> npt.NDArray[np.uint8]:
    """What can be told of each pixel; the first reason that holds decides."""
    count, total = there.sum(axis=1), np.maximum(curves.weights.sum(axis=1), 1e-12)
    mean = (curves.weights * curves.readings).sum(axis=1) / total
    scatter = (curves.weights * (curves.readings - mean[:, np.newaxis]) ** 2).sum(axis=1)
    # days with data decide what is short and long at a pixel
    shortest = np.where(there, curves.days, np.inf).min(axis=1)
    longest = np.where(there, curves.days, 0.0).max(axis=1)
    inflation = np.maximum(reduced, 1.0)
    return np.select(
        [
            count == 0,
            count < FEWEST,
            mean - curves.response.floor < 2.0 * np.sqrt(inflation / total),
            scatter - chi2 < RESOLVED * inflation,
            (tau < FASTEST * shortest) & (rho_error <= RHO_ERROR),
            tau > SLOWEST * longest,
            (tau_error > TAU_ERROR) | (rho_error > RHO_ERROR) | (tau < FASTEST * shortest),
            reduced > ODD,
        ],
        [
            Quality.NO_DATA,
            Quality.FEW_BASELINES,
            Quality.FLOOR,
            Quality.FLAT,
            Quality.FAST,
            Quality.SLOW,
            Quality.UNCERTAIN,
            Quality.ODD_CURVE,
        ],
        default=Quality.FITTED,
    ).astype(np.uint8)
