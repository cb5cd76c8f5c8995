"""Images to the device and maps back, so that a GPU computes one block while it gets the next and gives the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from models.estimator import FloatArray


class Transfers(Protocol):
    """The way between arrays here and tensors on a device.

    Attributes
    ----------
    queued
        Whether what is begun goes on by itself, so that the next may be begun before this is fetched.
    """

    queued: bool

    def send(self, image: FloatArray) -> torch.Tensor:
        """An image on the device, or on its way there; what is computed from it waits for it."""
        ...

    def fetch(self, maps: torch.Tensor) -> Callable[[], FloatArray]:
        """Start the way back of what came of the images sent; call what is returned to wait for it."""
        ...


class HostTransfers:
    """The device is the CPU: nothing moves, and nothing is begun that isn't done at once."""

    queued = False

    def send(self, image: FloatArray) -> torch.Tensor:
        """The image itself."""
        return torch.from_numpy(np.ascontiguousarray(image))

    def fetch(self, maps: torch.Tensor) -> Callable[[], FloatArray]:
        """The maps themselves."""
        array: FloatArray = maps.numpy()
        return lambda: array


def pinned(shape: tuple[int, ...]) -> torch.Tensor:
    """Float32 in memory that stays where it is, which a GPU reads and writes by itself."""
    return torch.empty(shape, dtype=torch.float32, pin_memory=True)


class CudaTransfers:
    """Copies on two streams of their own, one each way, beside the stream that computes.

    A GPU has engines for copies in both directions besides those that compute. Each stream waits for another only where
    it needs what that makes; the process waits nowhere but in what `fetch` returns.

    Parameters
    ----------
    cuda, allocate
        `torch.cuda` and `pinned`, or what stands in for them.
    """

    queued = True

    def __init__(
        self,
        device: torch.device,
        *,
        cuda: Any = torch.cuda,
        allocate: Callable[[tuple[int, ...]], torch.Tensor] = pinned,
    ) -> None:
        self._device, self._cuda, self._allocate = device, cuda, allocate
        self._up, self._down = (cuda.Stream(device=device) for _ in range(2))
        self._sent: list[torch.Tensor] = []

    def send(self, image: FloatArray) -> torch.Tensor:
        """An image on its way to the device; the array may change as soon as this returns."""
        staged = self._allocate(image.shape)
        staged.numpy()[...] = image
        with self._cuda.stream(self._up):
            there = staged.to(self._device, non_blocking=True)
        self._cuda.current_stream(self._device).wait_stream(self._up)
        self._sent.append(there)
        return there

    def fetch(self, maps: torch.Tensor) -> Callable[[], FloatArray]:
        """Start the way back; what is returned waits until the maps are here."""
        maps = maps.contiguous()
        # Memory belongs to the stream it was taken on, and is taken anew there as soon as nobody holds it, whether or
        # not another stream is through with it. So it is held until all is.
        held, self._sent = [maps, *self._sent], []
        here = self._allocate(tuple(maps.shape))
        self._down.wait_stream(self._cuda.current_stream(self._device))
        with self._cuda.stream(self._down):
            here.copy_(maps, non_blocking=True)
            done = self._cuda.Event(blocking=True)  # to wait takes no CPU, which reads and writes meanwhile
            done.record(self._down)

        def arrived() -> FloatArray:
            done.synchronize()
            held.clear()
            array: FloatArray = here.numpy()
            return array

        return arrived


def open_transfers(device: torch.device) -> Transfers:
    """The way to a device and back."""
    return HostTransfers() if device.type == "cpu" else CudaTransfers(device)
