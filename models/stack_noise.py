"""What a stack of passes can tell of a steady velocity at best: the Cramer-Rao bound over all its interferograms.

Monti Guarnieri & Tebaldini 2008, "On the exploitation of target statistics for SAR interferometry applications", IEEE
TGRS 46(11):3436-3443: with the matrix of coherences G of all pairs of passes, the Fisher information of the passes'
phases is 2 L (G o inv(G) - I). One pass is the reference. Noise of its own that every pass brings (the troposphere's,
mostly) is added to the phases before the line is fitted.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from models.decay.curve import coherence_at

DAYS_A_YEAR = 365.25
# Coherence can't quite be 1: this share of the signal is taken for noise, so that the matrix can be inverted.
LEAST_NOISE = 1e-6


def velocity_deviation(
    days: npt.ArrayLike, tau: float, rho_inf: float, looks: float, wavelength: float, atmosphere: float = 0.0
) -> float:
    """Standard deviation of a steady velocity along the line of sight, per year, in the wavelength's unit.

    Parameters
    ----------
    days
        When the passes were, in days; at least two at different times.
    tau, rho_inf
        Decay of coherence, see `models.decay.curve`.
    looks
        Independent looks averaged.
    wavelength
        Of the radar.
    atmosphere
        Standard deviation of what each pass adds to the displacement, independent from pass to pass, in the
        wavelength's unit.

    Returns
    -------
    deviation
        NaN for fewer than two different times.
    """
    times = np.sort(np.asarray(days, np.float64))
    if times.size < 2 or times[-1] <= times[0]:
        return math.nan
    gamma = np.asarray(coherence_at(np.abs(times[:, None] - times[None, :]), tau, rho_inf), np.float64)
    gamma = (1.0 - LEAST_NOISE) * gamma + LEAST_NOISE * np.eye(times.size)
    information = 2.0 * looks * (gamma * np.linalg.inv(gamma) - np.eye(times.size))
    phases = np.linalg.pinv(information[1:, 1:], hermitian=True)
    noise = phases * (wavelength / (4.0 * math.pi)) ** 2
    noise += atmosphere**2 * (np.eye(times.size - 1) + 1.0)
    years = (times[1:] - times[0]) / DAYS_A_YEAR
    return float(1.0 / math.sqrt(years @ np.linalg.solve(noise, years)))
