"""Earth Engine's functions of collections, filters, geometries and lists, as far as the stand-in knows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shapely.geometry import MultiPolygon, Point, Polygon, shape
from shapely.geometry.base import BaseGeometry

from tests.earthengine.graph import Call, Date, Function, Table, Value
from tests.earthengine.images import Image, ImageCollection

COLLECTION_FUNCTIONS = Table()

# Assets and collections


@COLLECTION_FUNCTIONS.enter("ImageCollection.load")
def _load_collection(call: Call) -> ImageCollection:
    return call.assets.collection(call.text("id"))


@COLLECTION_FUNCTIONS.enter("ImageCollection.fromImages")
def _from_images(call: Call) -> ImageCollection:
    images = call.sequence("images")
    for image in images:
        if not isinstance(image, Image):
            raise call.mismatch("images", "List<Image>", image)
    return ImageCollection(tuple(images))


@COLLECTION_FUNCTIONS.enter("ImageCollection.merge")
def _merge(call: Call) -> ImageCollection:
    return ImageCollection(call.collection("collection1").images + call.collection("collection2").images)


@COLLECTION_FUNCTIONS.enter("Collection.filter")
def _filter(call: Call) -> ImageCollection:
    keep = call.function_argument("filter")
    return ImageCollection(tuple(image for image in call.collection("collection").images if keep(image)))


@COLLECTION_FUNCTIONS.enter("Collection.map")
def _map(call: Call) -> ImageCollection:
    function = call.function_argument("baseAlgorithm")
    return ImageCollection(tuple(function(image) for image in call.collection("collection").images))


@COLLECTION_FUNCTIONS.enter("Collection.limit")
def _limit(call: Call) -> ImageCollection:
    images = list(call.collection("collection").images)
    key = call.get("key")
    if key is not None:
        images.sort(key=lambda image: image.property(key), reverse=not call.get("ascending", True))
    return ImageCollection(tuple(images[: call.get("limit")]))


@COLLECTION_FUNCTIONS.enter("Collection.size")
def _size(call: Call) -> int:
    return len(call.collection("collection").images)


@COLLECTION_FUNCTIONS.enter("Collection.first")
def _first(call: Call) -> Image | None:
    return next(iter(call.collection("collection").images), None)


@COLLECTION_FUNCTIONS.enter("Collection.toList")
def _to_list(call: Call) -> list[Image]:
    offset = call.get("offset", 0)
    return list(call.collection("collection").images[offset : offset + call.get("count")])


@COLLECTION_FUNCTIONS.enter("AggregateFeatureCollection.array")
def _aggregate_array(call: Call) -> list[Value]:
    name = call.text("property")
    values = (image.property(name) for image in call.collection("collection").images)
    return [value for value in values if value is not None]


# Filters: functions of an element

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda left, right: bool(left == right),
    "notEquals": lambda left, right: bool(left != right),
    "lessThan": lambda left, right: bool(left < right),
    "greaterThan": lambda left, right: bool(left > right),
    "lessThanOrEquals": lambda left, right: bool(left <= right),
    "greaterThanOrEquals": lambda left, right: bool(left >= right),
    "listContains": lambda left, right: right in left,
    "inList": lambda left, right: left in right,
    "stringStartsWith": lambda left, right: bool(left.startswith(right)),
    "dateRangeContains": lambda left, right: left[0].milliseconds <= right < left[1].milliseconds,
    "intersects": lambda left, right: bool(_geometry(left).intersects(_geometry(right))),
}


def _comparison(test: Callable[[Any, Any], bool]) -> Function:
    def make(call: Call) -> Callable[[Image], bool]:
        def side(image: Image, which: str) -> Value:
            name = call.get(f"{which}Field")
            if name is None:
                return call.get(f"{which}Value")
            return image.footprint if name in {".all", ".geo"} else image.property(name)

        def keep(image: Image) -> bool:
            left, right = side(image, "left"), side(image, "right")
            return left is not None and right is not None and test(left, right)

        return keep

    return make


for _name, _test in COMPARISONS.items():
    COLLECTION_FUNCTIONS[f"Filter.{_name}"] = _comparison(_test)


@COLLECTION_FUNCTIONS.enter("Filter.and")
def _all_of(call: Call) -> Callable[[Image], bool]:
    filters = call.sequence("filters")
    return lambda image: all(each(image) for each in filters)


@COLLECTION_FUNCTIONS.enter("Filter.or")
def _any_of(call: Call) -> Callable[[Image], bool]:
    filters = call.sequence("filters")
    return lambda image: any(each(image) for each in filters)


@COLLECTION_FUNCTIONS.enter("Filter.not")
def _none_of(call: Call) -> Callable[[Image], bool]:
    keep = call.function_argument("filter")
    return lambda image: not keep(image)


@COLLECTION_FUNCTIONS.enter("Date")
def _date(call: Call) -> Date:
    return _to_date(call.get("value"))


@COLLECTION_FUNCTIONS.enter("DateRange")
def _date_range(call: Call) -> tuple[Date, Date]:
    start = _to_date(call.get("start"))
    end = call.get("end")
    return start, Date(start.milliseconds + 1) if end is None else _to_date(end)


def _to_date(value: Value) -> Date:
    match value:
        case Date():
            return value
        case int() | float():
            return Date(int(value))
        case _:
            moment = dt.datetime.fromisoformat(value)
            return Date(round(moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp() * 1000))


# Geometries; edges are straight in longitude and latitude here


@COLLECTION_FUNCTIONS.enter("GeometryConstructors.Point")
def _point(call: Call) -> BaseGeometry:
    return Point(call.sequence("coordinates"))


@COLLECTION_FUNCTIONS.enter("GeometryConstructors.Polygon")
def _polygon(call: Call) -> BaseGeometry:
    rings = call.sequence("coordinates")
    return Polygon(rings[0], rings[1:])


@COLLECTION_FUNCTIONS.enter("GeometryConstructors.MultiPolygon")
def _multi_polygon(call: Call) -> BaseGeometry:
    return MultiPolygon([(rings[0], rings[1:]) for rings in call.sequence("coordinates")])


@COLLECTION_FUNCTIONS.enter("Feature")
def _feature(call: Call) -> Image:
    return Image({}, call.get("metadata", {}), _geometry(call.get("geometry")))


def _geometry(value: Value) -> BaseGeometry:
    if isinstance(value, Image):
        return value.footprint or Polygon()
    return value if isinstance(value, BaseGeometry) else shape(value)


# Elements


@COLLECTION_FUNCTIONS.enter("Element.get")
def _get(call: Call) -> Value:
    return call.image("object").property(call.text("property"))


@COLLECTION_FUNCTIONS.enter("Element.set")
def _set(call: Call) -> Image:
    image = call.image("object")
    return replace(image, properties={**image.properties, call.text("key"): call.get("value")})
