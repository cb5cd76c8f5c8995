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
_CHANNELS = 8
"""That stand together in ONNX Runtime's blocks on processors with AVX2."""
_FAR = 2**31 - 1
"""Beyond the end of every axis."""
_DOUBLE = "double"
"""The factors that a Resize enlarges by."""

Attribute = int | str | Sequence[int]


def onnx_bytes(graph: Graph, *, crop_by_convolution: bool = False) -> bytes:
    """The graph as a serialised ONNX model; batch, height and width are open.

    Parameters
    ----------
    crop_by_convolution
        Whether crops are written as convolutions that pick one cell, where they can be. ONNX Runtime keeps channels in
        blocks from one convolution to the next; a Slice makes it unpack them, and pack them again after it, and what
        stands between is computed unpacked, slower. Values are the same.
    """
    widths = _widths(graph)
    nodes, tensors = [], [_tensor(_DOUBLE, np.array([1.0, 1.0, 2.0, 2.0], np.float32))]
    for layer in graph.layers:
        inner = f"{layer.name}_linear" if layer.rectified else layer.name
        operator, entering, attributes = _operator(layer)
        for suffix, values in (("weight", layer.weight), ("bias", layer.bias)):
            if values is not None:
                entering.append(f"{layer.name}_{suffix}")
                tensors.append(_tensor(entering[-1], values))
        if layer.kind == "crop" and crop_by_convolution and _is_picked(layer, widths[layer.name]):
            operator, attributes = "Conv", {"group": widths[layer.name], "dilations": _steps(layer)}
            entering.append(f"{layer.name}_weight")
            tensors.append(_tensor(entering[-1], _picking(layer, widths[layer.name])))
        elif layer.kind == "crop":
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


def _widths(graph: Graph) -> dict[str, int]:
    """Channels of each layer's result."""
    widths = {ENTRANCE: graph.channels}
    for layer in graph.layers:
        entering = [widths[name] for name in layer.inputs]
        width = sum(entering) if layer.kind == "concat" else entering[0]
        widths[layer.name] = width if layer.weight is None else layer.weight.shape[0]
    return widths


def _is_picked(layer: Layer, width: int) -> bool:
    """Whether a convolution may stand for a crop: channels fill blocks, and its middle is the middle of both cuts."""
    top, bottom, left, right = layer.cut
    return width % _CHANNELS == 0 and all(0 in pair or pair[0] == pair[1] for pair in ((top, bottom), (left, right)))


def _steps(layer: Layer) -> list[int]:
    """Rows and columns from one weight to the next: as many as are cut off on a side."""
    top, bottom, left, right = layer.cut
    return [max(top, bottom, 1), max(left, right, 1)]


def _picking(layer: Layer, width: int) -> FloatArray:
    """Weights of 1, 2 or 3 rows and columns, by how many sides are cut; the one that counts is 1, all others are 0."""
    top, bottom, left, right = (int(cells > 0) for cells in layer.cut)
    weight = np.zeros((width, 1, 1 + top + bottom, 1 + left + right), np.float32)
    weight[:, :, top, left] = 1.0
    return weight


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
