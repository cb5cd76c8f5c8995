"""Where a training run stands, on disk: weights, their average, and the optimiser, as safetensors."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from models.errors import ModelError

Tensors = dict[str, torch.Tensor]
FILE = "checkpoint.safetensors"


def save(
    folder: Path, step: int, network: nn.Module, average: Tensors, optimizer: torch.optim.Optimizer, by: str
) -> None:
    """Write a checkpoint; the one before stays until this one is whole.

    Parameters
    ----------
    by
        What the run follows from; `load` refuses a checkpoint of another.
    """
    tensors: Tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
    partial = folder / (FILE + ".partial")
    copies = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}
    save_file(copies, partial, metadata={"step": str(step), "by": by})
    partial.replace(folder / FILE)


def load(folder: Path, network: nn.Module, optimizer: torch.optim.Optimizer, by: str) -> tuple[int, Tensors] | None:
    """Put a run back where it stood.

    Returns
    -------
    step, average
        Number of steps done and the averaged weights; None without a checkpoint.

    Raises
    ------
    ModelError
        The checkpoint is damaged, or of a run with other settings.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise _damaged(path, error) from None
    if metadata.get("by") != by:
        raise ModelError(f"{path} belongs to a run with other settings; name another --output, or delete it")
    stored = optimizer.state_dict()
    stored["state"] = {}
    try:
        network.load_state_dict(_below("network.", tensors))
        for name, value in _below("optimizer.", tensors).items():
            number, entry = name.split(".", 1)
            stored["state"].setdefault(int(number), {})[entry] = value
        optimizer.load_state_dict(stored)
        step = int(metadata["step"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise _damaged(path, error) from None
    average = _below("average.", tensors)
    state = network.state_dict()
    if average.keys() != state.keys():
        raise _damaged(path, "the averaged weights are of another network")
    return step, {name: value.to(state[name].device) for name, value in average.items()}


def _damaged(path: Path, reason: object) -> ModelError:
    return ModelError(f"{path} is damaged ({str(reason).splitlines()[0]}); delete it to begin again")


def _below(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def fingerprint(settings: str) -> str:
    """Settings as text, in one form."""
    return json.dumps(json.loads(settings), sort_keys=True)
