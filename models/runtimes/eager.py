"""A network in PyTorch itself, on a CPU or a GPU: in float32, or by option with its layers in bfloat16."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from models.runtimes.choice import Runner


class EagerRunner:
    """Runs the learned part of a network; called with features of shape (1, channels, height, width).

    Float32 is float32 on a GPU too: PyTorch's convolutions would round to the 10 bits of TF32 there unasked. Algorithms
    are neither chosen by a race nor such that their order of additions differs from call to call, so that all workers
    with the same GPU give the same bits.

    Parameters
    ----------
    network
        What to run, its weights in float32.
    rounded
        Whether convolutions multiply bfloat16. They add in float32 (on a GPU; a CPU decides by itself), and what
        passes between layers is bfloat16: 8 bits of every number. Features and results are float32 either way.
    """

    def __init__(self, network: Runner, *, rounded: bool) -> None:
        self._network = network
        self._rounded = rounded

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Result of the network in float32, shape (1, channels, height, width)."""
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        precision = torch.autocast(features.device.type, torch.bfloat16) if self._rounded else nullcontext()
        with exact, precision:
            return self._network(features).float()
