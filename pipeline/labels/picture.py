"""One picture of what came out, read back from the shards: amplitude, label, and which block is for what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.train.pool import Pool
from models.train.supply import TRAINING, VALIDATION

PICTURE = "labels.png"
WIDEST = 900
"""Pixels of the picture along the scene's longer side, at most."""
_COLOURS = {TRAINING: "#2b6cb0", VALIDATION: "#c05621"}

FloatArray = npt.NDArray[np.float32]


def draw(folder: Path, manifest: dict[str, Any], path: Path) -> None:
    """Draw the pair of the shortest baseline.

    Parameters
    ----------
    folder
        What `cohmap labels` wrote.
    manifest
        Its provenance.
    path
        The PNG to write.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch, Rectangle

    pair = min(manifest["pairs"], key=lambda each: each["days"])
    brightness, truth = _mosaics(folder, manifest, pair)
    metres = [manifest[name] * step for name, step in zip(("lines", "samples"), manifest["spacing_m"], strict=True)]
    extent = (0.0, metres[1] / 1000.0, metres[0] / 1000.0, 0.0)
    height = float(np.clip(4.0 * metres[0] / metres[1] + 1.0, 2.5, 9.0))
    plot, axes = plt.subplots(1, 3, figsize=(13.0, height), layout="constrained", sharex=True, sharey=True)

    low, high = np.nanpercentile(brightness, [2.0, 98.0]) if np.isfinite(brightness).any() else (0.0, 1.0)
    axes[0].imshow(brightness, cmap="gray", vmin=low, vmax=high, extent=extent)
    axes[0].set_title(f"power, dB, {pair['reference']}")
    shown = axes[1].imshow(truth, cmap="viridis", vmin=0.0, vmax=1.0, extent=extent)
    axes[1].set_title(f"label: coherence with {pair['secondary']}, {pair['days']} days")
    plot.colorbar(shown, ax=axes[1], shrink=0.8)
    axes[2].imshow(brightness, cmap="gray", vmin=low, vmax=high, extent=extent)
    for block in manifest["split"]["blocks"]:
        (top, bottom), (left, right) = (
            [edge * step / 1000.0 for edge in block[name]]
            for name, step in zip(("lines", "samples"), manifest["spacing_m"], strict=True)
        )
        axes[2].add_patch(
            Rectangle((left, top), right - left, bottom - top, color=_COLOURS[block["part"]], alpha=0.45, lw=0)
        )
    counts = manifest["examples"]
    plot.legend(
        handles=[
            Patch(color=colour, alpha=0.6, label=f"{part}: {counts[part]['examples']} examples")
            for part, colour in _COLOURS.items()
        ],
        loc="outside lower right",
        ncols=2,
        fontsize="small",
        frameon=False,
    )
    axes[2].set_title("split by place")
    axes[0].set_ylabel("azimuth, km")
    for each in axes:
        each.set_xlabel("ground range, km")
    plot.savefig(path, dpi=110, format="png")
    plt.close(plot)


def _mosaics(folder: Path, manifest: dict[str, Any], pair: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Power in decibels and coherence of a pair over the scene, thinned out, NaN between the examples."""
    pixel = [
        metres / step for metres, step in zip(manifest["images"]["pixel_m"], manifest["spacing_m"], strict=True)
    ]  # samples a pixel
    sides = [int(np.ceil(manifest[name] / each)) for name, each in zip(("lines", "samples"), pixel, strict=True)]
    thin = max(1, -(-max(sides) // WIDEST))
    canvas = np.full((2, *(-(-side // thin) for side in sides)), np.nan, np.float32)
    for part in (TRAINING, VALIDATION):
        pool = Pool(folder / part)
        for number in range(len(pool)):
            origin = pool.origin(number)
            if origin is None or (origin.reference, origin.secondary) != (pair["reference"], pair["secondary"]):
                continue
            row, col = round(origin.line / pixel[0]), round(origin.sample / pixel[1])
            layers = pool[number][0][[0, 4], -row % thin :: thin, -col % thin :: thin].astype(np.float32)
            place = canvas[:, -(-row // thin) :, -(-col // thin) :][:, : layers.shape[1], : layers.shape[2]]
            layers = layers[:, : place.shape[1], : place.shape[2]]
            np.copyto(place, layers, where=np.isfinite(layers))
    return 10.0 / np.float32(np.log(10.0)) * canvas[0], canvas[1]
