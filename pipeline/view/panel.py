"""The controls beside the map."""

from __future__ import annotations

import html
from collections.abc import Sequence

from bokeh.layouts import column, row
from bokeh.models import (
    Button,
    Checkbox,
    Column,
    CustomJS,
    Div,
    RadioButtonGroup,
    Select,
    Slider,
)

from pipeline.products import Product
from pipeline.view.chart import Chart
from pipeline.view.layers import label_of

WIDTH = 420
NOTHING = ""
_HINT = "Click the map: the time series of that place appears here."
# Written by the browser itself, so that nothing but the table in the page is read.
_SAVE = """
const names = ["reference", "secondary", "days", "track", "coherence", "sigma"]
const rows = source.data["days"].map((_, i) => names.map((name) => source.data[name][i]).join(","))
const link = document.createElement("a")
link.href = URL.createObjectURL(new Blob([[names.join(","), ...rows, ""].join("\\n")], {type: "text/csv"}))
link.download = "coherence.csv"
link.click()
URL.revokeObjectURL(link.href)
"""


class Panel:
    """All that stands beside the map.

    Attributes
    ----------
    group, layer, band, below
        Which layer is shown; values of `layer` and `below` are products' ids, `below` may be `NOTHING`.
    previous, following
        Buttons to the layer before and after.
    """

    def __init__(self, title: str, groups: dict[str, list[Product]], polarisations: Sequence[str]) -> None:
        names = list(groups)
        wide = {"sizing_mode": "stretch_width"}
        self.title = Div(text=f"<b>{html.escape(title)}</b>", **wide)
        self.group = Select(title="Show", options=names, value=names[0], name="group", **wide)
        self.layer = Select(title="Layer", name="layer", **wide)
        self.previous = Button(label="◀", width=36, align="end", name="previous")
        self.following = Button(label="▶", width=36, align="end", name="following")
        self.band = RadioButtonGroup(labels=["-"], active=0, name="band", **wide)
        self.opacity = Slider(title="Opacity", start=0, end=1, step=0.05, value=1, name="opacity", **wide)
        self.below = Select(title="Under it", name="below", **wide)
        under = [(product.id, label_of(product)) for members in groups.values() for product in members]
        self.below.options = [(NOTHING, "nothing"), *under]
        self.polygons = Checkbox(label="change polygons", active=True, visible=False, name="polygons")
        self.note = Div(text="", name="note", styles={"color": "#c2261c"}, **wide)
        self.place = Div(text=_HINT, name="place", **wide)
        self.polarisation = RadioButtonGroup(labels=list(polarisations), active=0, name="polarisation")
        self.polarisation.visible = len(polarisations) > 1
        self.chart = Chart()
        self.save = Button(label="Save as CSV", width=110, visible=False, name="save")
        self.save.js_on_click(CustomJS(args={"source": self.chart.source}, code=_SAVE))

    def list_layers(self, products: Sequence[Product]) -> None:
        """Offer the products of a group."""
        self.layer.options = [(product.id, label_of(product)) for product in products]

    def list_bands(self, product: Product, active: int) -> None:
        """Offer the bands of a product, one chosen (counted from 0)."""
        self.band.update(labels=[band.name for band in product.bands], active=active)
        self.band.visible = len(product.bands) > 1

    def layout(self) -> Column:
        """All of it, from top to bottom."""
        return column(
            self.title,
            self.group,
            row(self.previous, self.layer, self.following, sizing_mode="stretch_width"),
            self.band,
            self.opacity,
            self.below,
            self.polygons,
            self.note,
            self.place,
            row(self.polarisation, self.save),
            self.chart.over_time,
            self.chart.by_baseline,
            width=WIDTH,
            sizing_mode="stretch_height",
            styles={"overflow-y": "auto", "overflow-x": "hidden", "padding-right": "16px", "box-sizing": "border-box"},
        )

    def tell(self, sentence: str) -> None:
        """Say what is amiss; "" = nothing."""
        self.note.text = html.escape(sentence)
