"""The charts of one place: coherence over time and by temporal baseline, with one standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, Whisker
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from bokeh.transform import linear_cmap

from pipeline.view.pixels import Observation

_COLUMNS = ("from", "to", "middle", "days", "coherence", "sigma", "low", "high", "reference", "secondary", "track")
# a longer baseline than this is as dark as this
_LONGEST = 48


class Chart:
    """Two figures on one table; every pair is a bar from its first pass to its second.

    Attributes
    ----------
    source
        The table: one row a pair that has data at the place.
    over_time, by_baseline
        The figures.
    """

    def __init__(self) -> None:
        self.source = ColumnDataSource({name: [] for name in _COLUMNS}, name="series")
        hover = [
            ("pair", "@reference to @secondary"),
            ("baseline", "@days days"),
            ("coherence", "@coherence{0.000} ± @sigma{0.000}"),
            ("track", "@track"),
        ]
        colours: Any = linear_cmap("days", Viridis256[:230], 0, _LONGEST)
        shared: dict[str, Any] = {
            "height": 200,
            "sizing_mode": "stretch_width",
            "y_range": (0, 1),
            "toolbar_location": None,
        }
        self.over_time = figure(
            x_axis_type="datetime", x_axis_label="from the first pass to the second", y_axis_label="coherence", **shared
        )
        bars = self.over_time.segment(
            "from", "coherence", "to", "coherence", source=self.source, color=colours, line_width=2
        )
        self._finish(self.over_time, "middle", bars, hover)
        self.by_baseline = figure(
            x_axis_label="days between the passes", y_axis_label="coherence", x_range=(0, _LONGEST), **shared
        )
        dots = self.by_baseline.scatter("days", "coherence", source=self.source, color=colours, size=6)
        self._finish(self.by_baseline, "days", dots, hover)

    def _finish(self, plot: Any, base: str, marks: Any, hover: list[tuple[str, str]]) -> None:
        whiskers = Whisker(
            base=base, lower="low", upper="high", source=self.source, line_color="#5b6475", line_alpha=0.7
        )
        whiskers.upper_head.size = whiskers.lower_head.size = 4
        plot.add_layout(whiskers)
        plot.add_tools(HoverTool(renderers=[marks], tooltips=hover))
        plot.axis.axis_label_text_font_style = "normal"

    def show(self, observations: Sequence[Observation]) -> None:
        """Fill the table with the pairs that have data, in the order of time."""
        seen = sorted((o for o in observations if o.has_data), key=lambda o: (o.reference, o.secondary, o.track))
        self.source.data = {
            "from": [_clock(o.reference) for o in seen],
            "to": [_clock(o.secondary) for o in seen],
            "middle": [_clock(o.middle) for o in seen],
            "days": [o.days for o in seen],
            "coherence": [o.coherence for o in seen],
            "sigma": [o.sigma for o in seen],
            "low": [o.coherence - o.sigma for o in seen],
            "high": [o.coherence + o.sigma for o in seen],
            "reference": [f"{o.reference:%Y-%m-%d}" for o in seen],
            "secondary": [f"{o.secondary:%Y-%m-%d}" for o in seen],
            "track": [o.track for o in seen],
        }
        self.by_baseline.x_range.end = max([_LONGEST, *(o.days * 1.05 for o in seen)])


def _clock(moment: Any) -> float:
    """Milliseconds since 1970, as charts count time."""
    return float(moment.timestamp() * 1000)
