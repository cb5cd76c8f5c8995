"""Coherence of complex pairs, mode by mode: ``python -m tests.benchmarks.slc [--figure docs/slc.png]``.

Simulated: the paper's curve and its droop, slopes, curved slopes, a corner reflector, the phase noise of the samples
said to be so and so coherent on steep terrain. Real: the Amsterdam pair, which is flat, with slopes put on it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from scipy import ndimage

from models.evaluate.tables import Table
from models.simulate.fields import smooth_noise
from models.slc.curves import band_limited, curve
from models.slc.modes import estimate_by
from models.slc.pair import pair_coherence
from models.slc.quality import phase_noise, psi
from tests.benchmarks.amsterdam import FOLDER as AMSTERDAM
from tests.benchmarks.slc_scenes import (
    TERRAIN,
    fringed,
    homogeneous,
    per_pixel_loop,
    terrain,
    with_reflector,
)

MODES = ("boxcar", "paper", "interpolated", "magnitudes", "two-scale")
KNOWN = {
    8: (0.274, 0.276, 0.346, 0.500, 0.702, 0.824, 1.0),
    16: (0.154, 0.178, 0.323, 0.497, 0.698, 0.820, 1.0),
}
"""Peak over number of samples, of the paper's mode, for `GAMMAS`: the figures to reproduce."""
GAMMAS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
SLOPES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
"""In units of pi a sample."""


def centre_mean(
    mode: str, window: int, gamma: float, *, windows: int = 3000, turn: tuple[float, float] = (0, 0)
) -> float:
    """Mean over independent single windows, for the modes that look at nothing else."""
    first, second = homogeneous(gamma, (windows, window, window), seed=1)
    half = window // 2
    found = estimate_by(mode)(fringed(first, slope=turn), second, (window, window), (half, half))
    return float(found[..., 1, 1].mean())


def scene_mean(
    mode: str,
    window: int,
    gamma: float,
    *,
    slope: tuple[float, float] = (0.0, 0.0),
    bend: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> float:
    """Mean over homogeneous scenes with fringes, bias of flat ground taken out."""
    first, second = homogeneous(gamma, (4, 160, 160), seed=2)
    found = estimate_by(mode)(
        fringed(first, slope=slope, bend=bend), second, (window, window), (1, 1) if mode == "two-scale" else (5, 5)
    )
    rows = found.shape[-1]
    inner = found[..., rows // 4 : -rows // 4, rows // 4 : -rows // 4].numpy()
    return float(curve(mode, (window, window)).invert(inner).mean())


def table_of_curve() -> Table:
    """What the paper's mode says of homogeneous ground, and of a pure fringe between two frequencies."""
    rows = []
    for window, known in KNOWN.items():
        found = [centre_mean("paper", window, gamma) for gamma in GAMMAS]
        half = math.pi / window
        peaks = [centre_mean("paper", window, 1.0, turn=turn) for turn in ((half, 0.0), (half, half))]
        droop = curve("paper", (window, window)).invert(np.array(peaks, np.float32))
        worst = max(abs(one - two) for one, two in zip(found, known, strict=True))
        rows.append((f"{window} x {window}", *(f"{value:.3f}" for value in (*found, *droop)), f"{worst:.3f}"))
    header = (
        "window",
        *(f"γ {gamma:g}" for gamma in GAMMAS),
        "γ 1 half a bin aside, calibrated",
        "on both axes",
        "farthest from known",
    )
    return Table("Paper's mode: peak / samples (simulated, 3000 windows)", header, tuple(rows))


def table_of_slopes() -> Table:
    """Mean estimate on slopes along both axes, bias taken out."""
    rows = []
    for window in (8, 16):
        for mode in MODES:
            for gamma in (0.5, 0.9, 1.0):
                found = [scene_mean(mode, window, gamma, slope=(s * math.pi, 0.6 * s * math.pi)) for s in SLOPES]
                spread, worst = max(found) - min(found), max(abs(value - gamma) for value in found)
                rows.append(
                    (
                        f"{window} x {window}",
                        mode,
                        f"{gamma:g}",
                        *(f"{value:.3f}" for value in found),
                        f"{spread:.4f}",
                        f"{worst:.3f}",
                    )
                )
    header = ("window", "mode", "γ", *(f"{s:g} π" for s in SLOPES), "spread", "worst bias")
    return Table(
        "Slopes along rows, and 0.6 of them along columns (simulated, 4 scenes of 160 x 160)", header, tuple(rows)
    )


def table_of_bends() -> Table:
    """Mean estimate where the slope changes from sample to sample, gamma = .8."""
    rows = []
    for window in (8, 16, 32):
        for mode in MODES:
            found = [
                scene_mean(mode, window, 0.8, bend=bend)
                for bend in ((0.02, 0, 0.02), (0.04, 0, 0.04), (0.06, 0, 0.06), (0.06, 0, -0.06), (0, 0.06, 0))
            ]
            rows.append((f"{window} x {window}", mode, *(f"{value:.3f}" for value in found)))
    header = ("window", "mode", ".02", ".04", ".06 rad/sample²", ".06, saddle", ".06, twist")
    return Table("Curved slopes, γ = .8 (simulated)", header, tuple(rows))


def table_of_reflectors() -> Table:
    """Bias in the windows that hold a corner reflector of 30 dB, stable or not."""
    rows = []
    for window in (8, 16):
        for mode in MODES:
            cells: list[str] = []
            for gamma in (0.3, 0.5, 0.8):
                for stable in (True, False):
                    found = with_reflector(mode, window, gamma, stable=stable)
                    cells.append(f"{float(curve(mode, (window, window)).invert(found).mean()) - gamma:+.3f}")
            rows.append((f"{window} x {window}", mode, *cells))
    header = ("window", "mode", *(f"γ {g:g}, {s}" for g in (0.3, 0.5, 0.8) for s in ("stable", "changing")))
    return Table("Bias with a reflector of 30 dB in the window (simulated)", header, tuple(rows))


def table_of_speed() -> Table:
    """MPix per CPU-second on one thread, the median of five."""
    first, second = homogeneous(0.6, (1024, 1024), seed=3)
    rates = []
    for mode in MODES:
        side = 1024 if mode in {"boxcar", "two-scale"} else 192
        one, two = first[:side, :side], second[:side, :side]
        estimate = estimate_by(mode)
        times = []
        for _ in range(5):
            begin = time.process_time()
            estimate(one, two, (16, 16))
            times.append(time.process_time() - begin)
        rates.append((mode, side**2 / 1e6 / sorted(times)[2]))
    looped = per_pixel_loop(first[:64, :64], second[:64, :64], 16)
    rows = [(mode, f"{rate:.3g}", f"{rate / looped:.0f}") for mode, rate in rates]
    return Table(
        f"Speed, 16 x 16, every sample, one thread (a loop over pixels, numpy's FFT: {looped:.4f} MPix per CPU-second)",
        ("mode", "MPix per CPU-second", "times the loop"),
        tuple(rows),
    )


def table_of_amsterdam() -> Table:
    """Mean coherence of the real pair with slopes put on it."""
    first, second = (np.load(AMSTERDAM / f"slc_{day}.npy") for day in (20230331, 20230319))
    rows = []
    for window in ((5, 19), (8, 16), (16, 16)):
        for mode in MODES:
            means = []
            for s in (0.0, 0.3, 0.6, 0.9):
                tilted = fringed(torch.from_numpy(first), slope=(s * math.pi, 0.6 * s * math.pi)).numpy()
                found = pair_coherence(tilted, second, mode=mode, window=window, fill=(0.8, 0.7))
                means.append(float(np.nanmean(found)))
            rows.append(
                (
                    f"{window[0]} x {window[1]}",
                    mode,
                    *(f"{mean:.3f}" for mean in means),
                    f"{max(means) - min(means):.3f}",
                )
            )
    header = ("window", "mode", "flat", "0.3 π", "0.6 π", "0.9 π", "spread")
    return Table("Amsterdam (real pair), mean coherence with slopes put on it", header, tuple(rows))


def terrain_maps() -> dict[str, np.ndarray]:
    """Simulated pair over the shape of real mountains: truth, error of the phase, and each mode's coherence."""
    phase = terrain()
    rng = np.random.default_rng(5)
    layout = np.kron(rng.uniform(0.1, 0.95, (8, 8)), np.ones((-(-phase.shape[0] // 8), -(-phase.shape[1] // 8))))
    truth = ndimage.gaussian_filter(layout[: phase.shape[0], : phase.shape[1]], 6.0) + 0.03 * smooth_noise(
        rng, phase.shape, 12.0
    )
    truth = np.clip(truth, 0.0, 0.99)
    same, other = (band_limited(phase.shape, (1.0, 1.0), seed).numpy() for seed in (31, 32))
    second = truth * same + np.sqrt(1.0 - truth**2) * other
    first = (same * np.exp(1j * phase)).astype(np.complex64)
    error = np.angle(first * np.conj(second) * np.exp(-1j * phase))
    maps = {"phase": np.angle(np.exp(1j * phase)), "truth": truth, "error": error}
    for mode in MODES:
        maps[mode] = pair_coherence(first, second.astype(np.complex64), mode=mode, window=(9, 9), fill=(1.0, 1.0))
    return maps


def table_of_terrain(maps: dict[str, np.ndarray]) -> Table:
    """psi(gamma), and how far estimates are from truth."""
    bins = np.linspace(0.0, 1.0, 6)
    theory = [float(phase_noise(0.5 * (low + high))) for low, high in pairwise(bins)]
    rows = [("theory", *(f"{value:.2f}" for value in theory), "", "", "")]
    for mode in ("truth", *MODES):
        found = psi(maps[mode], maps["error"], bins)
        off = maps[mode] - maps["truth"]
        r = np.corrcoef(maps[mode].ravel(), maps["truth"].ravel())[0, 1]
        apart = math.sqrt(np.nanmean((found - theory) ** 2))
        rows.append(
            (
                mode,
                *("" if math.isnan(v) else f"{v:.2f}" for v in found),
                f"{apart:.2f}",
                f"{np.sqrt((off**2).mean()):.3f}",
                f"{r:.2f}",
            )
        )
    header = (
        "coherence said by",
        *(f"ψ({low:.1f}-{high:.1f})" for low, high in pairwise(bins)),
        "from theory",
        "RMSE of γ",
        "r",
    )
    return Table("Phase noise in rad by estimated coherence, terrain (simulated, 9 x 9)", header, tuple(rows))


def tables() -> Iterable[Table]:
    """All of them; real data where they are at hand."""
    yield table_of_curve()
    yield table_of_slopes()
    yield table_of_bends()
    yield table_of_reflectors()
    yield table_of_speed()
    if AMSTERDAM.exists():
        yield table_of_amsterdam()


def main() -> None:
    """Print the tables as Markdown, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path, help="where to draw coherence against slope, and the terrain")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=200)
    for table in tables():
        console.print(table.to_markdown(), markup=False)
    if not TERRAIN.exists():
        console.print("the terrain (dem-everest-srtm3) is not at hand: its table and the figure are left out")
        return
    maps = terrain_maps()
    console.print(table_of_terrain(maps).to_markdown(), markup=False)
    if arguments.figure:
        from tests.benchmarks.slc_figure import draw

        slopes = np.linspace(0.0, 1.0, 41)
        lines = {mode: [scene_mean(mode, 16, 0.8, slope=(s * math.pi, 0.0)) for s in slopes] for mode in MODES}
        draw(slopes, lines, maps, arguments.figure)
        console.print(f"figure is in {arguments.figure}")


if __name__ == "__main__":
    main()
