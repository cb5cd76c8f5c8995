"""Where the radar stands, seen from a place on the ground: Sentinel-1 looks to the right of its track."""

from __future__ import annotations

import math

from pipeline.orbits import ORBITS_A_REPEAT
from pipeline.passes import Direction

# Sentinel-1's orbit (ESA, Sentinel-1 SAR User Guide): circular, near polar, sun-synchronous, 175 orbits in 12 days.
INCLINATION = math.radians(98.18)
ALTITUDE = 693_000.0
EARTH = 6_371_009.0
DAYS_A_REPEAT = 12

# In the middle of the IW swath; 5 degrees more or less turn the answer by a degree at 50 degrees of latitude.
MIDDLE_INCIDENCE = 38.5


def azimuth_to_radar(latitude: float, direction: Direction, incidence: float = MIDDLE_INCIDENCE) -> float:
    """Direction in which a place sees the radar, degrees clockwise from true north.

    The radar stands abeam of the place: on the great circle at a right angle to its track over the turning Earth, on a
    sphere. Meridians converge on the way from the track to the place, which turns the answer by several degrees.

    Parameters
    ----------
    latitude
        Of the place, degrees.
    direction
        Of the pass.
    incidence
        Angle between the ray and the vertical at the place, degrees.
    """
    place, angle = math.radians(latitude), math.radians(incidence)
    # law of sines in the triangle of the Earth's centre, the place and the satellite
    away = angle - math.asin(math.sin(angle) * EARTH / (EARTH + ALTITUDE))
    track = place
    for _ in range(20):  # latitude below the satellite, from which the place lies abeam
        abeam = _heading(track, direction) + math.pi / 2
        reached = math.asin(math.sin(track) * math.cos(away) + math.cos(track) * math.sin(away) * math.cos(abeam))
        track = min(max(track + place - reached, -math.pi / 2), math.pi / 2)
    abeam = _heading(track, direction) + math.pi / 2
    # azimuth of the same great circle at its far end, then about
    onward = math.atan2(
        math.sin(abeam) * math.cos(track),
        math.cos(track) * math.cos(away) * math.cos(abeam) - math.sin(track) * math.sin(away),
    )
    return math.degrees(onward + math.pi) % 360.0


def _heading(latitude: float, direction: Direction) -> float:
    """Azimuth of the ground track.

    In space sin(azimuth) = cos(inclination) / cos(latitude); the ground below moves east meanwhile, at 12 / 175 of the
    satellite's angular speed on the equator (the node keeps up with the sun, so a day is what the Earth turns in).
    """
    east = min(max(math.cos(INCLINATION) / max(math.cos(latitude), 1e-9), -1.0), 1.0)
    north = math.sqrt(1 - east**2) * (1 if direction == "ascending" else -1)
    return math.atan2(east - DAYS_A_REPEAT / ORBITS_A_REPEAT * math.cos(latitude), north)
