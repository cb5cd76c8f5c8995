"""What a side-looking radar sees from a circular orbit: the swath's edges, and the incidence angle of any place.

The antenna looks at right angles to the flight over the turning Earth (zero Doppler, as steered on Sentinel-1), the
ground is the WGS 84 ellipsoid without mountains.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.orbit.circular import RADIUS, RepeatOrbit

DoubleArray = npt.NDArray[np.float64]

FLATTENING = 1.0 / 298.257223563
_POLAR = RADIUS * (1.0 - FLATTENING)
_ECCENTRICITY = FLATTENING * (2.0 - FLATTENING)
# Halvings of an interval of look angles below a radian: more than a double can tell apart.
_HALVINGS = 50
# Steps of Newton's method to the point of closest approach; three reach a millimetre.
_APPROACHES = 6


@dataclass(frozen=True)
class Swath:
    """What the radar covers across its track.

    Attributes
    ----------
    near_incidence
        Incidence angle at the near edge, radians.
    far_incidence
        At the far edge; None where the width says it.
    width
        Metres on the ground between the edges; None where the far incidence says it.
    looks_right
        To which side of the flight.
    """

    near_incidence: float
    far_incidence: float | None = None
    width: float | None = None
    looks_right: bool = True

    def __post_init__(self) -> None:
        """Refuse a swath that no antenna has."""
        if (self.far_incidence is None) == (self.width is None):
            raise ModelError("a swath needs its far incidence or its width, one of them")
        if self.far_incidence is not None and not 0 < self.near_incidence < self.far_incidence < math.radians(80):
            raise ModelError("incidence angles must rise from near to far, between 0 and 80 degrees")


def swath_edges(
    orbit: RepeatOrbit, swath: Swath, latitude_argument: npt.ArrayLike, node: float
) -> tuple[DoubleArray, DoubleArray]:
    """Near and far edge of the swath as longitudes and latitudes in degrees, shape (..., 2).

    Longitudes run on without a jump, around the ascending node's.

    Raises
    ------
    ModelError
        The swath reaches beyond the horizon.
    """
    position, direction = orbit.state(latitude_argument, node)
    near = _look_to(position, direction, swath, lambda ground: _incidence(position, ground) - swath.near_incidence)
    near_ground = _ground(position, direction, near, looks_right=swath.looks_right)
    if swath.width is None:
        far = _look_to(
            position, direction, swath, lambda ground: _incidence(position, ground) - float(swath.far_incidence or 0)
        )
    else:
        far = _look_to(
            position, direction, swath, lambda ground: _distance(near_ground, ground) - float(swath.width or 0)
        )
    far_ground = _ground(position, direction, far, looks_right=swath.looks_right)
    if swath.width is not None and np.any(_distance(near_ground, far_ground) < swath.width * 0.999):
        raise ModelError(f"a swath of {swath.width / 1e3:.0f} km reaches beyond the horizon; make it narrower")
    return _degrees(near_ground, node), _degrees(far_ground, node)


def incidence_at(
    orbit: RepeatOrbit, node: float, longitude: npt.ArrayLike, latitude: npt.ArrayLike, *, ascending: bool
) -> DoubleArray:
    """Incidence angle in degrees at places on the ellipsoid, at the closest approach of one half of a revolution.

    Parameters
    ----------
    node
        Longitude in radians of the revolution's ascending node.
    longitude, latitude
        Of the places, degrees, of one shape.
    ascending
        Which half: the way north or the way south.
    """
    lon, lat = np.radians(np.asarray(longitude, np.float64)), np.radians(np.asarray(latitude, np.float64))
    place = _cartesian(lon, lat)
    sine = np.clip(np.sin(lat) / math.sin(orbit.inclination), -1.0, 1.0)
    u = np.arcsin(sine) if ascending else math.pi - np.arcsin(sine)
    step = 1e-4
    for _ in range(_APPROACHES):
        here, way = orbit.state(u, node)
        ahead = orbit.state(u + step, node)[0]
        offset = np.sum((place - here) * way, axis=-1)
        u = u + np.clip(offset / np.linalg.norm(ahead - here, axis=-1) * step, -0.3, 0.3)
    return np.degrees(_incidence(orbit.state(u, node)[0], place))


def _look_to(
    position: DoubleArray, direction: DoubleArray, swath: Swath, excess: Callable[[DoubleArray], DoubleArray]
) -> DoubleArray:
    """Look angles from nadir at which `excess` of the ground point passes nought: it rises with the angle."""
    radius = np.linalg.norm(position, axis=-1)
    low, high = np.zeros(radius.shape), np.arcsin(_POLAR / radius) * 0.999
    for _ in range(_HALVINGS):
        half = (low + high) / 2
        beyond = excess(_ground(position, direction, half, looks_right=swath.looks_right)) > 0
        low, high = np.where(beyond, low, half), np.where(beyond, half, high)
    middle: DoubleArray = (low + high) / 2
    return middle


def _ground(position: DoubleArray, direction: DoubleArray, look: DoubleArray, *, looks_right: bool) -> DoubleArray:
    """Where a look angle from nadir, to one side, meets the ellipsoid."""
    up = position / np.linalg.norm(position, axis=-1, keepdims=True)
    right = np.cross(direction, up)
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    ray = -np.cos(look)[..., None] * up + (1 if looks_right else -1) * np.sin(look)[..., None] * right
    scale = np.array([1.0, 1.0, RADIUS / _POLAR])
    start, way = position * scale, ray * scale
    a, b = np.sum(way * way, axis=-1), np.sum(start * way, axis=-1)
    c = np.sum(start * start, axis=-1) - RADIUS**2
    reach = (-b - np.sqrt(np.maximum(b * b - a * c, 0.0))) / a
    ground: DoubleArray = position + reach[..., None] * ray
    return ground


def _incidence(position: DoubleArray, ground: DoubleArray) -> DoubleArray:
    """Angle between the ellipsoid's normal and the way back to the satellite, radians."""
    normal = ground * np.array([1.0, 1.0, (RADIUS / _POLAR) ** 2])
    back = position - ground
    cosine = np.sum(normal * back, axis=-1) / (np.linalg.norm(normal, axis=-1) * np.linalg.norm(back, axis=-1))
    angle: DoubleArray = np.arccos(np.clip(cosine, -1.0, 1.0))
    return angle


def _distance(one: DoubleArray, other: DoubleArray) -> DoubleArray:
    """Metres along the ground, over a sphere that is as large as the Earth is there."""
    radius = (np.linalg.norm(one, axis=-1) + np.linalg.norm(other, axis=-1)) / 2
    chord = np.linalg.norm(one - other, axis=-1)
    along: DoubleArray = 2.0 * radius * np.arcsin(np.minimum(chord / (2.0 * radius), 1.0))
    return along


def _cartesian(lon: DoubleArray, lat: DoubleArray) -> DoubleArray:
    normal = RADIUS / np.sqrt(1.0 - _ECCENTRICITY * np.sin(lat) ** 2)
    flat = normal * np.cos(lat)
    return np.stack([flat * np.cos(lon), flat * np.sin(lon), normal * (1.0 - _ECCENTRICITY) * np.sin(lat)], axis=-1)


def _degrees(ground: DoubleArray, node: float) -> DoubleArray:
    x, y, z = ground[..., 0], ground[..., 1], ground[..., 2]
    lon = np.unwrap(np.arctan2(y, x), axis=-1) if x.ndim else np.arctan2(y, x)
    first = np.ravel(lon)[0]
    lon = lon + 2.0 * math.pi * np.round((node - first) / (2.0 * math.pi))
    lat = np.arctan2(z, (1.0 - _ECCENTRICITY) * np.hypot(x, y))
    places: DoubleArray = np.degrees(np.stack([lon, lat], axis=-1))
    return places
