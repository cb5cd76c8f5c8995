"""The map's figure: one scale on both axes, colour bar, scale bar, north, and the layers of lines and polygons."""

from __future__ import annotations

import math
from typing import Any

from bokeh.models import (
    Arrow,
    BoxAnnotation,
    BoxZoomTool,
    ColorBar,
    ColumnDataSource,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    Label,
    NormalHead,
    PanTool,
    Range1d,
    ResetTool,
    SaveTool,
    ScaleBar,
    WheelZoomTool,
    ZoomInTool,
    ZoomOutTool,
)
from bokeh.plotting import figure

from pipeline.quicklook import NO_DATA, Style
from pipeline.view.place import Places
from pipeline.view.windows import Frame

# In km on the axes; what the cursor's line says is in metres.
_KILOMETRES = "return (tick / 1000).toFixed(1)"
CHANGED = "#c2261c"
_INK = "#1d2433"


def make_plot(home: Frame, places: Places) -> Any:
    """An empty map.

    Parameters
    ----------
    home
        What the whole map covers.
    """
    wheel = WheelZoomTool(zoom_on_axis=False)
    tools = [PanTool(), wheel, BoxZoomTool(match_aspect=True), ZoomInTool(), ZoomOutTool(), ResetTool(), SaveTool()]
    plot = figure(
        x_range=Range1d(home.left, home.right),
        y_range=Range1d(home.bottom, home.top),
        tools=tools,
        active_scroll=wheel,
        sizing_mode="stretch_both",
        min_width=300,
        min_height=300,
        toolbar_location="above",
        background_fill_color=NO_DATA,
        output_backend="canvas",
        name="map",
    )
    plot.toolbar.logo = None
    plot.grid.visible = False
    plot.axis.axis_label_text_font_style = "normal"
    if places.in_metres:
        plot.xaxis.axis_label, plot.yaxis.axis_label = "easting (km)", "northing (km)"
        plot.axis.formatter = CustomJSTickFormatter(code=_KILOMETRES)
        plot.add_layout(
            ScaleBar(range=plot.x_range, unit="m", location="bottom_right", background_fill_alpha=0.75, margin=12)
        )
    else:
        plot.xaxis.axis_label, plot.yaxis.axis_label = "longitude (degrees)", "latitude (degrees)"
    _add_north(plot, places.north((home.left + home.right) / 2, (home.bottom + home.top) / 2, home.height / 4))
    return plot


def _add_north(plot: Any, angle: float) -> None:
    """An arrow in the lower left corner, at the angle that true north has in the middle of the map."""
    turn, x, y, long = math.radians(angle), 26, 16, 30
    screen: Any = {"start_units": "screen", "end_units": "screen"}
    ends = {"x_start": x, "y_start": y, "x_end": x + long * math.sin(turn), "y_end": y + long * math.cos(turn)}
    head = NormalHead(size=9, fill_color=_INK, line_color=_INK)
    letter = Label(
        x=x,
        y=y + long + 4,
        x_units="screen",
        y_units="screen",
        text="N",
        text_align="center",
        background_fill_color="white",
        background_fill_alpha=0.75,
        padding=2,
        text_font_size="12px",
    )
    ground = BoxAnnotation(
        left=x - 14,
        right=x + 14,
        bottom=y - 6,
        top=y + long + 6,
        **dict.fromkeys(("left_units", "right_units", "bottom_units", "top_units"), "screen"),
        fill_color="white",
        fill_alpha=0.75,
        line_color=None,
    )
    for part in (ground, Arrow(end=head, line_width=2, line_color=_INK, **ends, **screen), letter):
        plot.add_layout(part)


def add_colour_bar(plot: Any, mapper: Any) -> ColorBar:
    """The colour bar at the map's right edge."""
    bar = ColorBar(color_mapper=mapper, width=14, title="", title_text_font_style="normal", title_standoff=8)
    plot.add_layout(bar, "right")
    return bar


def caption_bar(bar: ColorBar, style: Style) -> None:
    """What the colours mean: a scale, or names of classes."""
    bar.title = style.label
    if style.classes:
        values = sorted(style.classes)
        bar.update(
            ticker=FixedTicker(ticks=values), major_label_overrides={v: style.classes[v][0] for v in values}, title=""
        )
        return
    span = style.high - style.low
    ticks = [style.low + span * share / 4 for share in range(5)]
    if style.whole:
        ticks = list(range(round(style.low), round(style.high) + 1, max(round(span / 8), 1)))
    names = {tick: f"{tick:.3g}" for tick in ticks}
    if style.beyond in {"both", "min"}:
        names[ticks[0]] = "≤ " + names[ticks[0]]
    if style.beyond in {"both", "max"}:
        names[ticks[-1]] = "≥ " + names[ticks[-1]]
    bar.update(ticker=FixedTicker(ticks=ticks), major_label_overrides=names)


def add_polygons(plot: Any, columns: dict[str, list[Any]]) -> Any:
    """Polygons with their facts beside the cursor."""
    source = ColumnDataSource(columns, name="polygons")
    shapes = plot.multi_polygons(
        "xs", "ys", source=source, fill_color=CHANGED, fill_alpha=0.12, line_color=CHANGED, line_width=1.5
    )
    shapes.hover_glyph = None
    facts = '<div style="white-space: pre-line; max-width: 320px">@about</div>'
    plot.add_tools(HoverTool(renderers=[shapes], tooltips=facts, point_policy="follow_mouse"))
    return shapes


def add_mark(plot: Any) -> ColumnDataSource:
    """A cross at the place that was clicked."""
    source = ColumnDataSource({"x": [], "y": []}, name="mark")
    for colour, width in (("white", 4), (_INK, 2)):
        plot.scatter("x", "y", source=source, marker="cross", size=16, line_color=colour, line_width=width)
    return source
