"""Places of the user's own: a CSV with name, lon and lat, or GeoJSON points."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from pipeline.errors import CohmapError
from pipeline.region import Region
from pipeline.sampling import Place, given_places, locate


def places(region: Region, file: Path | None) -> list[Place]:
    """The region's points, and those of a file; those outside its grid are left out of the region's, not of the file's.

    Raises
    ------
    CohmapError
        The file can't be read as points, or a point of it lies outside the region's grid.
    """
    found = given_places(region)
    if file is None:
        return found
    for name, lon, lat in read_points(file):
        where = locate(region.grid, lon, lat)
        if where is None:
            raise CohmapError(
                f"--points {file}: '{name}' at {lon:g}, {lat:g} lies outside region '{region.name}'; take it out, or "
                "see that longitude comes before latitude"
            )
        found.append(Place(name, lon, lat, *where))
    return found


def read_points(file: Path) -> list[tuple[str, float, float]]:
    """Name, longitude and latitude of every point of a file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CohmapError(f"--points {file}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CohmapError(f"--points {file} can't be read: {error}") from None
    try:
        points = _from_geojson(json.loads(text)) if text.lstrip().startswith("{") else _from_csv(text)
        checked = [(name, float(lon), float(lat)) for name, lon, lat in points]
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        checked = []
    if not checked or not all(abs(lon) <= 180 and abs(lat) <= 90 for _, lon, lat in checked):
        raise CohmapError(
            f"--points {file} holds no points in degrees; give a CSV with the columns name, lon, lat, or a GeoJSON "
            "collection of points"
        )
    return checked


def _from_csv(text: str) -> list[tuple[str, Any, Any]]:
    rows = csv.DictReader(io.StringIO(text))
    return [(row.get("name") or f"point {number}", row["lon"], row["lat"]) for number, row in enumerate(rows, start=1)]


def _from_geojson(data: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    features = data["features"] if data["type"] == "FeatureCollection" else [data]
    return [
        (
            str((feature.get("properties") or {}).get("name") or f"point {number}"),
            *feature["geometry"]["coordinates"][:2],
        )
        for number, feature in enumerate(features, start=1)
        if feature["geometry"]["type"] == "Point"
    ]
