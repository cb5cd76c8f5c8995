"""Weights of the published network as Keras saves them, for the network as it is built here.

Shapes tell all layers apart but few, and these follow the order of the model: a second convolution or BatchNorm of the
encoder comes before its like in the decoder. Only the two heads are told apart by name, where the file knows names.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.errors import ModelError
from models.keras_file import NORMALISATION, Arrays, Slot, read_layers
from models.resunet import CHANNELS, ResidualUNet

State = dict[str, torch.Tensor]

HEADS = ("mean", "log_variance")
# From what Keras calls a variable to what PyTorch calls it.
_TORCH_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def read_keras(path: str | Path, channels: Sequence[int] = CHANNELS, *, isolated: bool = True) -> State:
    """State of a `ResidualUNet` from a Keras weight file of either style; see `models.keras_file`.

    Parameters
    ----------
    path
        ``.weights.h5`` or ``.h5``.
    channels
        Channels of each level, the published ones by default.
    isolated
        Read it in a process of its own, because the HDF5 library may crash on a damaged file.

    Raises
    ------
    ModelError
        h5py is missing, the file can't be read as HDF5, its layers are not those of the network, or its numbers are
        no weights (not finite, a negative variance).
    """
    slots = _slots(ResidualUNet(channels=channels))
    read = in_own_process if isolated else _here
    return _state(read(path, read_layers, path, slots, HEADS))


def in_own_process(path: str | Path, function: Callable[..., Arrays], *arguments: Any) -> Arrays:
    """A function's result, from a process that may crash over a file.

    Raises
    ------
    ModelError
        It crashed; the function's own errors are passed on.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        try:
            return executor.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise ModelError(f"{path} is damaged: the HDF5 library crashed over it; download it again") from None


def _here(_: str | Path, function: Callable[..., Arrays], *arguments: Any) -> Arrays:
    return function(*arguments)


def _slots(network: ResidualUNet) -> list[Slot]:
    """The network's layers in the order of the model."""
    rising = itertools.chain.from_iterable(
        ((f"upsampling.{level}", upsampling), (f"decoder.{level}", block))
        for level, (upsampling, block) in enumerate(zip(network.upsampling, network.decoder, strict=True))
    )
    encoder = ((f"encoder.{level}", block) for level, block in enumerate(network.encoder))
    heads = ((name, getattr(network, name)) for name in HEADS)
    slots = []
    for prefix, part in itertools.chain(encoder, rising, heads):
        for inner, module in part.named_modules():
            name = f"{prefix}.{inner}" if inner else prefix
            if isinstance(module, nn.Conv2d):
                height, width = module.kernel_size[0], module.kernel_size[1]
                kernel = (height, width, module.in_channels, module.out_channels)
                slots.append(Slot(name, {"kernel": kernel, "bias": (module.out_channels,)}))
            elif isinstance(module, nn.BatchNorm2d):
                slots.append(Slot(name, dict.fromkeys(NORMALISATION, (module.num_features,))))
    return slots


def _state(layers: Arrays) -> State:
    state: State = {}
    for name, variables in layers.items():
        for variable, values in variables.items():
            array = values.transpose(3, 2, 0, 1) if variable == "kernel" else values
            state[f"{name}.{_TORCH_NAMES[variable]}"] = torch.from_numpy(np.ascontiguousarray(array))
        if set(variables) == set(NORMALISATION):
            state[f"{name}.num_batches_tracked"] = torch.tensor(0)
    return state
