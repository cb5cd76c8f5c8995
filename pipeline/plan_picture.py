"""The picture of a plan: footprints over the area and its tiles, and how many passes each tile has."""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import shapely
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from shapely.geometry.base import BaseGeometry

from pipeline.figures import DPI, EVENT, FAINT, INK, to_png
from pipeline.passes import Track
from pipeline.plan import Plan
from pipeline.quicklook import NO_DATA
from pipeline.region import Region, Tile, crs_of, to_crs

PICTURE = "plan.png"
COLUMNS = 3
# Further tracks are in plan.json; beyond these the panels get too small to read.
MOST_PANELS = 6
# Footprints of a track nearly repeat; more than these only blacken the picture.
MOST_OUTLINES = 60
MOST_COLOURS = 12


def draw_plan(plan: Plan) -> bytes:
    """One panel a track, as a PNG; all share one scale of colours, and a tile without passes is grey."""
    counts = plan.tile_counts
    tracks = list(counts)[:MOST_PANELS]
    columns = min(len(tracks), COLUMNS)
    rows = math.ceil(len(tracks) / columns)
    engine = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(4.3 * columns + 1.1, 4.5 * rows), dpi=DPI, facecolor="white", layout=engine)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    highest = max(max(found.values(), default=0) for found in counts.values())
    steps = _steps(highest)
    norm = BoundaryNorm([low - 0.5 for low, _ in steps] + [steps[-1][1] + 0.5], 256)
    for axes, track in zip(panels, tracks, strict=False):
        _draw_track(axes, plan, track, norm)
    for axes in panels[len(tracks) :]:
        axes.set_axis_off()
    scale = ScalarMappable(norm, mpl.colormaps["viridis"])
    bar = figure.colorbar(scale, ax=list(panels), shrink=0.7, aspect=24, spacing="uniform")
    bar.set_ticks([(low + high) / 2 for low, high in steps], labels=[_range_text(*step) for step in steps])
    bar.ax.tick_params(labelsize=8, length=0, labelcolor=INK)
    bar.set_label("passes of a tile", size=9, color=INK)
    more = f", {len(counts) - len(tracks)} more tracks not shown" if len(counts) > len(tracks) else ""
    title = plan.region.config.title or plan.region.name
    figure.suptitle(
        f"{title}: {len(plan.region.tiles)} tiles; area red, footprints thin{more}", size=10.5, color=INK, weight="bold"
    )
    return to_png(figure)


def _steps(highest: int) -> list[tuple[int, int]]:
    """Numbers of passes that share a colour, first and last: evenly apart, few enough to tell apart."""
    step = max(math.ceil(highest / MOST_COLOURS), 1)
    return [(low, low + step - 1) for low in range(1, max(highest, 1) + 1, step)]


def _range_text(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low}-{high}"


def _draw_track(axes: Axes, plan: Plan, track: Track, norm: BoundaryNorm) -> None:
    region, counts = plan.region, plan.tile_counts[track]
    _draw_tiles(axes, region, counts, norm)
    passes = plan.passes[track]
    shown = passes[:: math.ceil(len(passes) / MOST_OUTLINES)]
    crs = crs_of(region.grid)
    lines = [line for item in shown for piece in item.slices for line in _lines(to_crs(piece.footprint, crs))]
    axes.add_collection(LineCollection(lines, colors=INK, linewidths=0.6, alpha=0.35))
    axes.add_collection(LineCollection(_lines(region.area_on_grid), colors=EVENT, linewidths=1.8))
    west, south, east, north = region.grid.boundingbox.bbox
    margin = 0.25 * max(east - west, north - south)
    axes.set(
        xlim=(west - margin, east + margin), ylim=(south - margin, north + margin), aspect="equal", xticks=[], yticks=[]
    )
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.8)
    there = [count for count in counts.values() if count]
    span = _range_text(min(there, default=0), max(there, default=0))
    empty = sum(count == 0 for count in counts.values())
    none = f", none in {empty} tiles" if empty else ""
    axes.set_title(f"{track}: {len(passes)} passes, {span} a tile{none}", size=9.5, color=INK, loc="left")


def _draw_tiles(axes: Axes, region: Region, counts: Mapping[Tile, int], norm: BoundaryNorm) -> None:
    colours = mpl.colormaps["viridis"].with_extremes(bad=NO_DATA)
    edges = shapely.bounds(region.outlines(list(counts)))
    corners = [[(west, south), (east, south), (east, north), (west, north)] for west, south, east, north in edges]
    there = np.ma.masked_equal(list(counts.values()), 0)
    axes.add_collection(
        PolyCollection(corners, array=there, cmap=colours, norm=norm, edgecolors="white", linewidths=0.3)
    )


def _lines(geometry: BaseGeometry) -> list[npt.NDArray[np.float64]]:
    rings = [ring for part in shapely.get_parts(geometry) for ring in (part.exterior, *part.interiors)]
    return [np.asarray(ring.coords) for ring in rings]
