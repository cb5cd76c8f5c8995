"""A graph in ONNX Runtime with its 3x3 convolutions in 8 bits: faster, and no longer equal to PyTorch.

Weights are rounded to 7 bits and a scale a channel, what passes between layers to 8 bits and a scale a layer (QDQ,
static). Seven, because processors without VNNI add two products in 16 bits, which 8 by 8 bits can overflow: so all
processors give the same. The scales come from what the layers give on some examples, once for the whole network, so
that graphs cut for other margins round alike. The first layer, the heads and the 1 x 1 convolutions between stay
float32.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.runtimes.graph import ENTRANCE, FloatArray, Graph
from models.runtimes.onnx_model import onnx_bytes

Ranges = dict[str, tuple[float, float]]
"""Least and most of what each layer gives, by its name."""


class Int8Runner:
    """Runs a graph; called with features of shape (1, channels, height, width).

    Parameters
    ----------
    ranges
        As `measure_ranges` found them on the graph without cuts.
    """

    def __init__(self, graph: Graph, ranges: Ranges) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = quantised_bytes(graph, ranges)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Result of the graph, shape (1, channels, height, width)."""
        (leaving,) = self._session.run(None, {ENTRANCE: features.contiguous().numpy()})
        return torch.from_numpy(leaving)


def measure_ranges(graph: Graph, examples: Iterable[FloatArray]) -> Ranges:
    """What each layer gives at least and at most on examples of what enters the graph, shape (1, channels, …)."""
    from onnxruntime.quantization.calibrate import CalibrationDataReader, MinMaxCalibrater

    class Examples(CalibrationDataReader):  # type: ignore[misc]  # the library has no annotations
        def __init__(self) -> None:
            self._left = iter(examples)

        def get_next(self) -> dict[str, FloatArray] | None:
            example = next(self._left, None)
            return None if example is None else {ENTRANCE: example}

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(onnx_bytes(graph))
        calibrator = MinMaxCalibrater(path, augmented_model_path=str(Path(folder) / "augmented.onnx"))
        calibrator.augment_graph()
        calibrator.create_inference_session()
        calibrator.collect_data(Examples())
        found = calibrator.compute_data()
        del calibrator  # holds files of the folder open
    return {name: tuple(float(np.min(end)) for end in each.range_value) for name, each in found.items()}  # type: ignore[misc]


def quantised_bytes(graph: Graph, ranges: Ranges) -> bytes:
    """The graph as a serialised ONNX model of 8 bits, where its layers gain by that."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = onnx.load_from_string(onnx_bytes(graph))
    sources = {layer.name: layer.inputs[0] for layer in graph.layers if layer.kind == "crop"}
    known = ranges | {name: ranges[source] for name, source in sources.items() if source in ranges}
    data = {name: (np.float32(low), np.float32(high)) for name, (low, high) in known.items()}
    small = {layer.name for layer in graph.layers if layer.weight is not None and layer.weight.shape[2:] != (3, 3)}
    plain = [
        node.name
        for node in model.graph.node
        if node.op_type in {"Resize", "Slice"} or node.name.removesuffix("_linear") in small
    ]
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the library advises to prepare the model, in a sentence a call
    try:
        quantiser: Any = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=True,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, data),
            nodes_to_quantize=[],
            nodes_to_exclude=plain,
            op_types_to_quantize=["Conv", "Add", "Relu"],
            extra_options={},
        )
        quantiser.quantize_model()
    finally:
        logger.setLevel(level)
    content: bytes = quantiser.model.model.SerializeToString()
    return content
