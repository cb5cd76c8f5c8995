"""What covers the ground, and how each cover scatters and decorrelates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

BANDS = ("VV", "VH")


class Cover(IntEnum):
    """Land cover; the numbers are the values of the cover map."""

    SEA = 0
    RIVER = 1
    FIELD = 2
    FOREST = 3
    BUILDINGS = 4
    STREET = 5
    GARDEN = 6
    ROCK = 7


@dataclass(frozen=True)
class Scattering:
    """Typical values of one cover; stands and parcels scatter around them.

    Attributes
    ----------
    vv, vh
        Backscatter in dB.
    spread
        Standard deviation in dB from one stand or parcel to the next.
    lasting
        Range of the lasting part of coherence, rho_inf.
    days
        Median of the decay time tau in days.
    days_spread
        Standard deviation of ln(tau) from one stand or parcel to the next.
    weather
        Standard deviation in dB of a stand's backscatter from one pass to the next (moisture, wind).
    """

    vv: float
    vh: float
    spread: float
    lasting: tuple[float, float]
    days: float
    days_spread: float
    weather: float


# Backscatter: C-band averages at 35-45 degrees of incidence. Decay: C-band 12-day coherence of about 0.2-0.5 in forest,
# 0.3-0.8 on fields, 0.6-0.9 on bare ground, 0.7-0.9 in towns, none on water; the ranges of neighbouring covers overlap
# on purpose, so that cover does not tell coherence.
SCATTERING: dict[Cover, Scattering] = {
    Cover.SEA: Scattering(-15.0, -26.0, 0.0, (0.0, 0.0), 0.1, 0.0, 1.5),
    Cover.RIVER: Scattering(-18.0, -27.0, 0.0, (0.0, 0.0), 0.1, 0.0, 1.0),
    Cover.FIELD: Scattering(-11.5, -18.5, 1.8, (0.02, 0.40), 22.0, 0.7, 0.9),
    Cover.FOREST: Scattering(-9.0, -15.0, 0.6, (0.03, 0.25), 8.0, 0.4, 0.3),
    Cover.BUILDINGS: Scattering(-3.0, -10.0, 1.5, (0.50, 0.85), 90.0, 0.5, 0.1),
    Cover.STREET: Scattering(-13.5, -21.0, 1.0, (0.35, 0.70), 60.0, 0.4, 0.5),
    Cover.GARDEN: Scattering(-9.5, -16.0, 1.2, (0.10, 0.45), 18.0, 0.5, 0.5),
    Cover.ROCK: Scattering(-10.0, -17.5, 1.2, (0.15, 0.70), 35.0, 0.7, 0.4),
}
