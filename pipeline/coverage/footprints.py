"""Lists of acquisitions as people have them: GeoJSON of ASF Search, STAC or Earth Engine, and CSV with WKT outlines."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from pipeline.errors import CohmapError
from pipeline.passes import Direction, Slice, Track
from pipeline.sources.archive.scenes import platform_code
from pipeline.sources.ee_records import read_footprint

# Names of the same thing in ASF Search, STAC, Earth Engine and files written by hand.
START = (
    "start",
    "startTime",
    "start_datetime",
    "datetime",
    "system:time_start",
    "date",
    "Acquisition Date",
    "Start Time",
)
ORBIT = (
    "relative_orbit", "pathNumber", "sat:relative_orbit", "relativeOrbitNumber_start", "relativeOrbitNumber", "track",
    "Path Number",
)  # fmt: skip
DIRECTION = (
    "direction", "flightDirection", "sat:orbit_state", "orbitProperties_pass", "orbitDirection",
    "Ascending or Descending?",
)  # fmt: skip
PLATFORM = ("platform", "platform_number", "platformShortName", "Platform")
NAME = ("id", "sceneName", "fileID", "system:index", "name", "Granule Name")
OUTLINE = ("wkt", "geometry", "footprint", "WKT")
MODE = ("beamModeType", "sar:instrument_mode", "instrumentMode", "Beam Mode")


def read_footprints(path: Path) -> list[Slice]:
    """Slices of a CSV or GeoJSON file; Sentinel-1's other modes than IW are left out.

    Raises
    ------
    CohmapError
        The file can't be read, or a row lacks what passes are told apart by; says which row, and what.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CohmapError(f"footprints {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CohmapError(f"footprints {path} can't be read: {error}") from None
    rows = _geojson_rows(text, path) if text.lstrip()[:1] == "{" else _csv_rows(text, path)
    found = []
    for number, (row, outline) in enumerate(rows, start=1):
        if str(_first(row, MODE) or "IW") != "IW":
            continue
        found.append(
            _slice(row, outline, f"footprints {path}, {'feature' if text.lstrip()[:1] == '{' else 'row'} {number}")
        )
    if not found:
        raise CohmapError(f"footprints {path} holds no acquisition; give a CSV or a GeoJSON feature collection")
    return found


def _geojson_rows(text: str, path: Path) -> Iterator[tuple[Mapping[str, Any], BaseGeometry | str | None]]:
    try:
        features = json.loads(text)["features"]
        for feature in features:
            geometry = feature.get("geometry")
            row = {"id": feature.get("id"), **feature.get("properties", {})}
            yield row, read_footprint(geometry) if geometry else None
    except (ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as error:
        raise CohmapError(
            f"footprints {path} is no GeoJSON feature collection ({type(error).__name__}: {error})"
        ) from None


def _csv_rows(text: str, path: Path) -> Iterator[tuple[Mapping[str, Any], BaseGeometry | str | None]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.DictReader(io.StringIO(text))
    columns = [name for name in reader.fieldnames or [] if name]
    for what, names in (("start time", START), ("relative orbit", ORBIT), ("direction", DIRECTION)):
        if not set(names) & set(columns):
            raise CohmapError(
                f"footprints {path} has no column of the {what}; name one {' or '.join(names[:3])} (columns: "
                f"{', '.join(columns) or 'none'})"
            )
    for row in reader:
        yield row, _first(row, OUTLINE)


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) not in {None, ""}), None)


def _slice(row: Mapping[str, Any], outline: BaseGeometry | str | None, where: str) -> Slice:
    start = _time(_first(row, START), where)
    platform = str(_first(row, PLATFORM) or "unknown")
    code = platform_code(f"S1{platform}" if len(platform) == 1 else platform)
    return Slice(
        id=str(_first(row, NAME) or f"{code}_{start:%Y%m%dT%H%M%S}"),
        order=f"{start:%Y%m%dT%H%M%S.%f}",
        platform=code,
        start=start,
        track=Track(_direction(_first(row, DIRECTION), where), _orbit(_first(row, ORBIT), where)),
        hrefs={},
        footprint=_outline(outline, where),
    )


def _time(value: Any, where: str) -> dt.datetime:
    try:
        if isinstance(value, int | float) or (isinstance(value, str) and value.isdigit() and len(value) > 8):
            return dt.datetime.fromtimestamp(float(value) / 1000, dt.UTC)
        found = dt.datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise CohmapError(f"{where}: start {value!r} is no time; write 2021-11-19T01:58:58Z") from None
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


def _orbit(value: Any, where: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise CohmapError(f"{where}: relative orbit {value!r} is no number from 1 up")
    return number


def _direction(value: Any, where: str) -> Direction:
    match str(value)[:1].upper():
        case "A":
            return "ascending"
        case "D":
            return "descending"
    raise CohmapError(f"{where}: direction {value!r} is neither ascending nor descending")


def _outline(value: BaseGeometry | str | None, where: str) -> BaseGeometry:
    if isinstance(value, str):
        try:
            geometry = shape(json.loads(value)) if value.lstrip().startswith("{") else shapely.from_wkt(value)
            value = read_footprint(geometry.__geo_interface__)
        except (ValueError, KeyError, TypeError, shapely.errors.ShapelyError) as error:
            raise CohmapError(f"{where}: the outline is neither WKT nor GeoJSON ({error})") from None
    if value is None or value.is_empty or not value.area:
        raise CohmapError(f"{where} has no polygon; footprints need an outline (CSV: a column wkt)")
    west, south, east, north = value.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise CohmapError(f"{where}: the outline leaves longitudes of -180 to 180 and latitudes of -90 to 90 degrees")
    return value
