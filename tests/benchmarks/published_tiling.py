"""Our tiling beside the published one: ``python -m tests.benchmarks.published_tiling [--rounds 3]``.

The published layout (kind resunet, random weights) is run as the authors run theirs (patches of 128 px at a stride of
32, blended by a Kaiser window of beta 5) and as cohmap runs it (blocks as large as its estimator takes, with their
halo); and our default network beside them. CPU seconds of one thread a kept pixel, medians over rounds in which all
take turns. Differences are of an image that both estimate whole, away from its border.

What patches cost is measured on a small image, a patch at a time. Inside a large image a new one begins every 32 px
along both sides, so a pixel there costs what a patch costs, over 32 x 32.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from models.coherence.graphs import trunk_graph
from models.coherence.learned import LearnedEstimator
from models.coherence.network import Layout, Weights
from models.coherence.published import PublishedNetwork
from models.estimator import FloatArray
from models.evaluate.tables import Table
from models.resunet import CHANNELS
from models.runtimes.choice import EXACT, Runner, is_installed, open_runner
from models.tiling import PATCH, STRIDE, blend_patches
from tests.benchmarks.runtime import speckle, take_turns, timed
from tests.keras_files import random_network
from tests.small_network import shipped_network

PATCHED = 320
"""Side of the image that is estimated by patches."""
PATCHES = len(range(0, PATCHED - PATCH + 1, STRIDE)) ** 2
LATTICE = PublishedNetwork.lattice
PATCHED_IN = ("torch", "onnxruntime")
"""Runtimes that patches are computed in: the authors' kind, and the one that ours are computed in by default."""


def random_weights(path: Path) -> Path:
    """The published layout with random weights, as `LearnedEstimator` reads it."""
    network = PublishedNetwork()
    network.network.load_state_dict(random_network(channels=CHANNELS).state_dict())
    Weights(Layout(), network.state_dict(), kind="resunet").save(path)
    return path


def by_patches(network: PublishedNetwork, run: Runner, images: list[FloatArray]) -> FloatArray:
    """The authors' scheme; `run` is the network's trunk in some runtime."""
    nothing = torch.zeros(1)
    with torch.inference_mode():
        pair = torch.from_numpy(np.stack(images)).log()[None]
        shown = network.features(pair, nothing, nothing, nothing)[0].numpy()

        def predict(part: FloatArray) -> FloatArray:
            coherence: FloatArray = network.answer(run(torch.from_numpy(part)[None]))[0][0, 0].numpy()
            return coherence

        return blend_patches(shown, predict, patch=PATCH, stride=STRIDE)


def costs(network: PublishedNetwork, whole: dict[str, LearnedEstimator], rounds: int) -> Table:
    """CPU seconds of each way, over the pixels that it keeps."""
    small = speckle(PATCHED, 2)
    contenders: dict[str, Callable[[], float]] = {}
    kept: dict[str, float] = {}
    for name in PATCHED_IN:
        run = network.trunk if name == "torch" else open_runner(name, trunk_graph(network))
        contenders[f"patches, {name}"] = timed(partial(by_patches, network, run, small))
        kept[f"patches, {name}"] = PATCHES * STRIDE**2
    default = shipped_network()
    for name, estimator in [*whole.items(), (f"our default estimator, {default.runtime}", default)]:
        side = estimator._network.side
        large = speckle(side + 2 * estimator.halo, 2)
        label = f"our blocks of {side} px, {name}" if name in whole else f"{name}, blocks of {side} px"
        contenders[label] = timed(partial(estimator.estimate, large[0], large[1], margin=estimator.halo))
        kept[label] = side**2
    spent = take_turns(contenders, rounds)
    cost = {label: seconds / kept[label] * 1e6 for label, seconds in spent.items()}
    beside = [cost[f"patches, {name}"] for name in PATCHED_IN]
    rows = [(label, f"{each:.2f}", *(f"{patches / each:.1f}" for patches in beside)) for label, each in cost.items()]
    headings = ("way", "CPU s a kept MPix", *(f"times faster than patches in {name}" for name in PATCHED_IN))
    return Table("The published layout, random weights, and our default", headings, tuple(rows))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = random_weights(Path(folder) / "random.safetensors")
        whole = {
            name: LearnedEstimator("random", path, spacing=10.0, device="cpu", runtime=name)
            for name in ("torch", *EXACT)
            if is_installed(name)
        }
    network = whole["torch"]._network  # its weights lie as PyTorch is fastest with, for patches too
    assert isinstance(network, PublishedNetwork)
    tables = [costs(network, whole, given.rounds)]

    halo = network.halo
    first, second = speckle(PATCHED + PATCH, 2)
    images = [first, second]
    by_blocks, _ = whole["torch"].estimate(images[0], images[1])
    blended = by_patches(network, network.trunk, images)
    cut = slice(halo, -halo)
    inside = np.abs(by_blocks - blended)[cut, cut]
    aside = STRIDE // 2  # patches of an image that begins elsewhere lie elsewhere
    seam = np.abs(
        by_patches(network, network.trunk, [each[aside:, aside:] for each in images]) - blended[aside:, aside:]
    )
    corner = [each[: -2 * LATTICE, : -2 * LATTICE] for each in images]
    ours = np.abs(whole["torch"].estimate(corner[0], corner[1])[0] - by_blocks[: -2 * LATTICE, : -2 * LATTICE])
    facts = (
        ("blocks against patches, away from the border", inside),
        (f"patches against patches of an image that begins {aside} px later", seam[cut, cut]),
        ("blocks against blocks of an image that ends earlier", ours[:-halo, :-halo]),
    )
    cells = tuple((name, f"{each.mean():.1e}", f"{each.max():.1e}") for name, each in facts)
    spread = f"maps have a standard deviation of {by_blocks.std():.3f}"
    tables.append(Table(f"Differences of maps; {spread}", ("between", "mean", "largest"), cells))
    for table in tables:
        Console().print(table.to_rich())


if __name__ == "__main__":
    main()
