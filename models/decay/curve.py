"""The decay of coherence: gamma(t) = (1 - rho_inf) exp(-t / tau) + rho_inf.

A part of what a pixel sends back lasts (rho_inf), the rest is renewed at a steady rate within about tau days. It is the
model that Kellndorfer et al. (2022, "Global seasonal Sentinel-1 interferometric coherence and backscatter data set",
Scientific Data 9:73) fit to each season, and the one that the simulator draws (`models.simulate.decay`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def renewal(days: npt.ArrayLike, tau: npt.ArrayLike) -> Any:
    """Correlation of the renewed part over a time, exp(-days / tau); the two broadcast and keep their dtype."""
    return np.exp(-np.divide(days, tau))


def coherence_at(days: npt.ArrayLike, tau: npt.ArrayLike, rho_inf: npt.ArrayLike) -> Any:
    """Coherence of two passes so many days apart.

    Parameters
    ----------
    days
        Temporal baseline in days, 0 or more.
    tau
        Decay time in days, more than 0; infinite where nothing decays.
    rho_inf
        Coherence that lasts, in [0, 1].

    Returns
    -------
    coherence
        Of the three's common shape, in [0, 1]; NaN where any is.
    """
    lasting = np.asarray(rho_inf)
    return lasting + (1 - lasting) * renewal(days, tau)
