"""Hypothetical satellites over a region: which tracks see it, and when."""

from __future__ import annotations

import datetime as dt
import math
import re

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from models.errors import ModelError
from models.orbit import sentinel1
from models.orbit.circular import RepeatOrbit, nearest_revolutions, repeat_orbit
from models.orbit.swath import Swath, swath_edges
from pipeline.coverage.settings import Scenario
from pipeline.coverage.sightings import Sighting, Study, View
from pipeline.errors import CohmapError
from pipeline.passes import Direction, Track

# Corners of a swath's outline, degrees along the orbit apart: 11 km, so that straight edges stay true to some metres.
STEP = 0.1
# Degrees of latitude by which outlines reach beyond the area.
MARGIN = 1.0
# Beyond these latitudes outlines in degrees lose their shape.
FARTHEST = 80.0


def study_scenario(scenario: Scenario, area: BaseGeometry, start: dt.date, days: int) -> Study:
    """Passes of a scenario's satellites over the area (EPSG:4326).

    Raises
    ------
    CohmapError
        No such orbit, a place too near the poles, or no pass ever sees the area.
    """
    if max(abs(area.bounds[1]), abs(area.bounds[3])) > FARTHEST:
        raise CohmapError(f"scenario '{scenario.name}': orbits are computed up to {FARTHEST:g} degrees of latitude")
    try:
        orbit, swath = orbit_of(scenario), _swath_of(scenario)
        sightings, views = _sightings(scenario, orbit, swath, area, days)
    except ModelError as error:
        raise CohmapError(f"[coverage] scenario '{scenario.name}': {error}") from None
    if not sightings:
        raise CohmapError(
            f"scenario '{scenario.name}' never sees the area in {days} days; check inclination, swath_width, "
            "node_longitude and the time span"
        )
    phases = phases_of(scenario, orbit)
    facts = {
        "satellites": str(scenario.satellites),
        "phases": ", ".join(f"{phase:g}" for phase in phases) + " days",
        "cycle": f"{orbit.cycle:.4g} days, {orbit.revolutions} revolutions of {orbit.period * 1440:.2f} minutes",
        "height": f"{orbit.altitude / 1e3:.1f} km over the equator",
        "inclination": f"{math.degrees(orbit.inclination):.2f} degrees",
        "swath": f"{_swath_text(scenario)}, to the {scenario.look}",
        "directions": scenario.direction,
    }
    name = re.sub(r"[^a-z0-9]+", "-", scenario.name.lower()).strip("-") or "scenario"
    return Study(name, scenario.name, start, days, tuple(sightings), views, facts)


def orbit_of(scenario: Scenario) -> RepeatOrbit:
    """The scenario's orbit."""
    tilt = math.radians(scenario.inclination) if scenario.inclination is not None else None
    revolutions = scenario.orbits or sentinel1.REVOLUTIONS
    if scenario.altitude is not None:
        revolutions = nearest_revolutions(scenario.altitude * 1e3, scenario.repeat_days, tilt)
    return repeat_orbit(revolutions, scenario.repeat_days, tilt, math.radians(scenario.node_longitude))


def phases_of(scenario: Scenario, orbit: RepeatOrbit) -> tuple[float, ...]:
    """Days by which each satellite is behind the first."""
    return scenario.phases or tuple(orbit.cycle * k / scenario.satellites for k in range(scenario.satellites))


def _swath_of(scenario: Scenario) -> Swath:
    near, right = math.radians(scenario.near_incidence), scenario.look == "right"
    if scenario.swath_width is not None:
        return Swath(near, width=scenario.swath_width * 1e3, looks_right=right)
    return Swath(near, far_incidence=math.radians(scenario.far_incidence or sentinel1.FAR), looks_right=right)


def _swath_text(scenario: Scenario) -> str:
    if scenario.swath_width is not None:
        return f"{scenario.swath_width:g} km from an incidence of {scenario.near_incidence:g} degrees on"
    return f"incidence {scenario.near_incidence:g} to {scenario.far_incidence or sentinel1.FAR:g} degrees"


def _sightings(
    scenario: Scenario, orbit: RepeatOrbit, swath: Swath, area: BaseGeometry, days: int
) -> tuple[list[Sighting], dict[Track, View]]:
    found, views = [], {}
    directions: tuple[Direction, ...] = ("ascending", "descending")
    southern = area.centroid.y < 0
    for direction in directions:
        if scenario.direction not in {"both", direction}:
            continue
        arc, middle = _arc(orbit, swath, area, ascending=direction == "ascending")
        if arc is None:
            continue
        for revolution in range(1, orbit.revolutions + 1):
            outline = _moved(arc, math.degrees(orbit.node(revolution)), area.centroid.x)
            if not outline.intersects(area):
                continue
            times = _times(orbit, phases_of(scenario, orbit), revolution, middle, days)
            earlier = southern and direction == "ascending"  # numbers step at the node, which is yet to come
            track = Track(direction, (revolution - 2) % orbit.revolutions + 1 if earlier else revolution)
            if times:
                found.append(Sighting(track, outline, times))
                views[track] = View(orbit, orbit.node(revolution), direction == "ascending")
    return found, views


def _arc(orbit: RepeatOrbit, swath: Swath, area: BaseGeometry, *, ascending: bool) -> tuple[Polygon | None, float]:
    """Outline of what a half revolution with its node at longitude 0 sees near the area's latitudes, and its middle.

    The middle is the angle from the node, radians, where the satellite passes the latitude of the area's centre.
    """
    first = -90.0 if ascending else 90.0
    angles = np.radians(np.arange(first, first + 180.0 + STEP / 2, STEP))
    near, far = swath_edges(orbit, swath, angles, 0.0)
    low, high = area.bounds[1] - MARGIN, area.bounds[3] + MARGIN
    inside = np.flatnonzero(
        [(low <= a <= high) or (low <= b <= high) for a, b in zip(near[:, 1], far[:, 1], strict=True)]
    )
    if inside.size < 2:
        return None, 0.0
    part = slice(inside[0], inside[-1] + 1)
    outline = Polygon(np.vstack([near[part], far[part][::-1]]))
    middles = (near[part, 1] + far[part, 1]) / 2
    return outline, float(angles[part][np.argmin(np.abs(middles - area.centroid.y))])


def _moved(arc: Polygon, by: float, near: float) -> BaseGeometry:
    """The outline moved eastwards, and by whole turns to where it lies nearest to a longitude."""
    turns = round((near - arc.centroid.x - by) / 360.0)

    def move(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        moved: npt.NDArray[np.float64] = points + np.array([by + 360.0 * turns, 0.0])
        return moved

    return shapely.transform(arc, move)


def _times(
    orbit: RepeatOrbit, phases: tuple[float, ...], revolution: int, angle: float, days: int
) -> tuple[float, ...]:
    """Days from the start on which any satellite is at an angle from a revolution's node.

    The first satellite passes the node of the first revolution at the start.
    """
    first = orbit.period * (revolution - 1 + angle / (2.0 * math.pi))
    cycles = range(-2, math.ceil(days / orbit.cycle) + 1)
    times = sorted(first + phase + cycle * orbit.cycle for phase in phases for cycle in cycles)
    return tuple(time for time in times if 0 <= time < days)
