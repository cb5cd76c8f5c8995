"""What the default estimator costs: ``python -m tests.benchmarks.runtime [--before CHECKOUT] [--rounds 7]``.

One thread, CPU seconds, medians over rounds in which all contenders take turns, so that what else the machine does
meets them alike. `--before` names a checkout of an older commit whose estimator takes its turns too, in a process of
its own. Fractions are of the fastest 3x3 convolution that PyTorch makes here, counted without tricks: one
multiplication and one addition a weight. Winograd's algorithm multiplies less often, so it may pass 100 %.

``--device cuda`` measures PyTorch on a GPU instead (`tests.benchmarks.runtime_device`); ``--device cpu --sides 128``
shows what that prints.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from models import registry
from models.coherence.device import resolve_device
from models.coherence.learned import LearnedEstimator
from models.coherence.network import CoherenceNetwork
from models.coherence.trim import WHOLE
from models.estimator import FloatArray
from models.evaluate.tables import Table
from models.runtimes.choice import NEEDS, is_installed
from tests.benchmarks.runtime_device import on_device

KEPT = (512, 1024, 2048)
"""Sides of what is kept of a block; the halo comes on top."""
OLDER = 1024
"""Largest of them that older commits are timed on: they cut larger ones."""
DATES = 4
HEADINGS = ("contender", "kept px", "computed px", "CPU s", "MPix/s computed", "MPix/s kept")


def speckle(side: int, count: int) -> list[FloatArray]:
    """Independent images of 4.4 looks."""
    rng = np.random.default_rng(0)
    return [rng.gamma(4.4, 0.05 / 4.4, (side, side)).astype(np.float32) for _ in range(count)]


def take_turns(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each, after one call that isn't counted."""
    for run in contenders.values():
        run()
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            spent[name].append(run())
    return {name: median(seconds) for name, seconds in spent.items()}


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """CPU seconds of a call."""

    def seconds() -> float:
        began = time.process_time()
        run()
        return time.process_time() - began

    return seconds


class Elsewhere:
    """The default estimator of another checkout, in a process of its own that waits for its turns."""

    PROGRAM = """
import inspect, sys, time, numpy, torch
from models import registry
torch.set_num_threads(1)
side, dates = int(sys.argv[1]), int(sys.argv[2])
rng = numpy.random.default_rng(0)
images = [rng.gamma(4.4, 0.05 / 4.4, (side, side)).astype(numpy.float32) for _ in range(2 + dates)]
estimator = registry.get(device="cpu")
known = "margin" in inspect.signature(estimator.estimate).parameters  # older commits estimate all they are shown
margin = {"margin": estimator.halo} if known else {}
for _ in sys.stdin:
    began = time.process_time()
    estimator.estimate(images[0], images[1], images[2:], **margin)
    print(time.process_time() - began, flush=True)
"""

    def __init__(self, checkout: Path, side: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM, str(side), str(DATES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,  # which comes first on the path of modules
            env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
        )

    def __call__(self) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def estimators(halo: int, before: Path | None, rounds: int) -> Table:
    """The whole estimator, from images to maps, with further dates, in every runtime that is installed."""
    rows = []
    for kept in KEPT:
        side = kept + 2 * halo
        images = speckle(side, 2 + DATES)
        contenders: dict[str, Callable[[], float]] = {}
        for name in ("torch", *NEEDS):
            if is_installed(name):
                built = registry.get(device="cpu", runtime=name)
                contenders[name] = timed(partial(built.estimate, images[0], images[1], images[2:], margin=halo))
        older = Elsewhere(before, side) if before and kept <= OLDER else None
        if older:
            contenders["before"] = older
        for name, seconds in take_turns(contenders, rounds).items():
            speeds = [f"{pixels**2 / 1e6 / seconds:.2f}" for pixels in (side, kept)]
            rows.append((name, str(kept), str(side), f"{seconds:.3f}", *speeds))
        if older:
            older.close()
    return Table(f"The default estimator, {DATES} further dates", HEADINGS, tuple(rows))


def convolutions() -> dict[str, Callable[[], float]]:
    """3x3 convolutions of several widths in PyTorch, as contenders for the peak: seconds per GFLOP."""
    contenders: dict[str, Callable[[], float]] = {}
    for width in (48, 64, 96, 128, 256):
        convolution = torch.nn.Conv2d(width, width, 3, padding=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        image = torch.randn(1, width, 128, 128).contiguous(memory_format=torch.channels_last)
        amount = 2e-9 * 9 * width**2 * 128**2

        def per_gflop(run: torch.nn.Conv2d = convolution, x: torch.Tensor = image, of: float = amount) -> float:
            with torch.inference_mode():
                return timed(lambda: run(x))() / of

        contenders[f"3x3 convolution, {width} channels"] = per_gflop
    return contenders


def parts(rounds: int) -> Table:
    """Stem and learned part by themselves, and the learned part's fraction of the peak."""
    side = KEPT[0] + 2 * registry.get(device="cpu").halo
    estimator = registry.get(device="cpu", runtime="torch")
    assert isinstance(estimator, LearnedEstimator)
    network = estimator._network
    assert isinstance(network, CoherenceNetwork)
    images = torch.randn(1, 2, side, side)
    told = images.mean().expand(1, 2, side, side).contiguous()
    shown = images, told, torch.tensor([DATES]), torch.tensor([10.0])
    with torch.inference_mode():
        features = network.features(*shown)
        with FlopCounterMode(display=False) as counter:
            network.trunk(features)
        gflop = counter.get_total_flops() / 1e9

        def stem() -> object:
            with torch.inference_mode():
                return network.features(*shown)

        contenders = {"stem": timed(stem), **convolutions()}
        for name in ("torch", *NEEDS):
            if is_installed(name):
                built = registry.get(device="cpu", runtime=name)
                assert isinstance(built, LearnedEstimator)

                def trunk(built: LearnedEstimator = built) -> object:
                    with torch.inference_mode():
                        return built._runner(WHOLE)(features)

                contenders[f"learned part, {name}"] = timed(trunk)
        found = take_turns(contenders, rounds)
    peaks = {name: 1.0 / seconds for name, seconds in found.items() if "convolution" in name}
    peak = max(peaks.values())
    rows = [(name, "", "", f"{speed:.0f}", f"{speed / peak:.0%}") for name, speed in peaks.items()]
    for name, seconds in found.items():
        if name in peaks:
            continue
        speed = f"{side**2 / 1e6 / seconds:.2f}"
        effective = gflop / seconds if name != "stem" else 0.0
        rows.append(
            (
                name,
                f"{seconds:.3f}",
                speed,
                *((f"{effective:.0f}", f"{effective / peak:.0%}") if effective else ("", "")),
            )
        )
    title = f"Its parts on {side} x {side} px; the learned part takes {gflop / (side**2 / 1e6):.1f} kFLOP a pixel"
    return Table(title, ("part", "CPU s", "MPix/s", "GFLOP/s", "of the peak"), tuple(rows))


def main() -> None:
    """Measure, print, and write markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="a checkout of an older commit, to compare with")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), help="PyTorch there, in float32 and bfloat16, by the clock"
    )
    parser.add_argument("--sides", type=int, nargs="+", default=KEPT, help="of what is kept of a block, with --device")
    parser.add_argument("--output", type=Path, default=Path("out/benchmark"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.device:
        where, images = resolve_device(given.device), partial(speckle, count=2 + DATES)
        tables = list(on_device(where, tuple(given.sides), given.rounds, images))
    else:
        tables = [estimators(registry.get(device="cpu").halo, given.before, given.rounds), parts(given.rounds)]
    console = Console()
    for each in tables:
        console.print(each.to_rich())
    given.output.mkdir(parents=True, exist_ok=True)
    written = given.output / ("runtime-device.md" if given.device else "runtime.md")
    written.write_text("\n".join(each.to_markdown() for each in tables), encoding="utf-8")
    console.print(f"the tables are in {written}")


if __name__ == "__main__":
    main()
