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
    bf16 = "torch-bf16"


RegionName = Annotated[
    str, typer.Argument(metavar="REGION", help="A region file (.toml), or a name listed by `regions`.")
]
OutputUri = Annotated[
    str | None, typer.Option("--output", help="Folder or URI (s3://, gs://) for the results; out/NAME by default.")
]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Worker processes; all cores by default, 0 = none, in this process.")
]
Scheduler = Annotated[str | None, typer.Option(help="Address of a running Dask scheduler, tcp://HOST:PORT.")]
SourcePath = Annotated[str | None, typer.Option(help="Another folder or URI for source.kind = 'archive'.")]
Project = Annotated[str | None, typer.Option(help="Google Cloud project, for source.kind = 'earthengine'.")]
RuntimeName = Annotated[
    Runtime, typer.Option(help="What computes a network's convolutions; auto: the best that is installed.")
]
DeviceName = Annotated[Device, typer.Option(help="Where the estimator runs.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]
