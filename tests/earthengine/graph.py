"""The expression graph that the client sends: its nodes, evaluated one by one.

An expression is ``{"result": id, "values": {id: node}}``; a node is one of the kinds below, and names others by id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import ee
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.images import Image, ImageCollection

Value = Any
"""What a node evaluates to: JSON's kinds, an Image, an ImageCollection, a geometry, a Python callable (a filter or a
mapped function), a Date."""


@dataclass(frozen=True, order=True)
class Date:
    """Milliseconds since 1970."""

    milliseconds: int


class Assets(Protocol):
    """What functions may load."""

    def image(self, identifier: str) -> Image:
        """The image of that id."""
        ...

    def collection(self, identifier: str) -> ImageCollection:
        """The collection of that id."""
        ...


@cache
def signatures() -> Mapping[str, Mapping[str, Any]]:
    """Signatures of Earth Engine's functions, from the list in the client's own tests."""
    return {algorithm["name"].removeprefix("algorithms/"): algorithm for algorithm in algorithms()["algorithms"]}


@cache
def algorithms() -> dict[str, Any]:
    """The answer of ``projects/*/algorithms``."""
    path = Path(ee.__file__).parent / "tests" / "algorithms.json"
    listing: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return listing


class Call:
    """One function call: its arguments, by name and checked."""

    def __init__(self, function: str, arguments: Mapping[str, Value], assets: Assets) -> None:
        self.function = function
        self.assets = assets
        self._arguments = arguments
        self._check_names()

    def _check_names(self) -> None:
        signature = signatures().get(self.function)
        if signature is None:
            raise EarthEngineError(f"Unknown algorithm: {self.function}.")
        known = {argument["argumentName"]: argument for argument in signature.get("arguments", ())}
        for name in self._arguments:
            if name not in known:
                raise EarthEngineError(f"{self.function}: Unknown argument '{name}'.")
        for name, argument in known.items():
            if name not in self._arguments and not argument.get("optional"):
                raise EarthEngineError(f"{self.function}: Missing required argument '{name}'.")

    def get(self, name: str, default: Value = None) -> Value:
        """An argument of any kind."""
        value = self._arguments.get(name)
        return default if value is None else value

    def text(self, name: str) -> str:
        """An argument that must be a string."""
        value = self.get(name)
        if not isinstance(value, str):
            raise self.mismatch(name, "String", value)
        return value

    def sequence(self, name: str) -> Sequence[Value]:
        """An argument that must be a list."""
        value = self.get(name)
        if not isinstance(value, list):
            raise self.mismatch(name, "List", value)
        return value

    def function_argument(self, name: str) -> Callable[..., Value]:
        """An argument that must be a filter or a function."""
        value = self.get(name)
        if not callable(value):
            raise self.mismatch(name, "Algorithm", value)
        function: Callable[..., Value] = value
        return function

    def image(self, name: str) -> Image:
        """An argument that must be an image."""
        value = self.get(name)
        if not isinstance(value, Image):
            raise self.mismatch(name, "Image", value)
        return value

    def collection(self, name: str) -> ImageCollection:
        """An argument that must be an image collection."""
        value = self.get(name)
        if not isinstance(value, ImageCollection):
            raise self.mismatch(name, "ImageCollection", value)
        return value

    def mismatch(self, name: str, wanted: str, value: Value) -> EarthEngineError:
        """The refusal of an argument of the wrong kind."""
        kind = type(value).__name__
        return EarthEngineError(
            f"{self.function}, argument '{name}': Invalid type. Expected type: {wanted}. Actual type: {kind}."
        )


Function = Callable[[Call], Value]


class Table(dict[str, Function]):
    """Functions by Earth Engine's name for them."""

    def enter(self, *names: str) -> Callable[[Function], Function]:
        """Decorator that enters a function under one name or more."""

        def remember(function: Function) -> Function:
            self.update(dict.fromkeys(names, function))
            return function

        return remember


class Evaluator:
    """Evaluates one expression.

    Parameters
    ----------
    functions
        By name; a name that isn't there makes the request fail, and says so.
    """

    def __init__(self, expression: Mapping[str, Any], functions: Mapping[str, Function], assets: Assets) -> None:
        self._values = expression["values"]
        self._result = expression["result"]
        self._functions = functions
        self._assets = assets
        self._known: dict[str, Value] = {}

    def result(self) -> Value:
        """The expression's value."""
        return self._refer(self._result, {})

    def _refer(self, key: str, bound: Mapping[str, Value]) -> Value:
        if bound:  # inside a mapped function the same node has another value in every call
            return self._evaluate(self._values[key], bound)
        if key not in self._known:
            self._known[key] = self._evaluate(self._values[key], bound)
        return self._known[key]

    def _evaluate(self, node: Mapping[str, Any], bound: Mapping[str, Value]) -> Value:
        ((kind, content),) = node.items()
        value: Value
        match kind:
            case "constantValue":
                value = content
            case "integerValue":
                value = int(content)
            case "valueReference":
                value = self._refer(content, bound)
            case "argumentReference":
                value = bound[content]
            case "arrayValue":
                value = [self._evaluate(each, bound) for each in content["values"]]
            case "dictionaryValue":
                value = {name: self._evaluate(each, bound) for name, each in content["values"].items()}
            case "functionDefinitionValue":
                value = self._define(content, bound)
            case "functionInvocationValue":
                value = self._invoke(content, bound)
            case _:
                raise EarthEngineError(f"stand-in: unknown kind of node '{kind}'")
        return value

    def _define(self, content: Mapping[str, Any], bound: Mapping[str, Value]) -> Callable[..., Value]:
        names, body = content["argumentNames"], content["body"]
        return lambda *values: self._refer(body, {**bound, **dict(zip(names, values, strict=True))})

    def _invoke(self, content: Mapping[str, Any], bound: Mapping[str, Value]) -> Value:
        name = content["functionName"]
        arguments = {key: self._evaluate(each, bound) for key, each in content.get("arguments", {}).items()}
        call = Call(name, arguments, self._assets)
        if name not in self._functions:
            raise EarthEngineError(f"stand-in: function {name}({', '.join(arguments)}) is not simulated; add it")
        return self._functions[name](call)


def function_names(expression: Mapping[str, Any]) -> set[str]:
    """Names of all functions that an expression calls."""
    found: set[str] = set()

    def look(node: Value) -> None:
        if isinstance(node, Mapping):
            if "functionName" in node:
                found.add(node["functionName"])
            for each in node.values():
                look(each)
        elif isinstance(node, list):
            for each in node:
                look(each)

    look(expression)
    return found


def to_json(value: Value) -> Value:
    """A value as ``value:compute`` gives it."""
    described = value
    match value:
        case Image():
            described = {
                "type": "Image",
                "bands": [_describe_band(value, name) for name in value.bands],
                "properties": to_json(dict(value.properties)),
                **({"id": value.id} if value.id else {}),
            }
        case ImageCollection():
            described = {"type": "ImageCollection", "bands": [], "features": [to_json(image) for image in value.images]}
        case Date():
            described = {"type": "Date", "value": value.milliseconds}
        case BaseGeometry():
            described = mapping(value)
        case dict():
            described = {name: to_json(each) for name, each in value.items()}
        case list() | tuple():
            described = [to_json(each) for each in value]
    return described


def _describe_band(image: Image, name: str) -> dict[str, Any]:
    band = image.bands[name]
    described: dict[str, Any] = {"id": name, "data_type": {"type": "PixelType", "precision": band.precision}}
    if band.native is not None:
        described["crs"] = band.native.crs
        described["crs_transform"] = list(band.native.transform)[:6]
        described["dimensions"] = [band.native.width, band.native.height]
    return described
