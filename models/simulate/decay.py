"""Coherence over time: a part of every scatterer lasts, the rest is renewed at a steady rate, and an event may strike.

The reflectivity of a scatterer at time t is ``sqrt(rho) p + sqrt(1 - rho) a(t)``, with p drawn once and a(t) a circular
Gaussian process of covariance exp(-|dt| / tau) (first-order autoregressive from pass to pass). The coherence of any two
passes is then exactly gamma(dt) = (1 - rho) exp(-dt / tau) + rho, the curve of `models.decay`. An event at time e keeps
only a share s of both parts' amplitude: p' = s p + sqrt(1 - s^2) q, likewise a.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.decay.curve import renewal

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Regime:
    """Lasting share and decay time of the ground between two events: float32 arrays of one shape."""

    lasting: FloatArray
    """rho, in [0, 1]."""
    days: FloatArray
    """tau, in days, positive."""

    def renewal(self, days: float) -> FloatArray:
        """Correlation of the renewed part over a time of so many days."""
        renewed: FloatArray = renewal(np.float32(days), self.days)
        return renewed


@dataclass(frozen=True)
class History:
    """How the ground decorrelates, before, after and across the event.

    Attributes
    ----------
    event
        When it happened, days on the same clock as the passes; infinite where nothing happens.
    survival
        Share of the scatterers' amplitude that outlasts the event; 1 where it did not strike.
    """

    before: Regime
    after: Regime
    survival: FloatArray
    event: float

    def regime(self, day: float) -> Regime:
        """What holds on a day."""
        return self.before if day < self.event else self.after

    def strikes(self, first: float, second: float) -> bool:
        """Whether the event lies between two days, the earlier one given first."""
        return first < self.event <= second

    def renewal(self, first: float, second: float) -> FloatArray:
        """Correlation of the renewed part from one day to a later one."""
        if not self.strikes(first, second):
            return self.regime(first).renewal(second - first)
        across = self.before.renewal(self.event - first) * self.after.renewal(second - self.event)
        return self.survival * across

    def coherence(self, first: float, second: float) -> FloatArray:
        """Population coherence of the ground between two days in either order, in [0, 1]."""
        first, second = min(first, second), max(first, second)
        one, two = self.regime(first), self.regime(second)
        kept = self.survival if self.strikes(first, second) else np.float32(1.0)
        lasting: FloatArray = kept * np.sqrt(one.lasting * two.lasting)
        renewed: FloatArray = np.sqrt((1.0 - one.lasting) * (1.0 - two.lasting)) * self.renewal(first, second)
        return lasting + renewed
