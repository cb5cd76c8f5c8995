"""A graph in ncnn, whose 3x3 convolutions multiply a quarter to two fifths as often (Winograd's algorithm).

ncnn reads a network from a text of layers and a file of weights; both are written here from the graph. Everything is
float32, and one thread: the workers are the parallelism.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from models.errors import ModelError
from models.runtimes.graph import ENTRANCE, Graph, Layer

_MAGIC = 7767517
_RAW = np.zeros(1, np.uint32).tobytes()
"""Says that float32 weights follow."""
_REST = -233
"""ncnn's mark for: as far as the image goes, less what is cut at its end."""
_NARROW = ("use_fp16_storage", "use_fp16_arithmetic", "use_fp16_packed", "use_bf16_storage")


class NcnnRunner:
    """Runs a graph with ncnn; called with features of shape (1, channels, height, width).

    Raises
    ------
    ModelError
        ncnn refuses the graph.
    """

    def __init__(self, graph: Graph) -> None:
        import ncnn

        self._ncnn, self._result = ncnn, graph.result
        self._net = net = ncnn.Net()
        net.opt.num_threads = 1
        net.opt.use_vulkan_compute = False
        for option in _NARROW:
            setattr(net.opt, option, False)
        # The transform of 6x6 outputs is slower than that of 4x4 on these few channels, and rounds more.
        net.opt.use_winograd63_convolution = False
        # Memory is kept from call to call: mapped anew, page by page, it takes longer than some layers.
        self._pools = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
        net.opt.blob_allocator, net.opt.workspace_allocator = self._pools
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "weights.bin"
            weights.write_bytes(b"".join(_weights(graph)))
            if net.load_param_mem(layers_text(graph)) != 0 or net.load_model(str(weights)) != 0:
                raise ModelError("ncnn can't load the network; choose another runtime, or another version of ncnn")

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Result of the graph, shape (1, channels, height, width)."""
        _, channels, height, width = features.shape
        entering = self._ncnn.Mat(width, height, channels)
        np.array(entering, copy=False)[...] = features[0].numpy()
        extractor = self._net.create_extractor()
        extractor.input(ENTRANCE, entering)
        status, leaving = extractor.extract(self._result)
        if status != 0:
            raise ModelError(f"ncnn failed on {height} x {width} cells (status {status}); is there enough memory?")
        return torch.from_numpy(np.array(leaving))[None]


def layers_text(graph: Graph) -> str:
    """The graph in ncnn's text format; what several layers use is split, as ncnn wants it."""
    uses = Counter(name for layer in graph.layers for name in layer.inputs)
    taken: Counter[str] = Counter()
    lines, blobs = [f"Input {ENTRANCE} 0 1 {ENTRANCE}", *_split(ENTRANCE, uses)], {ENTRANCE}
    for layer in graph.layers:
        entering = []
        for name in layer.inputs:
            entering.append(f"{name}_{taken[name]}" if uses[name] > 1 else name)
            taken[name] += 1
        kind, options = _described(layer)
        lines.append(
            f"{kind} {layer.name} {len(entering)} 1 {' '.join([*entering, layer.name])} "
            + " ".join(f"{key}={value}" for key, value in options.items())
        )
        lines += _split(layer.name, uses)
        blobs.add(layer.name)
    count = len(blobs) + sum(number for number in uses.values() if number > 1)
    return "\n".join([str(_MAGIC), f"{len(lines)} {count}", *lines]) + "\n"


def _split(name: str, uses: Counter[str]) -> list[str]:
    if uses[name] < 2:
        return []
    return [f"Split split_{name} 1 {uses[name]} {name} {' '.join(f'{name}_{number}' for number in range(uses[name]))}"]


def _described(layer: Layer) -> tuple[str, dict[str, str]]:
    """What ncnn calls a layer and its numbered options."""
    if layer.kind == "conv":
        assert layer.weight is not None  # noqa: S101 - every convolution has one
        out, _, rows, columns = layer.weight.shape
        numbers = {0: out, 1: columns, 11: rows, 3: layer.stride, 4: layer.before, 15: layer.after, 14: layer.before}
        numbers |= {16: layer.after, 5: 1, 6: layer.weight.size, 9: int(layer.rectified)}
        return "Convolution", {str(key): str(value) for key, value in numbers.items()}
    if layer.kind == "crop":
        top, bottom, left, right = layer.cut
        numbers = {0: left, 1: top, 2: 0, 3: _REST, 4: _REST, 5: _REST, 6: right, 7: bottom, 8: 0}
        return "Crop", {str(key): str(value) for key, value in numbers.items()}
    return {
        "add": ("BinaryOp", {"0": "0"}),
        "relu": ("ReLU", {}),
        "pool": ("Pooling", {"0": "0", "1": "2", "2": "2", "5": "1"}),
        "enlarge": ("Interp", {"0": "2", "1": "2.0", "2": "2.0", "6": "0"}),
        "concat": ("Concat", {"0": "0"}),
    }[layer.kind]


def _weights(graph: Graph) -> Iterator[bytes]:
    for layer in graph.layers:
        if layer.weight is not None and layer.bias is not None:
            yield _RAW + np.ascontiguousarray(layer.weight).tobytes() + layer.bias.tobytes()
