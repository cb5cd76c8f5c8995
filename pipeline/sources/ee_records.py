"""Earth Engine's record of a Sentinel-1 image, read as a slice."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.affinity import translate
from shapely.geometry import Polygon, box, shape
from shapely.geometry.base import BaseGeometry

from pipeline.errors import CohmapError
from pipeline.passes import Direction, Slice, Track

ANGLE = "angle"
BANDS = ("VV", "VH", "HH", "HV", ANGLE)
DIRECTIONS: Mapping[str, Direction] = {"ASCENDING": "ascending", "DESCENDING": "descending"}

# A product's name: what was imaged, and four letters that tell one processing of it from another.
PRODUCT = re.compile(r"(?P<scene>S1\w_\w{2}_GRD\w_\w{4}(_\d{8}T\d{6}){2}_\d{6}_[0-9A-F]{6})_[0-9A-F]{4}")

# Sentinel-1's relative orbits count from 1 to this.
LAST_ORBIT = 175


def read_record(record: Mapping[str, Any], area: BaseGeometry) -> Slice:
    """A slice from Earth Engine's record of an image.

    Parameters
    ----------
    record
        An ``EarthEngineAsset`` of type IMAGE with Sentinel-1's properties.
    area
        The area searched (EPSG:4326): decides the track at the equator, and stands for a footprint that is missing.

    Raises
    ------
    CohmapError
        The record lacks a property that passes are told apart by.
    """
    identifier = str(record.get("id") or record["name"])
    properties = record.get("properties", {})
    outline = record.get("geometry") or properties.get("system:footprint")
    footprint = read_footprint(outline) if outline else area
    try:
        start = dt.datetime.fromisoformat(record["startTime"]).astimezone(dt.UTC)
        direction = DIRECTIONS[properties["orbitProperties_pass"]]
        platform = f"S1{properties['platform_number']}"
        orbit = int(properties["relativeOrbitNumber_start"])
        last_orbit = int(properties.get("relativeOrbitNumber_stop", orbit))
    except (KeyError, ValueError) as error:
        raise CohmapError(
            f"Earth Engine image {identifier} can't be placed on a track ({type(error).__name__}: {error}); "
            "[source] collection must hold images with the properties of COPERNICUS/S1_GRD_FLOAT"
        ) from None
    if direction == "ascending":
        orbit = _orbit_of_area(orbit, last_orbit, footprint, area)
    bands = {str(band["id"]) for band in record.get("bands", ())}
    return Slice(
        id=identifier,
        order=f"{start:%Y%m%dT%H%M%S.%f}",  # slices of a pass follow each other along the track
        platform=platform,
        start=start,
        track=Track(direction, orbit),
        hrefs={band: identifier for band in BANDS if band in bands},
        footprint=footprint,
        data_take=str(properties.get("missionDataTakeID", "")),
        version=str(record.get("version", "")),
        updated=str(record.get("updateTime", "")),
        processor=str(properties.get("GRD_Post_Processing_software_version", "")),
    )


def without_duplicates(slices: Iterable[Slice]) -> list[Slice]:
    """The same slices, each once: of a slice that is there in two processings, the one updated last.

    A collection keeps a product's first processing beside a later one; their names differ in the last four letters.
    Both in one pass would mix two processings along a seam.
    """
    newest: dict[str, Slice] = {}
    for piece in slices:
        product = PRODUCT.fullmatch(piece.id.rpartition("/")[2])
        name = product["scene"] if product else piece.id
        other = newest.get(name)
        if other is None or (piece.updated, piece.id) > (other.updated, other.id):
            newest[name] = piece
    return list(newest.values())


def _orbit_of_area(start: int, stop: int, footprint: BaseGeometry, area: BaseGeometry) -> int:
    """Relative orbit that an ascending slice counts for.

    The number steps at the ascending node, so near the equator slices of one overflight carry two numbers, and where
    the cut between slices falls changes from date to date. Counting every slice by the side of the equator that the
    area's centre is on gives each pixel the same track at every date.
    """
    north = area.centroid.y >= 0
    if start != stop:
        return stop if north else start
    if (footprint.centroid.y >= 0) == north:
        return start
    return start % LAST_ORBIT + 1 if north else (start - 2) % LAST_ORBIT + 1


def read_footprint(outline: Mapping[str, Any]) -> BaseGeometry:
    """An image's outline as a valid (multi)polygon between -180 and 180 degrees.

    Earth Engine gives a LinearRing or a (multi)polygon; across the antimeridian its longitudes jump or run past 180.
    """
    if outline["type"] == "LinearRing":
        parts: list[BaseGeometry] = [Polygon(outline["coordinates"])]
    else:
        parts = list(shapely.get_parts(shape(dict(outline))))
    wrapped = [_wrap(part) for part in parts]
    return wrapped[0] if len(wrapped) == 1 else shapely.union_all(wrapped)


def _wrap(part: BaseGeometry) -> BaseGeometry:
    west, _, east, _ = part.bounds
    if west >= -180 and east <= 180 and east - west <= 180:
        return shapely.make_valid(part)
    if east - west > 180:
        part = shapely.transform(part, _unroll)
    part = shapely.make_valid(part)
    turns = [translate(part.intersection(box(left, -90, left + 360, 90)), -180 - left) for left in (-540, -180, 180)]
    return shapely.union_all(turns)


def _unroll(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lon, lat = points.T
    return np.column_stack([np.where(lon < 0, lon + 360, lon), lat])
