"""A graph as an ONNX model, for the runtimes that read one.

Seven operators and two types of number need no library to be written: an ONNX model is a Protocol Buffers message,
whose fields are numbered in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Tests have ONNX Runtime read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from models.runtimes.graph import ENTRANCE, FloatArray, Graph, Layer

OPSET = 17
"""Of the operators used: Conv, Add, Relu, MaxPool, Resize, Concat and Slice have kept their meaning since 13."""
IR_VERSION = 8
_FLOAT, _INT64 = 1, 7
"""Types of tensors."""
_INT, _STRING, _INTS = 2, 3, 7
"""Types of attributes."""
_FAR = 2**31 - 1
"""Beyond the end of every axis."""
_DOUBLE = "double"
"""The factors that a Resize enlarges by."""

Attribute = int | str | Sequence[int]


def onnx_bytes(graph: Graph) -> bytes:
    """The graph as a serialised ONNX model; batch, height and width are open."""
    nodes, tensors = [], [_tensor(_DOUBLE, np.array([1.0, 1.0, 2.0, 2.0], np.float32))]
    for layer in graph.layers:
        inner = f"{layer.name}_linear" if layer.rectified else layer.name
        operator, entering, attributes = _operator(layer)
        for suffix, values in (("weight", layer.weight), ("bias", layer.bias)):
            if values is not None:
                entering.append(f"{layer.name}_{suffix}")
                tensors.append(_tensor(entering[-1], values))
        if layer.kind == "crop":
            for suffix, integers in _slice(layer).items():
                entering.append(f"{layer.name}_{suffix}")
                tensors.append(_integers(entering[-1], integers))
        nodes.append(_node(operator, entering, inner, attributes))
        if layer.rectified:
            nodes.append(_node("Relu", [inner], layer.name, {}))
    made = [_part(1, node) for node in nodes] + [_part(2, b"cohmap")] + [_part(5, tensor) for tensor in tensors]
    made += [_part(11, _end(ENTRANCE, graph.channels)), _part(12, _end(graph.result, None))]
    opset = _part(1, b"") + _number(2, OPSET)
    return _number(1, IR_VERSION) + _part(2, b"cohmap") + _part(7, b"".join(made)) + _part(8, opset)


def _operator(layer: Layer) -> tuple[str, list[str], dict[str, Attribute]]:
    """ONNX' operator of a layer, what enters it, and its attributes."""
    entering = list(layer.inputs)
    if layer.kind == "conv":
        pads = [layer.before, layer.before, layer.after, layer.after]
        return "Conv", entering, {"pads": pads, "strides": [layer.stride] * 2}
    if layer.kind == "enlarge":
        enlarge: dict[str, Attribute] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return "Resize", [*entering, "", _DOUBLE], enlarge
    if layer.kind == "pool":
        return "MaxPool", entering, {"kernel_shape": [2, 2], "strides": [2, 2]}
    if layer.kind == "concat":
        return "Concat", entering, {"axis": 1}
    return {"add": "Add", "relu": "Relu", "crop": "Slice"}[layer.kind], entering, {}


def _node(operator: str, entering: Sequence[str], leaving: str, attributes: dict[str, Attribute]) -> bytes:
    parts = [_part(1, name.encode()) for name in entering]
    parts += [_part(2, leaving.encode()), _part(3, leaving.encode()), _part(4, operator.encode())]
    parts += [_part(5, _part(1, name.encode()) + _value(value)) for name, value in attributes.items()]
    return b"".join(parts)


def _value(value: Attribute) -> bytes:
    if isinstance(value, int):
        return _number(3, value) + _number(20, _INT)
    if isinstance(value, str):
        return _part(4, value.encode()) + _number(20, _STRING)
    return b"".join(_number(8, each) for each in value) + _number(20, _INTS)


def _tensor(name: str, values: FloatArray) -> bytes:
    dims = b"".join(_number(1, length) for length in values.shape)
    raw = np.ascontiguousarray(values, "<f4").tobytes()
    return dims + _number(2, _FLOAT) + _part(8, name.encode()) + _part(9, raw)


def _slice(layer: Layer) -> dict[str, list[int]]:
    """Where a crop begins and ends, along which axes; ONNX counts from the end where a number is negative."""
    top, bottom, left, right = layer.cut
    return {"starts": [top, left], "ends": [-bottom or _FAR, -right or _FAR], "axes": [2, 3]}


def _integers(name: str, values: Sequence[int]) -> bytes:
    raw = np.array(values, "<i8").tobytes()
    return _number(1, len(values)) + _number(2, _INT64) + _part(8, name.encode()) + _part(9, raw)


def _end(name: str, channels: int | None) -> bytes:
    """What enters or leaves: its name, and its shape as far as it is known."""
    known = _part(2, b"channels") if channels is None else _number(1, channels)
    dims = [_part(2, b"batch"), known, *(_part(2, f"{name}_{axis}".encode()) for axis in ("rows", "columns"))]
    shape = b"".join(_part(1, dim) for dim in dims)
    return _part(1, name.encode()) + _part(2, _part(1, _number(1, _FLOAT) + _part(2, shape)))


def _part(field: int, content: bytes) -> bytes:
    """A field that holds bytes, text or a message."""
    return bytes(_varint(field << 3 | 2)) + bytes(_varint(len(content))) + content


def _number(field: int, value: int) -> bytes:
    return bytes(_varint(field << 3)) + bytes(_varint(value))


def _varint(value: int) -> Iterator[int]:
    """Seven bits a byte, the lowest first; the eighth says that there are more."""
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
