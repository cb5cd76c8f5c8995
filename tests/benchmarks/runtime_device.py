"""What the default estimator does on a device, with images on their way there and without; part of `runtime`.

Seconds are those of the clock, since nobody counts a GPU's. Fractions are of the fastest 3x3 convolution that PyTorch
makes on the device in the same precision, counted as in `runtime`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from models import registry
from models.ahead import estimates
from models.coherence.learned import LearnedEstimator
from models.coherence.network import CoherenceNetwork
from models.coherence.trim import Sides
from models.estimator import FloatArray
from models.evaluate.tables import Table
from models.runtimes.choice import BF16, PYTORCH

HEADINGS = ("part", "s a block", "GPix/s computed", "GPix/s kept", "TFLOP/s", "of the peak")
WIDTHS = (64, 96, 128, 256, 512)
AROUND = Sides(top=True, bottom=True, left=True, right=True)


def seconds(run: Callable[[], object], device: torch.device, rounds: int, times: int = 1) -> float:
    """Median time of one of so many calls in a row, after some that aren't counted."""
    found = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        for _ in range(times):
            run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number:
            found.append((time.perf_counter() - began) / times)
    return median(found)


def peak(device: torch.device, rounds: int, side: int, dtype: torch.dtype) -> float:
    """TFLOP/s of the fastest 3x3 convolution; float32 is that, and not TF32."""
    best = 0.0
    for width in WIDTHS:
        convolution = torch.nn.Conv2d(width, width, 3, padding=1, dtype=dtype, device=device)
        convolution = convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        image = torch.randn(1, width, side, side, dtype=dtype, device=device)
        image = image.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            taken = seconds(partial(convolution, image), device, rounds, times=4)
        best = max(best, 2e-12 * 9 * width**2 * side**2 / taken)
    return best


def on_device(
    device: torch.device, sides: tuple[int, ...], rounds: int, speckle: Callable[[int], list[FloatArray]]
) -> Iterator[Table]:
    """One table for each side of what is kept, in both of PyTorch's precisions.

    Rows: the learned part alone; the estimate of images that lie on the device; of images in memory here, one block
    after the other; the same as the pipeline does it, the next begun before the last is fetched.

    Parameters
    ----------
    sides
        Of what is kept of a block, in pixels.
    speckle
        Images of a side: a pair and further dates.
    """
    side = min(max(sides) // 4, 512)
    most = {
        runtime: peak(device, rounds, side, torch.bfloat16 if runtime == BF16 else torch.float32) for runtime in PYTORCH
    }
    for kept in sides:
        rows = []
        for runtime in PYTORCH:
            estimator = registry.get(device=device.type, runtime=runtime)
            assert isinstance(estimator, LearnedEstimator)
            side = kept + 2 * estimator.halo
            images = speckle(side)
            for name, taken, tera in _parts(estimator, device, images, rounds):
                speeds = [f"{pixels**2 / 1e9 / taken:.4g}" for pixels in (side, kept)]
                share = (f"{tera / taken:.3g}", f"{tera / taken / most[runtime]:.1%}")
                rows.append((f"{name}, {runtime}", f"{taken:.4f}", *speeds, *share))
        where = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU, one thread"
        title = (
            f"Blocks of {kept} px on {where}; convolutions {most['torch']:.3g}, in bfloat16 {most[BF16]:.3g} TFLOP/s"
        )
        yield Table(title, HEADINGS, tuple(rows))


def _parts(
    estimator: LearnedEstimator, device: torch.device, images: list[FloatArray], rounds: int
) -> Iterator[tuple[str, float, float]]:
    """Each row's name, its seconds a block, and the learned part's TFLOP, of what is kept after its cuts."""
    network, halo = estimator._network, estimator.halo
    assert isinstance(network, CoherenceNetwork)
    side, several = len(images[0]), 4
    inside = (slice(halo, side - halo),) * 2
    there = [torch.from_numpy(image).to(device) for image in images]
    features = torch.randn(1, network.stem.planes, side // 4, side // 4, device=device)
    run = estimator._runner(AROUND)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.trunk(features, margin=AROUND)
    tera = counter.get_total_flops() / 1e12

    def learned() -> object:
        with torch.inference_mode():
            return run(features)

    def resident() -> object:
        usual = estimator._transfers
        estimator._transfers = _Resident(there)
        try:
            with torch.inference_mode():
                return estimator._estimate_block(images, inside)
        finally:
            estimator._transfers = usual

    def alone() -> object:
        return estimator.estimate(images[0], images[1], images[2:], margin=halo)

    def ahead() -> object:
        return list(estimates(estimator, ((number, images) for number in range(several)), margin=halo))

    yield "learned part", seconds(learned, device, rounds, several), tera
    yield "images on the device", seconds(resident, device, rounds, several), tera
    yield "images here, one by one", seconds(alone, device, rounds, several), tera
    yield "images here, one ahead", seconds(ahead, device, rounds) / several, tera


class _Resident:
    """Images that are on the device already, and maps that stay there."""

    queued = False

    def __init__(self, images: list[torch.Tensor]) -> None:
        self._images = iter(images)

    def send(self, image: FloatArray) -> torch.Tensor:  # noqa: ARG002 - it is there
        """The next."""
        return next(self._images)

    def fetch(self, maps: torch.Tensor) -> Callable[[], FloatArray]:
        """Nobody asks."""
        raise NotImplementedError
