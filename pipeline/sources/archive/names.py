"""File-name layouts: what the name of a raster tells about it.

Sources: OPERA RTC-S1 product specification (JPL D-108758) and the names of its granules; ASF's HyP3 RTC product guide,
section "Naming Convention".
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol, get_args

from pipeline.config import ArchiveSource as Settings
from pipeline.config import Polarisation
from pipeline.errors import CohmapError
from pipeline.passes import Direction
from pipeline.sources.archive.scenes import Scene, platform_code
from pipeline.sources.archive.units import Units

POLARISATIONS: tuple[str, ...] = get_args(Polarisation)
RASTER_SUFFIXES = (".tif", ".tiff")
_HYP3_SCALES: dict[str, Units] = {"p": "linear", "d": "db", "a": "amplitude"}
_HYP3_RADIOMETRY = {"g": "gamma0", "s": "sigma0"}
# among products of one scene: precise orbits, whole area, no water mask, no DEM matching (it may shift each date by
# itself), power; each string runs from the worst letter to the best
_HYP3_PREFERENCE = (("orbit", "ORP"), ("area", "ce"), ("water", "wu"), ("matching", "md"), ("scale", "adp"))


@dataclass(frozen=True)
class Named:
    """One file: its polarisation, and the scene that it is a part of."""

    polarisation: str
    scene: Scene


class Layout(Protocol):
    """One way of naming files."""

    example: str
    """What a name looks like, for messages."""

    def parse(self, path: str) -> Named | None:
        """What a file's path below the folder tells; None where it is no measurement of this layout.

        Raises
        ------
        CohmapError
            The name is of this layout but the file must not be used, or the name contradicts itself.
        """
        ...

    def units(self, path: str) -> Units:
        """Units of a file's pixels."""
        ...


class OperaRtc:
    """OPERA RTC-S1: one file per burst, date and polarisation; gamma0 in linear power."""

    example = "OPERA_L2_RTC-S1_T137-292319-IW2_20211119T015858Z_20250830T120333Z_S1A_30_v1.0_VV.tif"
    _name = re.compile(
        r"(?P<product>OPERA_L2_RTC-S1_(?P<burst>T(?P<track>\d{3})-\d{6}-[A-Z]{2}\d)_(?P<start>\d{8}T\d{6})Z_"
        r"(?P<processed>\d{8}T\d{6})Z_(?P<platform>S1[A-Z])_(?P<spacing>\d+)_(?P<version>v[\d.]+))"
        r"_(?P<polarisation>VV|VH|HH|HV)\.tiff?"
    )

    def parse(self, path: str) -> Named | None:
        """See `Layout`."""
        found = self._name.fullmatch(PurePosixPath(path).name)
        if not found:
            return None
        scene = Scene(
            id=found["product"],
            order=found["burst"],
            start=_moment(found["start"], path)[0],
            timed=True,
            platform=found["platform"],
            relative_orbit=_relative_orbit(found["track"], path),
            version=found["version"],
            updated=_moment(found["processed"], path)[0].isoformat(),
            rank=found["processed"] + found["version"],
            kind=f"gamma0 at {found['spacing']} m",
        )
        return Named(found["polarisation"], scene)

    def units(self, path: str) -> Units:
        """See `Layout`."""
        del path
        return "linear"


class Hyp3Rtc:
    """ASF HyP3 RTC: one folder per scene; radiometry, units and filtering are letters of the name."""

    example = "S1A_IW_20230319T142853_DVP_RTC30_G_gpuned_1A2B_VV.tif"
    _name = re.compile(
        r"(?P<product>(?P<platform>S1[A-Z])_[A-Z\d]{2}_(?P<start>\d{8}T\d{6})_[SD][HV](?P<orbit>[PRO])_"
        r"RTC(?P<spacing>\d+)_[A-Z]_(?P<radiometry>[gs])(?P<scale>[pda])(?P<water>[uw])(?P<filter>[nf])"
        r"(?P<area>[ec])(?P<matching>[dm])_(?P<number>[\dA-F]{4}))_(?P<polarisation>VV|VH|HH|HV)\.tiff?"
    )

    def parse(self, path: str) -> Named | None:
        """See `Layout`."""
        found = self._name.fullmatch(PurePosixPath(path).name)
        if not found:
            return None
        if found["filter"] == "f":
            raise CohmapError(
                f"{path} is speckle-filtered (the 'f' in its name), and speckle is the signal that coherence is "
                "estimated from; order the product without the filter, or move it out of source.path"
            )
        scene = Scene(
            id=found["product"],
            order=found["start"],
            start=_moment(found["start"], path)[0],
            timed=True,
            platform=found["platform"],
            version=found["number"],
            # the product's number last, so that the choice is always the same
            rank="".join(str(letters.index(found[name])) for name, letters in _HYP3_PREFERENCE) + found["number"],
            kind=f"{_HYP3_RADIOMETRY[found['radiometry']]} at {found['spacing']} m",
        )
        return Named(found["polarisation"], scene)

    def units(self, path: str) -> Units:
        """See `Layout`."""
        found = self._name.fullmatch(PurePosixPath(path).name)
        if not found:
            raise CohmapError(f"{path} is not named as HyP3 names RTC products ({self.example})")
        return _HYP3_SCALES[found["scale"]]


class Pattern:
    """The user's own names, by a regular expression with named groups on the path below the folder."""

    _required = ("date", "polarisation")
    _optional = ("time", "platform", "slice", "relative_orbit", "direction")

    def __init__(self, pattern: str, units: Units) -> None:
        try:
            self._name = re.compile(pattern)
        except re.error as error:
            raise CohmapError(f"source.pattern {pattern!r} is not a regular expression: {error}") from None
        missing = [name for name in self._required if name not in self._name.groupindex]
        if missing:
            raise CohmapError(
                f"source.pattern {pattern!r} lacks the named group {' and '.join(missing)}; write it as "
                f"(?P<{missing[0]}>…)"
            )
        unknown = sorted(set(self._name.groupindex) - {*self._required, *self._optional})
        if unknown:
            raise CohmapError(
                f"source.pattern {pattern!r} has an unknown named group {unknown[0]}; known ones are "
                f"{', '.join(self._required + self._optional)}"
            )
        self.example = f"a path that matches {pattern}"
        self._units = units

    def parse(self, path: str) -> Named | None:
        """See `Layout`."""
        found = self._name.search(path)
        if not found:
            return None
        told = {name: value for name, value in found.groupdict().items() if value}
        polarisation = told.get("polarisation", "").upper()
        if polarisation not in POLARISATIONS or "date" not in told:
            return None
        start, timed = _moment(told["date"] + told.get("time", ""), path)
        relative_orbit, direction = told.get("relative_orbit"), told.get("direction")
        # what is left of the path names the piece (a tile, a frame) and is the same at every date
        rest = _blank(path, [found.span(name) for name in told])
        scene = Scene(
            id=_blank(path, [found.span("polarisation")]),
            order=told.get("slice", rest),
            start=start,
            timed=timed,
            platform=platform_code(told["platform"]) if "platform" in told else None,
            relative_orbit=_relative_orbit(relative_orbit, path) if relative_orbit else None,
            direction=_direction(direction, path) if direction else None,
        )
        return Named(polarisation, scene)

    def units(self, path: str) -> Units:
        """See `Layout`."""
        del path
        return self._units


def layout(settings: Settings) -> Layout:
    """The layout that the settings ask for.

    Raises
    ------
    CohmapError
        The settings don't go together, lack something, or the pattern can't be used.
    """
    if settings.layout == "pattern":
        if settings.pattern is None:
            raise CohmapError(
                "source.layout = 'pattern' needs source.pattern, a regular expression with named groups date and "
                "polarisation"
            )
        return Pattern(settings.pattern, declared_units(settings))
    return OperaRtc() if settings.layout == "opera-rtc" else Hyp3Rtc()


def declared_units(settings: Settings) -> Units:
    """The units of a layout whose names don't tell them.

    Raises
    ------
    CohmapError
        The settings don't declare them: they are never guessed.
    """
    if settings.units is None:
        raise CohmapError(
            f"source.layout = '{settings.layout}' needs source.units = 'linear', 'db' or 'amplitude'; "
            "units are never guessed"
        )
    return settings.units


def _moment(text: str, path: str) -> tuple[dt.datetime, bool]:
    """A time (UTC) from digits in any common notation, and whether it has a time of day."""
    digits = re.sub(r"\D", "", text)[:14]  # fractions of a second don't matter
    notation = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 8: "%Y%m%d"}.get(len(digits))
    try:
        if notation:
            return dt.datetime.strptime(digits, notation).replace(tzinfo=dt.UTC), len(digits) > 8
    except ValueError:
        pass  # e.g. a thirteenth month: the sentence below says it
    raise CohmapError(f"{path}: '{text}' is no date; write dates as YYYYMMDD or YYYY-MM-DD, times as HHMMSS")


def _relative_orbit(text: str, path: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 175:
        raise CohmapError(f"{path}: relative orbit '{text}' is no number from 1 to 175; check the name and the pattern")
    return int(text)


def _direction(text: str, path: str) -> Direction:
    if "ascending".startswith(text.lower()):
        return "ascending"
    if "descending".startswith(text.lower()):
        return "descending"
    raise CohmapError(f"{path}: direction '{text}' is neither ascending nor descending, nor a beginning of one of them")


def _blank(path: str, spans: list[tuple[int, int]]) -> str:
    """The path with the given parts replaced by ``*``."""
    for start, end in sorted(spans, reverse=True):
        path = path[:start] + "*" + path[end:]
    return path
