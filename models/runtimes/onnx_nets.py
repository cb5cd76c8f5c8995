"""A graph in the two runtimes that read ONNX: ONNX Runtime and OpenVINO; one thread, float32."""

from __future__ import annotations

import numpy as np
import torch

from models.runtimes.graph import ENTRANCE, Graph
from models.runtimes.onnx_model import onnx_bytes


class OnnxRuntimeRunner:
    """Runs a graph with ONNX Runtime; called with features of shape (1, channels, height, width)."""

    def __init__(self, graph: Graph) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = onnx_bytes(graph, crop_by_convolution=True)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Result of the graph, shape (1, channels, height, width)."""
        (leaving,) = self._session.run(None, {ENTRANCE: features.contiguous().numpy()})
        return torch.from_numpy(leaving)


class OpenVinoRunner:
    """Runs a graph with OpenVINO; called with features of shape (1, channels, height, width)."""

    def __init__(self, graph: Graph) -> None:
        import openvino

        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # workers would all be pinned to the same core
            "INFERENCE_PRECISION_HINT": "f32",  # where the CPU has bfloat16 it would be taken unasked
        }
        compiled = core.compile_model(core.read_model(onnx_bytes(graph)), "CPU", settings)
        self._request = compiled.create_infer_request()

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Result of the graph, shape (1, channels, height, width)."""
        found = self._request.infer([features.contiguous().numpy()], share_inputs=True)
        return torch.from_numpy(np.array(found[0]))
