"""Earth Engine's functions of lists, dictionaries and columns of properties, as far as the stand-in knows them."""

from __future__ import annotations

from collections.abc import Callable

from tests.earthengine.graph import Call, Table, Value
from tests.earthengine.images import Image

LIST_FUNCTIONS = Table()


@LIST_FUNCTIONS.enter("List.get")
def _get(call: Call) -> Value:
    return call.sequence("list")[call.get("index")]


@LIST_FUNCTIONS.enter("List.size")
def _size(call: Call) -> int:
    return len(call.sequence("list"))


@LIST_FUNCTIONS.enter("List.slice")
def _slice(call: Call) -> list[Value]:
    return list(call.sequence("list")[call.get("start") : call.get("end") : call.get("step")])


@LIST_FUNCTIONS.enter("Dictionary.get")
def _entry(call: Call) -> Value:
    return call.get("dictionary")[call.text("key")]


@LIST_FUNCTIONS.enter("Element.toDictionary")
def _to_dictionary(call: Call) -> dict[str, Value]:
    element = call.get("element")
    return dict(element.properties) if isinstance(element, Image) else {}


@LIST_FUNCTIONS.enter("Collection.iterate")
def _iterate(call: Call) -> Value:
    function = call.function_argument("function")
    result = call.get("first")
    for image in call.collection("collection").images:
        result = function(image, result)
    return result


# Reducers: functions from columns of values to named results


Reducer = Callable[[list[list[Value]]], dict[str, Value]]


@LIST_FUNCTIONS.enter("Reducer.toList")
def _to_list(call: Call) -> Reducer:
    del call
    return lambda columns: {"list": columns[0]}


@LIST_FUNCTIONS.enter("Reducer.repeat")
def _repeat(call: Call) -> Reducer:
    reduce = call.function_argument("reducer")

    def each(columns: list[list[Value]]) -> dict[str, Value]:
        found = [reduce([column]) for column in columns]
        return {name: [result[name] for result in found] for name in found[0]}

    return each


@LIST_FUNCTIONS.enter("Collection.reduceColumns")
def _reduce_columns(call: Call) -> Value:
    """Results by name; an element that lacks one of the properties counts nowhere."""
    images, names = call.collection("collection").images, call.sequence("selectors")
    rows = [[image.property(name) for name in names] for image in images]
    whole = [row for row in rows if None not in row]
    columns = [[row[place] for row in whole] for place in range(len(names))]
    return call.function_argument("reducer")(columns)
