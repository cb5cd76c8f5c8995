"""What is studied: outlines that a satellite saw, with the days on which it did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shapely.geometry.base import BaseGeometry

from models.orbit.circular import RepeatOrbit
from models.orbit.sentinel1 import REVOLUTIONS, sentinel1_orbit
from pipeline.errors import CohmapError
from pipeline.passes import Pass, Slice, Track, group

DAY = dt.timedelta(days=1)
YEAR = 365
# Where nothing says when, hypothetical satellites fly in a year that begins here.
SOME_DAY = dt.date(2025, 1, 1)


@dataclass(frozen=True)
class Sighting:
    """One outline of one track, seen on one day or many.

    Attributes
    ----------
    outline
        EPSG:4326.
    days
        Since midnight (UTC) of the study's first day, rising.
    """

    track: Track
    outline: BaseGeometry
    days: tuple[float, ...]


@dataclass(frozen=True)
class View:
    """From where a track's passes look: one half of a revolution."""

    orbit: RepeatOrbit
    node: float
    """Longitude of the ascending node in radians."""
    ascending: bool


@dataclass(frozen=True)
class Study:
    """One set of passes to be studied.

    Attributes
    ----------
    start, days
        First day, and how many days are looked at.
    views
        Geometry of the tracks whose orbit is known.
    facts
        What a reader should know of it, for table and page.
    """

    id: str
    name: str
    start: dt.date
    days: int
    sightings: tuple[Sighting, ...]
    views: Mapping[Track, View]
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def end(self) -> dt.date:
        """Last day."""
        return self.start + (self.days - 1) * DAY

    @property
    def tracks(self) -> list[Track]:
        """In their order."""
        return sorted({sighting.track for sighting in self.sightings})

    @property
    def passes(self) -> int:
        """Passes in all."""
        return sum(len(sighting.days) for sighting in self.sightings)


def study_listing(
    slices: Iterable[Slice], where: str, start: dt.date | None, end: dt.date | None, *, southern: bool
) -> Study:
    """Passes that were, each with the outline of its slices together.

    Raises
    ------
    CohmapError
        There are none.
    """
    passes = group(slices)
    if not passes:
        raise CohmapError(f"{where} has no passes over the area between {start or 'ever'} and {end or 'today'}")
    first, last = min(item.start for item in passes).date(), max(item.start for item in passes).date()
    start, end = start or first, end or last
    midnight = dt.datetime.combine(start, dt.time(), dt.UTC)
    sightings = [Sighting(item.track, item.footprint, ((item.start - midnight) / DAY,)) for item in passes]
    facts = {"from": where, "platforms": ", ".join(sorted({item.platform for item in passes}))}
    days = (end - start).days + 1
    return Study("observed", "observed", start, days, tuple(sightings), _known_views(passes, southern=southern), facts)


def _known_views(passes: Iterable[Pass], *, southern: bool) -> dict[Track, View]:
    """Views of Sentinel-1's tracks; no other orbit is known from a relative orbit's number."""
    orbit = sentinel1_orbit()
    tracks = {
        item.track for item in passes if item.platform.startswith("S1") and item.track.relative_orbit <= REVOLUTIONS
    }
    return {
        track: View(orbit, orbit.node(node_of(track, southern=southern)), track.direction == "ascending")
        for track in tracks
    }


def node_of(track: Track, *, southern: bool) -> int:
    """Number of the revolution at whose ascending node a track's angles are nought.

    On the way north, south of the equator, that is the next revolution's: numbers step at the node.
    """
    return track.relative_orbit + (1 if southern and track.direction == "ascending" else 0)
