"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Runtime(StrEnum):
    """What computes a network's convolutions."""

    auto = "auto"
    torch = "torch"
    onnxruntime = "onnxruntime"
    openvino = "openvino"
    ncnn = "ncnn"
    int8 = "onnxruntime-int8"


RuntimeName = Annotated[
    Runtime, typer.Option(help="What computes a network's convolutions; auto: the best that is installed.")
]
DeviceName = Annotated[Device, typer.Option(help="Where the estimator runs.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]
