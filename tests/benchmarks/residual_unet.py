"""What whole tiles of the published network cost and keep: `python -m tests.benchmarks.residual_unet`.

The network has its published size and random weights. An image of 512 px is estimated in tiles of 256 px with halos of
several widths and compared with the image at once; then at once and by the published patches, by CPU time.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from models import weights
from models.coherence import residual_unet
from models.coherence.residual_unet import ResidualUNetEstimator
from models.decibels import DecibelRange
from models.estimator import FloatArray
from models.evaluate.tables import Table
from models.resunet import CHANNELS
from models.tiling import PATCH, STRIDE
from tests.keras_files import random_network

SIDE, TILE = 512, 256
HALOS = (residual_unet.HALO, 96, 64)
HEADINGS = ("way", "largest difference from the image at once", "CPU s")


def cost(estimate: FloatArray, whole: FloatArray, began: float) -> list[str]:
    """Largest difference, and CPU seconds since `began`."""
    return [f"{np.abs(estimate - whole).max():.1e}", f"{time.process_time() - began:.1f}"]


def measure(estimator: ResidualUNetEstimator) -> list[tuple[str, ...]]:
    """One row a way to estimate the same image."""
    rng = np.random.default_rng(0)
    images = [(0.1 * rng.gamma(4.4, 1 / 4.4, (SIDE, SIDE))).astype(np.float32) for _ in range(2)]
    began = time.process_time()
    whole, _ = estimator.estimate(images[0], images[1])
    rows: list[tuple[str, ...]] = [("at once", *cost(whole, whole, began))]
    usual = residual_unet.BLOCK, residual_unet.HALO
    for halo in track(HALOS, "tiles"):
        residual_unet.BLOCK, residual_unet.HALO = TILE, halo
        began = time.process_time()
        tiled, _ = estimator.estimate(images[0], images[1])
        rows.append((f"tiles of {TILE} px, halo {halo} px", *cost(tiled, whole, began)))
    residual_unet.BLOCK, residual_unet.HALO = usual
    began = time.process_time()
    blended, _ = estimator.estimate_by_patches(images[0], images[1])
    rows.append((f"patches of {PATCH} px at stride {STRIDE}", *cost(blended, whole, began)))
    return rows


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COHMAP_WEIGHTS"] = str(Path(folder))
        record = weights.Record(CHANNELS, DecibelRange(), PATCH, STRIDE, "random", "")
        weights.save("random", random_network(channels=CHANNELS).state_dict(), record)
        rows = measure(ResidualUNetEstimator("random", device="cpu"))
    title = f"The published network on {SIDE} x {SIDE} px, random weights"
    Console().print(Table(title, HEADINGS, tuple(rows)).to_rich())


if __name__ == "__main__":
    main()
