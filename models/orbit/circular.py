"""A circular orbit whose ground track repeats, with the secular precession that the Earth's flattening (J2) causes.

Modelled: the drift of the node and the change of the orbital period by J2 (Vallado, "Fundamentals of Astrodynamics and
Applications", section 9.6), the Earth's rotation. Not modelled: eccentricity, the periodic part of J2 (some kilometres
of height), drag, manoeuvres and the width of the orbital tube.

Angles are in radians, lengths in metres, times in days unless a name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import ModelError

DoubleArray = npt.NDArray[np.float64]

# WGS 84 and EGM96: gravity, flattening and radius; the tropical year.
MU, J2, RADIUS = 3.986004418e14, 1.08262668e-3, 6378137.0
YEAR_DAYS = 365.24219
DAY = 86400.0
# The Earth turns once a day against the mean sun, and once more a year against the equinox.
ROTATION = 2.0 * math.pi / DAY * (1.0 + 1.0 / YEAR_DAYS)
# A ground track further from the ground than this is no imaging radar's, and one below falls down.
LOWEST, HIGHEST = 250e3, 2000e3


@dataclass(frozen=True)
class RepeatOrbit:
    """A circular orbit whose ground track closes after a whole number of revolutions.

    Attributes
    ----------
    revolutions
        Revolutions a cycle, from ascending node to ascending node.
    nodal_days
        Turns of the Earth under the orbital plane a cycle; for a sun-synchronous orbit that is days.
    semi_major_axis
        Metres.
    inclination
        Radians.
    node_longitude
        Longitude of the ascending node of the cycle's first revolution, radians.
    """

    revolutions: int
    nodal_days: int
    semi_major_axis: float
    inclination: float
    node_longitude: float = 0.0

    @property
    def altitude(self) -> float:
        """Height over the equator in metres."""
        return self.semi_major_axis - RADIUS

    @property
    def node_rate(self) -> float:
        """Precession of the node against the stars in radians a second."""
        return _node_rate(self.semi_major_axis, self.inclination)

    @property
    def cycle(self) -> float:
        """Days after which the ground track repeats."""
        return self.nodal_days * 2.0 * math.pi / (ROTATION - self.node_rate) / DAY

    @property
    def period(self) -> float:
        """Days from ascending node to ascending node."""
        return self.cycle / self.revolutions

    def node(self, revolution: int) -> float:
        """Longitude in radians, in [-pi, pi), of the ascending node of a revolution counted from 1."""
        turned = 2.0 * math.pi * ((revolution - 1) * self.nodal_days % self.revolutions) / self.revolutions
        return (self.node_longitude - turned + math.pi) % (2.0 * math.pi) - math.pi

    def state(self, latitude_argument: npt.ArrayLike, node: float) -> tuple[DoubleArray, DoubleArray]:
        """Position in metres, and direction of flight over the turning Earth, both fixed to the Earth.

        Parameters
        ----------
        latitude_argument
            Angle along the orbit from the ascending node, any shape.
        node
            Longitude of that ascending node.

        Returns
        -------
        position, direction
            Shape (..., 3); the direction is of unit length.
        """
        u = np.asarray(latitude_argument, np.float64)
        slowness = self.nodal_days / self.revolutions  # turn of the Earth under the orbit for each turn of the orbit
        longitude = node - slowness * u
        cos_i, sin_i = math.cos(self.inclination), math.sin(self.inclination)
        flat = np.stack([np.cos(u), np.sin(u) * cos_i, np.sin(u) * sin_i], axis=-1)
        motion = np.stack([-np.sin(u), np.cos(u) * cos_i, np.cos(u) * sin_i], axis=-1)
        # seen from the turning Earth, what stands still moves westwards
        motion = motion + slowness * np.stack([flat[..., 1], -flat[..., 0], np.zeros_like(u)], axis=-1)
        position = self.semi_major_axis * _turn(flat, longitude)
        direction = _turn(motion, longitude)
        return position, direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def repeat_orbit(
    revolutions: int, nodal_days: int, inclination: float | None = None, node_longitude: float = 0.0
) -> RepeatOrbit:
    """The orbit that makes so many revolutions in so many days; height follows, and inclination where none is given.

    Parameters
    ----------
    revolutions, nodal_days
        Whole numbers without a common factor, else the true cycle would be shorter.
    inclination
        Radians; sun-synchronous where left out.

    Raises
    ------
    ModelError
        No such orbit, or none that a radar satellite could fly.
    """
    if revolutions < 1 or nodal_days < 1:
        raise ModelError("an orbit that repeats needs at least one revolution and one day")
    if (common := math.gcd(revolutions, nodal_days)) > 1:
        raise ModelError(
            f"{revolutions} revolutions in {nodal_days} days repeat after {nodal_days // common} already; "
            f"give {revolutions // common} and {nodal_days // common}"
        )
    axis = _axis(revolutions, nodal_days, inclination)
    if not LOWEST <= axis - RADIUS <= HIGHEST:
        raise ModelError(
            f"{revolutions} revolutions in {nodal_days} days need a height of {(axis - RADIUS) / 1e3:.0f} km; radars "
            f"fly at {LOWEST / 1e3:.0f} to {HIGHEST / 1e3:.0f} km, between about "
            f"{math.ceil(11.4 * nodal_days)} and {math.floor(16.0 * nodal_days)} revolutions"
        )
    tilt = _sun_synchronous(axis) if inclination is None else inclination
    return RepeatOrbit(revolutions, nodal_days, axis, tilt, node_longitude)


def nearest_revolutions(altitude: float, nodal_days: int, inclination: float | None = None) -> int:
    """Revolutions a cycle of the repeating orbit nearest to a height in metres."""
    near = round(nodal_days * DAY / (2.0 * math.pi * math.sqrt((RADIUS + altitude) ** 3 / MU)))
    fitting = [n for n in range(near - nodal_days - 1, near + nodal_days + 2) if n > 0 and math.gcd(n, nodal_days) == 1]
    return min(fitting, key=lambda n: abs(_axis(n, nodal_days, inclination) - RADIUS - altitude))


def _axis(revolutions: int, nodal_days: int, inclination: float | None) -> float:
    """Semi-major axis at which the revolutions fit into the days; each round brings the J2 terms nearer."""
    axis = float((MU * (nodal_days * DAY / revolutions / (2.0 * math.pi)) ** 2) ** (1.0 / 3.0))
    for _ in range(30):
        tilt = _sun_synchronous(axis) if inclination is None else inclination
        wanted = (ROTATION - _node_rate(axis, tilt)) * revolutions / nodal_days
        motion = wanted / (1.0 + 1.5 * J2 * (RADIUS / axis) ** 2 * (4.0 * math.cos(tilt) ** 2 - 1.0))
        axis = float((MU / motion**2) ** (1.0 / 3.0))
    return axis


def _node_rate(axis: float, inclination: float) -> float:
    return -1.5 * J2 * (RADIUS / axis) ** 2 * math.sqrt(MU / axis**3) * math.cos(inclination)


def _sun_synchronous(axis: float) -> float:
    """Inclination at which the node follows the mean sun, once around a year."""
    once = 2.0 * math.pi / (YEAR_DAYS * DAY)
    cosine = -once / (1.5 * J2 * (RADIUS / axis) ** 2 * math.sqrt(MU / axis**3))
    if cosine < -1.0:
        raise ModelError(f"no orbit of {(axis - RADIUS) / 1e3:.0f} km height is sun-synchronous; give an inclination")
    return math.acos(cosine)


def _turn(points: DoubleArray, angle: DoubleArray) -> DoubleArray:
    """Points turned eastwards around the Earth's axis."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)
