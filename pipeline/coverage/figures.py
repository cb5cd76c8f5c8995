"""Figures of a coverage study: its maps side by side, and what revisit does to coherence and noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from models.decay.curve import coherence_at
from models.phase_noise import displacement_deviation, phase_deviation
from pipeline.coverage.ground import OTHER
from pipeline.coverage.settings import Coverage
from pipeline.coverage.summary import ALL
from pipeline.figures import COLOURS, DPI, EVENT, FAINT, INK, RULE, to_png
from pipeline.quicklook import NO_DATA, MapImage

SHOWN = (
    ("passes", "passes", "viridis"),
    ("gap_max", "longest gap (days)", "magma_r"),
    ("interval", "revisit of one track (days)", "magma_r"),
    ("coherence", "expected coherence", "viridis"),
    ("displacement_noise", "noise of a pair (mm)", "magma"),
)
# Further studies are in the table and in their own maps.
MOST_ROWS = 6


def draw_maps(images: Mapping[str, Mapping[str, MapImage]], area: BaseGeometry, title: str) -> bytes:
    """One row a study, one column a band; a column shares its colours, what has no data is grey.

    Parameters
    ----------
    images
        By study and band.
    area
        In the grid's CRS; drawn as a line.
    """
    rows = list(images)[:MOST_ROWS]
    grid = next(iter(next(iter(images.values())).values())).grid
    shape = grid.shape[0] / grid.shape[1]
    engine = ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05)
    width = 3.0
    figure = Figure(
        figsize=(width * len(SHOWN), width * shape * len(rows) + 1.3), dpi=DPI, facecolor="white", layout=engine
    )
    panels = figure.subplots(len(rows), len(SHOWN), squeeze=False)
    for column, (band, label, colours) in enumerate(SHOWN):
        norm = _norm([images[row][band] for row in rows], band)
        for line, row in enumerate(rows):
            axes = panels[line][column]
            _draw_map(axes, images[row][band], colours, norm, area)
            if column == 0:
                axes.set_ylabel(row, size=10, color=INK, weight="bold")
        bar = figure.colorbar(
            ScalarMappable(norm, colours), ax=list(panels[:, column]), location="bottom", aspect=26, pad=0.02
        )
        bar.ax.tick_params(labelsize=8.5, color=FAINT, labelcolor=INK)
        bar.set_label(label, size=9.5, color=INK)
        bar.outline.set_linewidth(0.5)
    figure.suptitle(title, size=12, color=INK, weight="bold")
    return to_png(figure)


def _norm(images: Sequence[MapImage], band: str) -> Normalize:
    if band == "coherence":
        return Normalize(0, 1)
    known = np.concatenate([image.values[np.isfinite(image.values)] for image in images])
    top = float(np.percentile(known, 99.5)) if known.size else 1.0
    return Normalize(0, top if top > 0 else 1.0)


def _draw_map(axes: Axes, image: MapImage, colours: str, norm: Normalize, area: BaseGeometry) -> None:
    west, south, east, north = image.grid.boundingbox.bbox
    table = mpl.colormaps[colours].with_extremes(bad=NO_DATA)
    axes.imshow(image.values, cmap=table, norm=norm, extent=(west, east, south, north), interpolation="nearest")
    rings = [
        np.asarray(orient(part).exterior.coords) for part in shapely.get_parts(area) if part.geom_type == "Polygon"
    ]
    axes.add_collection(LineCollection(rings, colors=EVENT, linewidths=1.2))
    axes.set(xticks=[], yticks=[], facecolor=NO_DATA)
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.8)


def draw_revisit(settings: Coverage, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Coherence and displacement noise against days between passes, where each study stands, land above threshold."""
    engine = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
    figure = Figure(figsize=(13.2, 4.3), dpi=DPI, facecolor="white", layout=engine)
    left, middle, right = figure.subplots(1, 3)
    studies = [row for row in rows if row["land"] == ALL]
    intervals = sorted({row["interval_median"] for row in studies if row["interval_median"] is not None})
    days = np.linspace(0, max(48.0, *(1.3 * day for day in intervals), 0.0), 400)
    for index, (name, tau, rho) in enumerate(_curves(settings)):
        gamma = np.asarray(coherence_at(days, tau, rho), np.float64)
        colour = COLOURS[index % len(COLOURS)]
        left.plot(days, gamma, color=colour, linewidth=1.8, label=name)
        noise = displacement_deviation(phase_deviation(gamma, settings.looks), settings.wavelength * 1e3)
        middle.plot(days, noise, color=colour, linewidth=1.8, label=name)
    left.axhline(settings.threshold, color=FAINT, linewidth=1, linestyle=(0, (2, 2)))
    worst = displacement_deviation(phase_deviation(0.0, settings.looks), settings.wavelength * 1e3)
    middle.axhline(float(worst), color=FAINT, linewidth=1, linestyle=(0, (2, 2)))
    middle.annotate(
        "no coherence",
        (days[-1], float(worst)),
        ha="right",
        va="bottom",
        size=8.5,
        color=FAINT,
        xytext=(0, 2),
        textcoords="offset points",
    )
    for axes in (left, middle):
        for day in intervals:
            axes.axvline(day, color=EVENT, linewidth=1, linestyle=(0, (4, 2)), zorder=0)
    for day in intervals:
        left.annotate(
            f"{day:.3g}",
            (day, 1.0),
            ha="left",
            va="top",
            size=8.5,
            color=EVENT,
            xytext=(2, -1),
            textcoords="offset points",
        )
    _style(left, "Coherence a pair keeps", "days between passes (red: these studies)", "coherence", 1.0)
    _style(
        middle,
        f"Displacement noise of a pair, {settings.looks:g} looks",
        "days between passes",
        "mm, line of sight",
        1.12 * float(worst),
    )
    if len(_curves(settings)) > 1 or isinstance(settings.decay.tau, str):
        left.legend(fontsize=8.5, frameon=False)
    _draw_shares(right, rows, settings.threshold)
    return to_png(figure)


def _draw_shares(axes: Axes, rows: Sequence[Mapping[str, Any]], threshold: float) -> None:
    """A bar for each study and kind of land: how much of it keeps coherence above the threshold."""
    shown = [row for row in rows if row["share_above"] is not None]
    lands = list(dict.fromkeys(row["land"] for row in shown))
    for place, row in enumerate(shown):
        axes.barh(place, 100 * row["share_above"], color=[INK, *COLOURS][lands.index(row["land"]) % 7], height=0.7)
        axes.text(101, place, f"{100 * row['share_above']:.0f}%", va="center", size=8.5, color=INK)
    names = [row["study"] + ("" if len(lands) == 1 else f", {row['land']}") for row in shown]
    axes.set_yticks(range(len(shown)), names, size=8.5)
    axes.invert_yaxis()
    _style(axes, f"Land with coherence from {threshold:g} on", "% of the land", "", math.nan)
    axes.set_xlim(0, 114)
    axes.set_xticks([0, 25, 50, 75, 100])


def _curves(settings: Coverage) -> list[tuple[str, float, float]]:
    decay = settings.decay
    curves = [(one.name, one.tau, one.rho_inf) for one in decay.classes]
    if not isinstance(decay.tau, str) and not isinstance(decay.rho_inf, str):
        curves.append((OTHER if decay.raster else ALL, decay.tau, decay.rho_inf))
    return curves


def _style(axes: Axes, title: str, across: str, up: str, top: float) -> None:
    axes.set_title(title, size=10.5, color=INK, loc="left", weight="bold")
    axes.set_xlabel(across, size=9.5, color=INK)
    axes.set_ylabel(up, size=9.5, color=INK)
    if math.isfinite(top):
        axes.set_ylim(0, top)
        axes.set_xlim(left=0)
    axes.set_axisbelow(True)
    axes.grid(axis="both" if math.isfinite(top) else "x", color=RULE, linewidth=0.7)
    axes.tick_params(labelsize=8.5, color=FAINT, labelcolor=INK)
    for side, spine in axes.spines.items():
        spine.set(color=FAINT, visible=side in {"left", "bottom"})
