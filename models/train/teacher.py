"""A trained network whose estimates are learned beside the truth, by one that is to be smaller.

The truth of one scene is far from what its two images tell: most of the squared error is speckle's, which no network
can do anything about, and its gradient is noise. A trained network's estimate of the same images carries none of it
(Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531).
"""

from __future__ import annotations

from pathlib import Path

import torch

from models import weights
from models.coherence.learned import SHIPPED
from models.coherence.network import Weights
from models.train.batch import Batch
from models.train.networks import predict


def find_teacher(name: str) -> Weights:
    """Shipped weights of this name, or those of a file that `cohmap train` made.

    Raises
    ------
    ModelError
        There are none.
    """
    return Weights.load(Path(name) if name.endswith(weights.SUFFIX) else SHIPPED / f"{name}{weights.SUFFIX}")


class Teacher:
    """Estimates of a trained network; arguments and errors as of `find_teacher`."""

    def __init__(self, name: str, device: torch.device) -> None:
        self._network = find_teacher(name).network().to(device)

    @torch.no_grad()
    def coherence(self, batch: Batch) -> torch.Tensor:
        """What it makes of a batch, shape (batch, 1, side, side)."""
        return predict(self._network, *batch.shown)[0]
