"""Which runtime computes a network here: the one asked for, or the best that is installed. Light to import."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from models.errors import ModelError

if TYPE_CHECKING:
    import torch

    from models.runtimes.graph import Graph

Name = Literal["auto", "torch", "onnxruntime", "openvino", "ncnn", "onnxruntime-int8", "torch-bf16"]
INT8, BF16 = "onnxruntime-int8", "torch-bf16"
Runner: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"

NEEDS: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "ncnn": ("ncnn",),
    INT8: ("onnxruntime", "onnx"),
}
"""Packages of each runtime beyond PyTorch."""
PYTORCH = ("torch", BF16)
"""Those that need no other package, and compute on a GPU too."""
ROUNDED = {INT8: "-int8", BF16: "-bf16"}
"""Those whose numbers are not PyTorch's in float32, and what the versions of their estimators end in."""
EXACT = tuple(name for name in NEEDS if name not in ROUNDED)
"""Those of other packages whose numbers are PyTorch's to 1e-5."""
AUTOMATIC = ("onnxruntime", "openvino")
"""Those that are taken unasked on a CPU, the first that is installed: ncnn is a tenth faster, but its Python binding
hands memory to C++ without checking it, and what crashes there takes the process with it."""


def is_installed(name: str) -> bool:
    """Whether all packages that a runtime needs are there."""
    return name in PYTORCH or all(find_spec(package) is not None for package in NEEDS[name])


def require_runtime(name: str) -> None:
    """Refuse a runtime that there is not, or that isn't installed.

    Raises
    ------
    ModelError
        Says which there are, or what brings it.
    """
    if name not in get_args(Name):
        raise ModelError(f"unknown runtime '{name}'; choose one of {', '.join(get_args(Name))}")
    if name != "auto" and not is_installed(name):
        packages = " ".join(NEEDS[name])
        raise ModelError(
            f"runtime '{name}' is not installed; `pip install {packages}` brings it, or choose runtime 'auto'"
        )


def resolve_runtime(name: str, device: torch.device) -> str:
    """The runtime that is meant: on a GPU always PyTorch; auto takes the first of `AUTOMATIC` that is installed.

    It never takes one that rounds, on a GPU neither: estimates would have another version there, and what a GPU began
    a CPU would begin anew.

    Raises
    ------
    ModelError
        There is no such runtime, or it isn't installed, or it doesn't run on this device.
    """
    require_runtime(name)
    if name == "auto":
        if device.type != "cpu":
            return "torch"
        return next((each for each in AUTOMATIC if is_installed(each)), "torch")
    if device.type != "cpu" and name not in PYTORCH:
        raise ModelError(f"runtime '{name}' computes on the CPU; choose device 'cpu', or runtime 'auto'")
    return name


def require_exact(name: str) -> None:
    """Refuse a runtime whose rounding takes examples: only `models.coherence.learned` has some.

    Raises
    ------
    ModelError
        It is such a runtime.
    """
    if name == INT8:
        raise ModelError(f"runtime '{INT8}' knows no other networks than the default one's kind; choose runtime 'auto'")


def open_runner(name: str, graph: Graph) -> Runner:
    """A graph, ready to run in a runtime other than PyTorch; raises as `require_exact` does."""
    require_exact(name)
    if name == "ncnn":
        from models.runtimes.ncnn_net import NcnnRunner

        return NcnnRunner(graph)
    from models.runtimes.onnx_nets import OnnxRuntimeRunner, OpenVinoRunner

    return OnnxRuntimeRunner(graph) if name == "onnxruntime" else OpenVinoRunner(graph)
