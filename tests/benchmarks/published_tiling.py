"""Our tiling beside the published one: ``python -m tests.benchmarks.published_tiling [--rounds 3]``.

The published layout (kind resunet, random weights) is run as the authors run theirs (patches of 128 px at a stride of
32, blended by a Kaiser window of beta 5, PyTorch) and as cohmap runs it (one block of 1024 px with its halo). CPU
seconds of one thread a kept pixel, medians; differences on an image that both estimate whole, away from its border.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from models import registry
from models.coherence.learned import LearnedEstimator
from models.coherence.network import Layout, Weights
from models.coherence.published import PublishedNetwork
from models.estimator import FloatArray
from models.evaluate.tables import Table
from models.resunet import CHANNELS
from models.runtimes.choice import EXACT, is_installed
from models.tiling import PATCH, STRIDE, blend_patches
from tests.benchmarks.runtime import speckle
from tests.keras_files import random_network

PATCHED = 320
"""Side of the image that is estimated by patches: its cost a pixel is what counts, and that is high."""
KEPT = 1024
LATTICE = PublishedNetwork.lattice


def random_weights(path: Path) -> Path:
    """The published layout with random weights, as `LearnedEstimator` reads it."""
    network = PublishedNetwork()
    network.network.load_state_dict(random_network(channels=CHANNELS).state_dict())
    Weights(Layout(), network.state_dict(), kind="resunet").save(path)
    return path


def by_patches(network: PublishedNetwork, images: list[FloatArray]) -> FloatArray:
    """The authors' scheme."""
    nothing = torch.zeros(1)
    with torch.inference_mode():
        pair = torch.from_numpy(np.stack(images)).log()[None]
        shown = network.features(pair, nothing, nothing, nothing)[0].numpy()

        def predict(part: FloatArray) -> FloatArray:
            coherence: FloatArray = network.answer(network.trunk(torch.from_numpy(part)[None]))[0][0, 0].numpy()
            return coherence

        return blend_patches(shown, predict, patch=PATCH, stride=STRIDE)


def cost(run: object, rounds: int, label: str) -> float:
    """Median CPU seconds of a call, after a first one."""
    assert callable(run)
    spent = []
    for _ in track(range(rounds + 1), label):
        began = time.process_time()
        run()
        spent.append(time.process_time() - began)
    return median(spent[1:])


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
        network = Weights.load(path).network()
    assert isinstance(network, PublishedNetwork)
    first, second = speckle(PATCHED + PATCH, 2)
    halo = network.halo
    small = [first[:PATCHED, :PATCHED], second[:PATCHED, :PATCHED]]
    patched = cost(lambda: by_patches(network, small), given.rounds, "patches") / PATCHED**2
    rows = [("patches, PyTorch", f"{patched * 1e6:.1f}", "1")]
    large = speckle(KEPT + 2 * halo, 2)
    for name, estimator in whole.items():
        seconds = cost(lambda each=estimator: each.estimate(large[0], large[1]), given.rounds, name)
        rows.append((f"our blocks, {name}", f"{seconds / KEPT**2 * 1e6:.2f}", f"{patched * KEPT**2 / seconds:.1f}"))
    default = registry.get(device="cpu")
    seconds = cost(lambda: default.estimate(large[0], large[1]), given.rounds, "default")
    label = f"our default estimator, {getattr(default, 'runtime', '')}"
    rows.append((label, f"{seconds / KEPT**2 * 1e6:.3f}", f"{patched * KEPT**2 / seconds:.0f}"))
    headings = ("way", "CPU s a kept MPix", "times faster")
    tables = [Table("The published layout, random weights, and our default", headings, tuple(rows))]

    images = [first, second]
    by_blocks, _ = whole["torch"].estimate(images[0], images[1])
    blended = by_patches(network, images)
    cut = slice(halo, -halo)
    inside = np.abs(by_blocks - blended)[cut, cut]
    aside = STRIDE // 2  # patches of an image that begins elsewhere lie elsewhere
    seam = np.abs(by_patches(network, [each[aside:, aside:] for each in images]) - blended[aside:, aside:])
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
