"""The figure of `tests.benchmarks.slc`: coherence against slope, and a terrain full of fringes, mode by mode."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

mpl.use("agg")
from matplotlib import pyplot as plt

SHOWN = ("truth", "boxcar", "paper", "magnitudes", "two-scale")
"""Maps of coherence that are drawn."""


def draw(
    slopes: npt.ArrayLike, lines: dict[str, list[float]], maps: dict[str, npt.NDArray[np.floating]], path: Path
) -> None:
    """Left: mean coherence of ground of .8 against the slope; right: fringes, truth and what the modes make of them."""
    figure = plt.figure(figsize=(13.0, 5.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.0, 1.45))  # type: ignore[misc]  # stubs know one only
    axes = left.subplots()
    for mode, values in lines.items():
        axes.plot(slopes, values, label=mode, lw=2.4 if mode == "two-scale" else 1.4)
    axes.axhline(0.8, color="0.6", lw=0.8, ls=":")
    axes.set(xlabel="slope of the phase along rows, units of π a sample", ylabel="mean estimate", ylim=(0.0, 1.0))
    axes.set_title("Homogeneous ground of coherence .8, 16 x 16 (simulated)", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    panels = right.subplots(2, 3).ravel()
    panels[0].imshow(maps["phase"], cmap="twilight", interpolation="nearest")
    panels[0].set_title("phase", fontsize=10)
    for panel, name in zip(panels[1:], SHOWN, strict=True):
        shown = panel.imshow(maps[name], cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
        panel.set_title(name, fontsize=10)
    for panel in panels:
        panel.set_axis_off()
    right.colorbar(shown, ax=list(panels), label="coherence", fraction=0.05)
    right.suptitle("Fringes of real mountains, 9 x 9 (simulated pair)", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)
