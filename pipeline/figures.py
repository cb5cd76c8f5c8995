"""Figures of the report: maps with scale and colour bar, coherence over time, coherence against temporal baseline."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.dates
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from pipeline.quicklook import LONGEST, NO_DATA, MapImage, Style, compact_png

DPI = 100
INK, FAINT, RULE, EVENT = "#1d2433", "#5b6475", "#d9dde3", "#c2261c"
# Okabe and Ito's colours, told apart by readers with any colour vision
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
BAND_COLOURS = dict(zip(("VV", "VH", "HH", "HV"), COLOURS, strict=False))
# matplotlib's dates carry no annotations
_DATES: Any = matplotlib.dates
# Beyond this many, error bars hide what they should show.
ERROR_BARS = 80


@dataclass(frozen=True)
class PairValue:
    """One pair's value at a place or over the region, for the figures over time.

    Attributes
    ----------
    value
        Coherence, or its median.
    low, high
        Ends of the error bar: one sigma either way, or the quartiles.
    """

    reference: dt.datetime
    secondary: dt.datetime
    days: int
    value: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether the pair has data there."""
        return math.isfinite(self.value)


@dataclass(frozen=True)
class _Frame:
    """Where things stand in a map's figure, in pixels from its lower left corner."""

    map_w: float
    map_h: float
    left: float = 10.0
    bottom: float = 44.0

    @property
    def span(self) -> float:
        """Width of the furniture above and below the map, which a narrow map doesn't fill."""
        return max(self.map_w, 300.0)

    @property
    def width(self) -> float:
        return self.left + self.span + 112

    @property
    def height(self) -> float:
        return self.bottom + self.map_h + 50

    def box(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        return x / self.width, y / self.height, width / self.width, height / self.height

    def text(self, figure: Figure, x: float, y: float, text: str, **how: Any) -> None:
        style = {"size": 9.5, "color": FAINT, "va": "center", **how}
        figure.text(x / self.width, y / self.height, text, **style)

    def patch(self, figure: Figure, x: float, y: float, width: float, height: float, **how: Any) -> None:
        place = self.box(x, y, width, height)
        figure.add_artist(Rectangle(place[:2], place[2], place[3], transform=figure.transFigure, **how))


def draw_map(image: MapImage, style: Style, title: str) -> bytes:
    """A map as a PNG: title, corner coordinates, scale bar, colour bar or legend; no data is neutral grey."""
    height, width = image.values.shape
    zoom = max(1, LONGEST // max(height, width))
    frame = _Frame(width * zoom, height * zoom)
    figure = Figure(figsize=(frame.width / DPI, frame.height / DPI), dpi=DPI, facecolor="white")
    axes = figure.add_axes(frame.box(frame.left, frame.bottom, frame.map_w, frame.map_h))
    colours, norm = style.scale()
    axes.imshow(image.values, cmap=colours, norm=norm, interpolation="nearest", aspect="auto")
    axes.set(facecolor=NO_DATA, xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.8)
    frame.text(figure, frame.left, frame.height - 16, title, size=12, color=INK, weight="bold")
    _draw_corners(figure, frame, image)
    _draw_scale_bar(figure, frame, image)
    if style.classes:
        _draw_legend(figure, frame, style, image)
    else:
        _draw_colour_bar(figure, frame, style, image)
    return to_png(figure)


def degrees_text(lon: float, lat: float) -> str:
    """A place as people write it: ``48.050° N, 11.022° E``."""
    return f"{abs(lat):.3f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.3f}° {'E' if lon >= 0 else 'W'}"


def _draw_corners(figure: Figure, frame: _Frame, image: MapImage) -> None:
    height, width = image.grid.shape
    right, above, below = frame.left + frame.span, frame.bottom + frame.map_h + 11, frame.bottom - 12
    frame.text(figure, frame.left, above, degrees_text(*image.place(0, 0)))
    frame.text(figure, right, below, degrees_text(*image.place(height, width)), ha="right")
    if frame.map_w >= 440:  # two coordinates need this much room side by side
        frame.text(figure, right, above, degrees_text(*image.place(0, width)), ha="right")
        frame.text(figure, frame.left, below, degrees_text(*image.place(height, 0)))
        frame.text(figure, frame.left + frame.map_w / 2, above, "north ↑", ha="center")


def nice_length(longest: float) -> float:
    """The largest of 1, 2 or 5 times a power of ten that does not exceed `longest`."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= longest * (1 + 1e-9))


def _draw_scale_bar(figure: Figure, frame: _Frame, image: MapImage) -> None:
    metres = abs(image.grid.affine.a) * image.grid.shape[1]
    length = nice_length(metres * 0.3)
    pixels = length / metres * frame.map_w
    y = frame.bottom - 32
    frame.patch(figure, frame.left, y - 2, pixels, 4, color=INK, linewidth=0)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    frame.text(figure, frame.left + pixels + 6, y, text, color=INK)


def _draw_colour_bar(figure: Figure, frame: _Frame, style: Style, image: MapImage) -> None:
    colours, norm = style.scale()
    tall = min(frame.map_h, 340.0)
    left = frame.left + frame.span + 14
    place = figure.add_axes(frame.box(left, frame.bottom + (frame.map_h - tall) / 2, 13, tall))
    bar = figure.colorbar(ScalarMappable(norm, colours), cax=place, extend=style.beyond, extendfrac=0.03)
    bar.set_label(style.label, size=10, color=INK)
    bar.ax.tick_params(labelsize=9.5, color=FAINT, labelcolor=INK)
    bar.outline.set_linewidth(0.5)
    if style.whole:
        every = max(1, math.ceil((style.high - style.low) / 8))
        bar.set_ticks([float(n) for n in range(int(style.low), int(style.high) + 1, every)])
    if not np.isfinite(image.values).all():
        frame.patch(figure, left, 10, 13, 10, facecolor=NO_DATA, edgecolor=FAINT, linewidth=0.5)
        frame.text(figure, left + 19, 15, "no data")


def _draw_legend(figure: Figure, frame: _Frame, style: Style, image: MapImage) -> None:
    entries = [style.classes[value] for value in sorted(style.classes)]
    if not np.isfinite(image.values).all():
        entries.append(("no data", NO_DATA))
    patches = [
        Patch(facecolor=colour, edgecolor=FAINT, linewidth=0.5, label=textwrap.fill(name, 10))
        for name, colour in entries
    ]
    anchor = ((frame.left + frame.span + 6) / frame.width, (frame.bottom + frame.map_h / 2) / frame.height)
    legend = figure.legend(handles=patches, loc="center left", bbox_to_anchor=anchor, frameon=False, handlelength=1.2)
    for text in legend.get_texts():
        text.set(size=9.5, color=INK)


def draw_over_time(panels: Sequence[tuple[str, Sequence[PairValue]]], event: dt.date | None, label: str) -> bytes:
    """Coherence over time, one panel a polarisation: a bar from each pair's reference to its secondary date.

    Parameters
    ----------
    panels
        Title and values of each panel; temporal baselines are told apart by colour.
    event
        Marked by a vertical line.
    label
        Of the vertical axis.
    """
    figure = _plot_figure(panels)
    baselines = sorted({value.days for _, values in panels for value in values})
    colours = baseline_colours(baselines)
    for index, (title, values) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        known = [value for value in values if value.is_known]
        shades = [colours[value.days] for value in known]
        starts = np.array([_DATES.date2num(value.reference) for value in known])
        ends = np.array([_DATES.date2num(value.secondary) for value in known])
        axes.hlines([value.value for value in known], starts, ends, colors=shades, linewidth=1.6)
        if len(known) <= ERROR_BARS:
            _draw_points(axes, (starts + ends) / 2, known, shades)
        _style_axes(axes, title, label if index == 0 else "", known=bool(known))
        if known:
            locator = _DATES.AutoDateLocator(minticks=3, maxticks=7)
            dates = _DATES.ConciseDateFormatter(locator, offset_formats=["", *["%Y"] * 5])
            axes.xaxis.set(major_locator=locator, major_formatter=dates)
        if event is not None and known:
            axes.axvline(_DATES.date2num(event), color=EVENT, linewidth=1.2, linestyle=(0, (4, 2)))
    handles = [Line2D([], [], color=colours[days], label=f"{days} days", linewidth=2) for days in baselines[:8]]
    if event is not None:
        handles.append(Line2D([], [], color=EVENT, linestyle=(0, (4, 2)), label=f"event {event}"))
    _bottom_legend(figure, handles)
    return to_png(figure)


def draw_by_baseline(series: Sequence[tuple[str, Sequence[PairValue]]]) -> bytes:
    """Coherence of every pair against its temporal baseline, one colour a polarisation; the line joins their means."""
    figure = _plot_figure(series[:1])
    axes = figure.add_subplot(1, 1, 1)
    ends = [value.days for _, values in series for value in values if value.is_known]
    is_wide = bool(ends) and max(ends) > 10 * min(ends)
    for index, (band, values) in enumerate(series):
        colour = BAND_COLOURS.get(band, INK)
        known = [value for value in values if value.is_known]
        _draw_points(axes, np.array(_side_by_side(known, index, len(series), is_wide=is_wide)), known, [colour])
        means = {days: float(np.mean([v.value for v in known if v.days == days])) for days in {v.days for v in known}}
        axes.plot(sorted(means), [means[days] for days in sorted(means)], color=colour, linewidth=1.4)
    if is_wide:
        axes.set_xscale("log")
    if ends and len(set(ends)) <= 12:
        axes.set_xticks(sorted(set(ends)), [str(days) for days in sorted(set(ends))])
        axes.set_xticks([], minor=True)
    _style_axes(axes, "", "coherence", known=bool(ends))
    axes.set_xlabel("temporal baseline (days)", size=10, color=INK)
    _bottom_legend(figure, [Line2D([], [], color=BAND_COLOURS.get(b, INK), marker="o", label=b) for b, _ in series])
    return to_png(figure)


def _draw_points(
    axes: Axes, places: npt.NDArray[np.float64], values: Sequence[PairValue], colours: Sequence[str]
) -> None:
    """Dots with their error bars."""
    lows, highs = [value.low for value in values], [value.high for value in values]
    axes.vlines(places, lows, highs, colors=list(colours), linewidth=0.9, alpha=0.5)
    axes.scatter(places, [value.value for value in values], c=list(colours), s=10, zorder=3)


def _side_by_side(known: Sequence[PairValue], band: int, bands: int, *, is_wide: bool) -> list[float]:
    """Where pairs of one polarisation stand on the axis: in their order of time, beside those of the others."""
    days = sorted({value.days for value in known})
    gap = min((b - a for a, b in itertools.pairwise(days)), default=max(days, default=1))
    places = []
    for value in known:
        like = [other for other in known if other.days == value.days]
        within = (like.index(value) + 0.5) / len(like)
        room = 0.12 * value.days if is_wide else 0.6 * gap  # a log axis needs room in proportion
        places.append(value.days + room * ((band + within) / bands - 0.5))
    return places


def baseline_colours(baselines: Sequence[int]) -> dict[int, str]:
    """A colour for each temporal baseline, dark to light from the shortest on."""
    places = np.linspace(0.05, 0.8, max(len(baselines), 2))
    table = mpl.colormaps["viridis"]
    return {days: mpl.colors.to_hex(table(place)) for days, place in zip(baselines, places, strict=False)}


def _plot_figure(panels: Sequence[object]) -> Figure:
    width = 8.6 if len(panels) > 1 else 5.6
    engine = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06)
    return Figure(figsize=(width, 3.0), dpi=DPI * 1.25, facecolor="white", layout=engine)


def _style_axes(axes: Axes, title: str, label: str, *, known: bool) -> None:
    axes.set_ylim(0, 1)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.tick_params(labelsize=9, color=FAINT, labelcolor=INK)
    for side, spine in axes.spines.items():
        spine.set(color=FAINT, visible=side in {"left", "bottom"})
    if title:
        axes.set_title(title, size=10.5, color=INK, loc="left", weight="bold")
    axes.set_ylabel(label, size=10, color=INK)
    if not known:
        axes.set_xticks([])
        axes.text(0.5, 0.5, "no data", ha="center", va="center", transform=axes.transAxes, color=FAINT)


def _bottom_legend(figure: Figure, handles: list[Line2D]) -> None:
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), frameon=False)
    for text in legend.get_texts():
        text.set(size=9, color=INK)


def to_png(figure: Figure) -> bytes:
    """A figure as a small PNG, the same at every run."""
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib's canvas carries no annotations
    canvas.draw()
    return compact_png(Image.fromarray(np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])))


def data_url(png: bytes) -> str:
    """A PNG as a page carries it in itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
