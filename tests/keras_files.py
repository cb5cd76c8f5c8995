"""Weight files laid out as Keras writes them, from a PyTorch network; looked up in files that Keras itself wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

from models.resunet import ResidualBlock, ResidualUNet

SMALL = (3, 6, 12, 24, 48)
"""Channels that keep the published ratios and take no time."""

Variables = dict[str, Any]
Layer = tuple[str, Variables]


def random_network(seed: int = 0, channels: Sequence[int] = SMALL) -> ResidualUNet:
    """A network whose weights and statistics are all random, and different from each other."""
    generator = torch.Generator().manual_seed(seed)
    network = ResidualUNet(channels=channels).eval()
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 4:
            tensor.normal_(0.0, (1.2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.is_floating_point():
            tensor.normal_(0.0, 0.1, generator=generator)
    return network


def every_path_open() -> ResidualUNet:
    """A network of positive weights: no ReLU and no cancellation stops any influence."""
    network = ResidualUNet(entering=1, channels=(1, 1, 1, 1, 1)).double().eval()
    for name, parameter in network.named_parameters():
        is_norm = "norm" in name
        value = 1.0 if is_norm else 1.0 / parameter[0].numel()
        torch.nn.init.constant_(parameter, 0.0 if name.endswith("bias") else value)
    return network


def keras_layers(network: ResidualUNet, *, offset: int = 0, shortcut_first: bool = True) -> list[Layer]:
    """Layers with weights in the order of the model, by the names that Keras would give them.

    Parameters
    ----------
    offset
        How many blocks another model of the same session took numbers for.
    shortcut_first
        Whether a block creates its shortcut before the other two convolutions.
    """
    blocks: list[ResidualBlock | nn.Conv2d] = [*network.encoder]
    for upsampling, block in zip(network.upsampling, network.decoder, strict=True):
        blocks += [upsampling.conv, block]  # type: ignore[list-item]
    layers: list[Layer] = []
    number = offset
    for part in blocks:
        if isinstance(part, nn.Conv2d):
            layers.append((f"upsampling_{part.in_channels // 2}-{part.out_channels // 2}", _convolution(part)))
        else:
            layers += _block(part, number, shortcut_first=shortcut_first)
            number += 1
    return [*layers, ("mean", _convolution(network.mean)), ("log_variance", _convolution(network.log_variance))]


def _block(block: ResidualBlock, number: int, *, shortcut_first: bool) -> Iterator[Layer]:
    first, second, shortcut = (1, 2, 0) if shortcut_first else (0, 1, 2)
    yield _name("conv2d", 3 * number + first), _convolution(block.first)
    yield _name("batch_normalization", 2 * number), _normalisation(block.first_norm)
    yield _name("conv2d", 3 * number + second), _convolution(block.second)
    yield _name("batch_normalization", 2 * number + 1), _normalisation(block.second_norm)
    yield _name("conv2d", 3 * number + shortcut), _convolution(block.shortcut)


def _name(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _convolution(layer: nn.Conv2d) -> Variables:
    assert layer.bias is not None
    return {"kernel": layer.weight.detach().permute(2, 3, 1, 0).numpy(), "bias": layer.bias.detach().numpy()}


def _normalisation(layer: nn.BatchNorm2d) -> Variables:
    named = {
        "gamma": layer.weight,
        "beta": layer.bias,
        "moving_mean": layer.running_mean,
        "moving_variance": layer.running_var,
    }
    return {name: tensor.detach().numpy() for name, tensor in named.items() if tensor is not None}


def write_numbered(path: Path, layers: Sequence[Layer], *, names: bool = True, root: str = "layers") -> Path:
    """``.weights.h5`` of Keras 3: numbered by class; later releases note the names.

    The saver of Keras 2.12 and later calls the root ``_layer_checkpoint_dependencies`` and notes no names.
    """
    counts: dict[str, int] = {}
    with h5py.File(path, "w") as file:
        file.create_group("vars")
        for bare in ("input_layer", "activation", "activation_1"):
            file.create_group(f"{root}/{bare}/vars")
        for name, variables in layers:
            kind = "conv2d" if "kernel" in variables else "batch_normalization"
            group = file.create_group(f"{root}/{_name(kind, counts.get(kind, 0))}/vars")
            counts[kind] = counts.get(kind, 0) + 1
            if names:
                group.attrs["name"] = name
            for number, values in enumerate(variables.values()):
                group[str(number)] = values
    return path


def write_listed(path: Path, layers: Sequence[Layer], *, whole_model: bool = False) -> Path:
    """``.h5`` of Keras 2, or a whole model of Keras 3: by name, with the order of the model in an attribute."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        order = ["input_1", "activation", *(name for name, _ in layers)]
        root.attrs["layer_names"] = np.array([name.encode() for name in order])
        every: dict[str, Variables] = {name: {} for name in order} | dict(layers)
        for name, variables in every.items():
            group = root.create_group(name)
            suffix = "" if whole_model else ":0"
            written = [f"{name}/{variable}{suffix}" for variable in variables]
            group.attrs["weight_names"] = np.array([text.encode() for text in written])
            for text, values in zip(written, variables.values(), strict=True):
                group[text] = values
    return path


def write_config(path: Path, text: str = "preprocessing: {clip_db: [-20, 0], eps: 1.0e-6}\n") -> Path:
    """A config.yaml; nobody here ever saw the published one."""
    path.write_text(text, encoding="utf-8")
    return path
