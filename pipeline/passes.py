"""Passes of the satellite, how slices become passes, and which passes make pairs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, pairwise
from typing import Literal

from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from pipeline.config import Pairs
from pipeline.errors import CohmapError

Direction = Literal["ascending", "descending"]

# One data take of Sentinel-1 IW lasts at most about 25 minutes; over one region, slices or bursts of one
# overflight lie seconds to minutes apart, and the next overflight of the same track days.
SAME_PASS_GAP = dt.timedelta(minutes=15)


@dataclass(frozen=True, order=True)
class Track:
    """One relative orbit in one direction: only passes of one track see the same speckle."""

    direction: Direction
    relative_orbit: int

    def __str__(self) -> str:
        return f"{self.direction}-{self.relative_orbit:03d}"


@dataclass(frozen=True)
class Slice:
    """One piece of a pass as the source keeps it: a GRD slice, a burst, a frame.

    Attributes
    ----------
    id
        The source's own name for it (asset id, file stem).
    order
        Sort key that is the same at every date (burst id, slice position): where slices overlap, the first one in
        this order wins, so that every date of a pixel comes from the same burst.
    hrefs
        Where the pixels of each band are, e.g. ``{"VV": "s3://…_VV.tif"}``; for Earth Engine the asset id.
    footprint
        Outline in EPSG:4326.
    version, updated
        The source's version and update time, empty where it has none.
    processor
        Version of the processor that made it, e.g. ``002.91``; empty where the source doesn't say.
    """

    id: str
    order: str
    platform: str
    start: dt.datetime
    track: Track
    hrefs: Mapping[str, str]
    footprint: BaseGeometry = field(compare=False)
    data_take: str = ""
    version: str = ""
    updated: str = ""
    processor: str = ""


@dataclass(frozen=True)
class Pass:
    """One overflight of the region: its slices in their fixed order."""

    platform: str
    track: Track
    start: dt.datetime
    slices: tuple[Slice, ...]

    @property
    def id(self) -> str:
        """Short unique name, e.g. ``S1A_20211119T015858``."""
        return f"{self.platform}_{self.start:%Y%m%dT%H%M%S}"

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that every slice of the pass has."""
        common = set.intersection(*(set(piece.hrefs) for piece in self.slices))
        return tuple(sorted(common))

    @cached_property
    def footprint(self) -> BaseGeometry:
        """Union of the slices' outlines, EPSG:4326."""
        return unary_union([piece.footprint for piece in self.slices])


def group(slices: Iterable[Slice]) -> list[Pass]:
    """Group slices into passes by platform, track, data take and time gap; sorted by track and time.

    Slices may come in any order. Two slices belong to one pass where platform and track agree, their data takes agree
    (where both are known) and they follow each other within `SAME_PASS_GAP`.
    """
    ordered = sorted(slices, key=lambda s: (s.track, s.platform, s.start, s.order, s.id))
    groups: list[list[Slice]] = []
    for piece in ordered:
        if groups and _same_pass(groups[-1][-1], piece):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    passes = [
        Pass(
            platform=members[0].platform,
            track=members[0].track,
            start=members[0].start,
            slices=tuple(sorted(members, key=lambda s: (s.order, s.id))),
        )
        for members in groups
    ]
    return sorted(passes, key=lambda p: (p.track, p.start, p.platform))


def _same_pass(before: Slice, after: Slice) -> bool:
    if (before.platform, before.track) != (after.platform, after.track):
        return False
    if before.data_take and after.data_take and before.data_take != after.data_take:
        return False
    return after.start - before.start <= SAME_PASS_GAP


@dataclass(frozen=True)
class Pair:
    """Two passes of one track, the earlier one (the reference) first."""

    track: Track
    reference: str
    secondary: str
    reference_start: dt.datetime
    secondary_start: dt.datetime

    @property
    def days(self) -> int:
        """Temporal baseline in days, rounded."""
        return round((self.secondary_start - self.reference_start) / dt.timedelta(days=1))

    @property
    def id(self) -> str:
        """Short name, unique within its track, e.g. ``20211119_20211125``."""
        return f"{self.reference_start:%Y%m%d}_{self.secondary_start:%Y%m%d}"


def make_pairs(track: Track, passes: Sequence[tuple[str, dt.datetime]], rule: Pairs) -> list[Pair]:
    """Pairs of one track by the region's rule.

    Parameters
    ----------
    passes
        Identifier and start time (UTC) of each pass of the track, in any order.

    Raises
    ------
    CohmapError
        Fewer than two passes, or no two passes fit the rule.
    """
    ordered = sorted(passes, key=lambda p: (p[1], p[0]))
    if len(ordered) < 2:
        raise CohmapError(
            f"track {track} has only {len(ordered)} pass in the time span; coherence needs two: "
            "widen [passes] start and end"
        )
    candidates = pairwise(ordered) if rule.mode == "chain" else combinations(ordered, 2)
    pairs = [Pair(track, a[0], b[0], a[1], b[1]) for a, b in candidates]
    if rule.mode == "baselines":
        pairs = [pair for pair in pairs if pair.days in rule.baselines]
    elif rule.max_days is not None:
        pairs = [pair for pair in pairs if pair.days <= rule.max_days]
    if not pairs:
        there = sorted({round((b[1] - a[1]) / dt.timedelta(days=1)) for a, b in combinations(ordered, 2)})
        some = ", ".join(str(days) for days in there[:12]) + (", …" if len(there) > 12 else "")
        raise CohmapError(f"no pair of track {track} fits [pairs]; its passes have baselines of {some} days")
    return sorted(pairs, key=lambda p: (p.reference_start, p.secondary_start))
