"""What file names or STAC items tell of one slice before its rasters are opened."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from shapely.geometry.base import BaseGeometry

from pipeline import orbits
from pipeline.config import ArchiveSource as Settings
from pipeline.errors import CohmapError
from pipeline.passes import SAME_PASS_GAP, Direction, Track


@dataclass(frozen=True)
class Scene:
    """One slice as its name or its metadata describes it.

    Attributes
    ----------
    id, order, start, hrefs, version, updated
        As in `pipeline.passes.Slice`.
    timed
        Whether `start` knows the time of day, or only the date.
    platform, relative_orbit, direction
        None where neither name nor metadata tell.
    rank
        Among several products of one acquisition the one with the greatest rank is taken.
    kind
        What all slices of a stack must agree in, e.g. ``gamma0 at 30 m``.
    outline
        A rough outline (EPSG:4326) to choose by before the raster is opened; None = unknown.
    """

    id: str
    order: str
    start: dt.datetime
    timed: bool
    platform: str | None
    relative_orbit: int | None = None
    direction: Direction | None = None
    hrefs: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    updated: str = ""
    rank: str = ""
    kind: str = ""
    outline: BaseGeometry | None = field(default=None, compare=False)


def newest(scenes: Iterable[Scene]) -> list[Scene]:
    """One scene per acquisition: of several products the one of greatest rank, then of the first name."""

    def piece(scene: Scene) -> tuple[str, str, int, str]:
        return scene.order, scene.platform or "", scene.relative_orbit or 0, scene.direction or ""

    kept = []
    ordered = sorted(scenes, key=lambda scene: (piece(scene), scene.start, scene.id))
    for _, members in groupby(ordered, key=piece):
        acquisitions: list[list[Scene]] = []
        for scene in members:
            # reprocessing may move a start by a second, so equal times are not asked for
            if acquisitions and scene.start - acquisitions[-1][-1].start <= SAME_PASS_GAP:
                acquisitions[-1].append(scene)
            else:
                acquisitions.append([scene])
        kept += [max(products, key=lambda scene: scene.rank) for products in acquisitions]
    return kept


def require_one_kind(scenes: Iterable[Scene], where: str) -> None:
    """Refuse to stack unlike products: their speckle or their radiometry differ.

    Raises
    ------
    CohmapError
        More than one kind; names one file of two kinds.
    """
    examples = {scene.kind: scene.id for scene in sorted(scenes, key=lambda scene: scene.id, reverse=True)}
    if len(examples) > 1:
        (one, first), (other, second) = sorted(examples.items())[:2]
        raise CohmapError(
            f"source.path {where} mixes products of {one} ({first}) and of {other} ({second}), which must not be "
            "compared; keep one of the two in a folder of its own"
        )


def identify(scene: Scene, settings: Settings) -> tuple[str, Track]:
    """Platform and track of a scene: from its name or metadata, else as declared, else computed from its time.

    Raises
    ------
    CohmapError
        Nothing tells; says which settings to add.
    """
    platform = scene.platform or (settings.platform and platform_code(settings.platform))
    if not platform:
        raise CohmapError(
            f"{scene.id}: neither its name nor the settings tell the platform; add source.platform = 'S1A' (or another)"
        )
    relative_orbit = scene.relative_orbit or settings.relative_orbit
    direction = scene.direction or settings.direction
    if scene.timed and not (relative_orbit and direction):
        computed = orbits.relative_orbit(platform, scene.start)
        # a known track that the time contradicts means the satellite left the orbit we know: then claim nothing
        if computed is None or relative_orbit is None or computed == relative_orbit:
            direction = direction or orbits.direction(platform, scene.start)
        relative_orbit = relative_orbit or computed
    if relative_orbit and direction:
        return platform, Track(direction, relative_orbit)
    missing = " and ".join(
        setting
        for setting, value in (
            ("source.relative_orbit = NUMBER", relative_orbit),
            ("source.direction = 'ascending' or 'descending'", direction),
        )
        if not value
    )
    why = (
        "neither its name, its time nor the settings tell its track"
        if scene.timed
        else "its name has a date without a time and the settings don't tell its track"
    )
    raise CohmapError(f"{scene.id} ({platform}): {why}; add {missing} to [source]")


def platform_code(name: str) -> str:
    """Short platform name: ``sentinel-1a``, ``SENTINEL1A`` and ``s1a`` are all ``S1A``; others only in capitals.

    Raises
    ------
    CohmapError
        It is no name: what products are called is made from it, and must not lead out of their folder.
    """
    match = re.fullmatch(r"s(?:entinel)?[-_ ]?1[-_ ]?([a-d])", name.strip(), re.IGNORECASE)
    code = f"S1{match[1].upper()}" if match else name.strip().upper()
    if not re.fullmatch(r"[A-Z0-9][A-Z0-9_-]{0,31}", code):
        raise CohmapError(
            f"platform {name[:80]!r} is no name of a satellite; take letters, digits and dashes, as in S1A"
        )
    return code
