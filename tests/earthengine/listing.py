"""Listing assets: the filter language of ``listAssets`` and the record of one image."""

from __future__ import annotations

import datetime as dt
import json
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.graph import to_json
from tests.earthengine.images import Image, PixelGrid

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TERM = re.compile(r'(?P<field>[\w.:]+)\s*(?P<operator>!=|<=|>=|=|<|>)\s*(?P<value>"[^"]*"|\S+)')
REGION = re.compile(r'intersects\("(?P<region>[^"]*)"\)')


def matches(image: Image, query: str) -> bool:
    """Whether an image meets a filter: terms on startTime, endTime, properties and intersects(), joined by AND."""
    return all(_meets(image, term) for term in re.split(r"\s+AND\s+", query) if term)


def _meets(image: Image, term: str) -> bool:
    region = REGION.fullmatch(term)
    if region:
        return image.footprint is None or bool(image.footprint.intersects(_area(region["region"])))
    comparison = TERM.fullmatch(term)
    if comparison is None:
        raise EarthEngineError(f"Invalid filter: cannot parse '{term}'.")
    compare, wanted = OPERATORS[comparison["operator"]], comparison["value"].strip('"')
    field = comparison["field"]
    if field in {"startTime", "endTime"}:
        milliseconds = image.property("system:time_start" if field == "startTime" else "system:time_end")
        return milliseconds is not None and compare(milliseconds, _milliseconds(wanted))
    if not field.startswith("properties."):
        raise EarthEngineError(f"Invalid filter: unknown field '{field}'.")
    value = image.property(field.removeprefix("properties."))
    return value is not None and compare(value, type(value)(wanted))


@lru_cache(maxsize=16)
def _area(text: str) -> BaseGeometry:
    return shape(json.loads(text.replace("'", '"')))


def _milliseconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp() * 1000


def record(image: Image) -> dict[str, Any]:
    """An image as ``assets.get`` and ``listAssets`` give it.

    Beliefs: the geometry is the LinearRing that the client's own form of the record shows; properties of the system
    (times, footprint) are only beside the others, not among them.
    """
    return {
        "type": "IMAGE",
        "name": f"projects/earthengine-public/assets/{image.id}",
        "id": image.id,
        "updateTime": image.updated.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "startTime": _timestamp(image.property("system:time_start")),
        "endTime": _timestamp(image.property("system:time_end")),
        "properties": to_json({k: v for k, v in image.properties.items() if not k.startswith("system:")}),
        "geometry": to_json(image.property("system:footprint")),
        "bands": [_band(name, band.precision, band.native) for name, band in image.bands.items()],
        "sizeBytes": "4063225529",
    }


def _timestamp(milliseconds: int) -> str:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _band(name: str, precision: str, native: PixelGrid | None) -> dict[str, Any]:
    described: dict[str, Any] = {"id": name, "dataType": {"precision": precision.upper()}}
    if native is not None:
        names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
        described["grid"] = {
            "crsCode": native.crs,
            "dimensions": {"width": native.width, "height": native.height},
            "affineTransform": dict(zip(names, list(native.transform)[:6], strict=True)),
        }
    return described
