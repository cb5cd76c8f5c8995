"""Where tensors live, decided once when an estimator is built."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import torch

from models.errors import ModelError

Device = Literal["auto", "cpu", "cuda"]


def resolve_device(device: str) -> torch.device:
    """The device to compute on; auto takes the GPU where there is one.

    Raises
    ------
    ModelError
        An unknown device, or cuda on a machine without it.
    """
    if device not in get_args(Device):
        raise ModelError(f"unknown device '{device}'; choose one of {', '.join(get_args(Device))}")
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ModelError("device 'cuda' was asked for, but PyTorch finds no GPU here; choose 'auto' or 'cpu'")
    return torch.device("cuda" if there and device != "cpu" else "cpu")


def bf16_is_fast(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(name in flags.read_text() for name in ("amx_bf16", "avx512_bf16"))
