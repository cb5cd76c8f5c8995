"""The page: what happens when the map is moved, a layer chosen or a place clicked."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.events import MouseMove, RangesUpdate, Tap
from bokeh.layouts import column, row
from bokeh.models import CustomJS, Div, TextInput
from shapely.geometry import Point

from pipeline.errors import CohmapError
from pipeline.products import Product
from pipeline.quicklook import open_map
from pipeline.storage import Folder
from pipeline.view.layers import Layer, find_products, group_of, grouped
from pipeline.view.link import Link, read_link
from pipeline.view.panel import NOTHING, Panel
from pipeline.view.pixels import Observation, cube_polarisations, series_at, values_at
from pipeline.view.place import Places
from pipeline.view.plot import add_colour_bar, add_mark, add_polygons, caption_bar, make_plot
from pipeline.view.polygons import MOST, Patch, outlines, read_patches
from pipeline.view.raster import Raster
from pipeline.view.readers import Reader
from pipeline.view.windows import Frame

# Milliseconds that a movement must rest before the map is read again, and between two answers to the cursor.
REST, BLINK = 120, 40
# Size of the map in screen pixels until the browser has said it.
GUESS = (900, 700)


@dataclass(frozen=True)
class Output:
    """A finished output folder as the pages show it, read once.

    Attributes
    ----------
    crs, home
        The first product's CRS and extent: those of the map.
    patches
        Change polygons, in that CRS.
    """

    folder: Folder
    products: Sequence[Product]
    crs: str
    home: Frame
    patches: list[Patch]
    polarisations: list[str]

    @property
    def title(self) -> str:
        """What the page is called."""
        return f"cohmap {self.folder.absolute.rstrip('/').rpartition('/')[2]}"


def read_output(folder: Folder) -> Output:
    """See what there is to show.

    Raises
    ------
    CohmapError
        There are no products, or what describes them is damaged.
    """
    products = find_products(folder)
    first = products[0]
    with open_map(folder.address(first.path)) as dataset:
        if dataset.crs is None:
            raise CohmapError(f"{folder.address(first.path)} has no coordinate system, so there is no map of it")
        crs, home = dataset.crs.to_string(), Frame(*dataset.bounds)
    polarisations = list(dict.fromkeys(p.polarisation for p in products if p.kind == "coherence"))
    polarisations = polarisations or cube_polarisations(folder)
    return Output(folder, products, crs, home, read_patches(folder, crs), polarisations)


class Page:
    """One page in one browser window."""

    def __init__(self, document: Any, output: Output) -> None:
        self.document, self.output, self.places = document, output, Places(output.crs)
        arguments = document.session_context.request.arguments if document.session_context else {}
        self.link: Link = read_link(arguments)
        self.by_id = {product.id: product for product in output.products}
        self.groups = grouped(output.products)
        self.panel = Panel(output.title, self.groups, output.polarisations)
        self.plot = make_plot(output.home, self.places)
        self.below = Raster(self.plot, document, output.folder, output.crs, self.panel.tell, "below")
        self.top = Raster(self.plot, document, output.folder, output.crs, self.panel.tell, "top")
        self.bar = add_colour_bar(self.plot, self.top.mapper)
        self.mark = add_mark(self.plot)
        self.readout = Div(text="&nbsp;", name="readout", styles={"font-variant-numeric": "tabular-nums"})
        # the browser writes this into its address line
        self.address = TextInput(visible=False, name="address")
        self.address.js_on_change("value", CustomJS(code="history.replaceState(null, '', '?' + cb_obj.value)"))
        self.reader = Reader(document, self.panel.tell)
        self.place: tuple[float, float] | None = None
        # what is in view, and map units a screen pixel there
        self.frame, self.scale, self.sized = output.home, 1.0, False
        self._sides = {"inner_width": 0, "inner_height": 0}
        self._moving: Any = None
        self._cursor: tuple[float, float] | None = None
        self.layer = self._first_layer()
        self._build()

    # ---- building

    def _first_layer(self) -> Layer:
        product = self.by_id.get(self.link.layer or "") or next(iter(self.groups.values()))[0]
        names = [band.name for band in product.bands]
        return Layer(product, names.index(self.link.band) + 1 if self.link.band in names else 1)

    def _build(self) -> None:
        panel, plot = self.panel, self.plot
        if self.output.patches:
            shapes = add_polygons(plot, outlines(self.output.patches))
            panel.polygons.visible = True
            panel.polygons.js_link("active", shapes, "visible")
            if len(self.output.patches) > MOST:
                panel.polygons.label = f"change polygons (the {MOST} largest of {len(self.output.patches)})"
        panel.opacity.js_link("value", self.top.renderer.glyph, "global_alpha")
        product = self.layer.product
        panel.group.value = group_of(product)
        panel.list_layers(self.groups[panel.group.value])
        panel.layer.value = product.id
        panel.list_bands(product, self.layer.band - 1)
        panel.group.on_change("value", self._choose_group)
        panel.layer.on_change("value", self._choose_layer)
        panel.band.on_change("active", self._choose_band)
        panel.below.on_change("value", lambda attr, old, new: self._draw())  # noqa: ARG005 - Bokeh asks for the names
        panel.previous.on_click(lambda: self._step(-1))
        panel.following.on_click(lambda: self._step(1))
        panel.polarisation.on_change("active", lambda attr, old, new: self._ask())  # noqa: ARG005 - as above
        plot.on_event(RangesUpdate, self._moved)
        plot.on_event(Tap, self._tapped)
        plot.on_event(MouseMove, self._hovered)
        for side in self._sides:
            plot.on_change(side, self._resized)
        left = column(plot, self.readout, self.address, sizing_mode="stretch_both")
        self.document.add_root(row(left, panel.layout(), sizing_mode="stretch_both", name="page"))
        self.document.title = self.output.title
        if self.link.at_x is not None and self.link.at_y is not None:
            self.place = (self.link.at_x, self.link.at_y)
            self._ask()

    def close(self) -> None:
        """Let go of files and threads."""
        for thing in (self.top, self.below, self.reader):
            thing.close()

    # ---- which layer

    def _choose_group(self, _attr: str, _old: str, new: str) -> None:
        members = self.groups[new]
        self.panel.list_layers(members)
        if self.panel.layer.value not in {product.id for product in members}:
            self.panel.layer.value = members[0].id

    def _choose_layer(self, _attr: str, _old: str, new: str) -> None:
        product, before = self.by_id[new], self.layer.name
        names = [band.name for band in product.bands]
        active = names.index(before) if before in names else 0
        self.layer = Layer(product, active + 1)
        self.panel.list_bands(product, active)
        self._draw()

    def _choose_band(self, _attr: str, _old: int, new: int) -> None:
        if new + 1 != self.layer.band:
            self.layer = Layer(self.layer.product, new + 1)
            self._draw()

    def _step(self, by: int) -> None:
        members = [product.id for product in self.groups[self.panel.group.value]]
        place = members.index(self.layer.product.id) + by
        if 0 <= place < len(members):
            self.panel.layer.value = members[place]

    # ---- which part of the map

    @property
    def pixels(self) -> tuple[int, int]:
        """Size of the map in screen pixels."""
        wide, tall = self._sides.values()
        return (wide, tall) if wide and tall else GUESS

    def _resized(self, side: str, _old: Any, new: int) -> None:
        """Keep the middle and the scale; the first time, show the whole map or what the address asks for."""
        self._sides[side] = int(new)
        if not all(self._sides.values()):
            return
        wide, tall = self.pixels
        home = self.output.home
        whole = max(home.width / wide, home.height / tall)
        middle = ((home.left + home.right) / 2, (home.bottom + home.top) / 2)
        self._set_home(middle, whole)
        scale = self.scale if self.sized else self.link.scale or whole
        if self.sized:
            middle = ((self.frame.left + self.frame.right) / 2, (self.frame.bottom + self.frame.top) / 2)
        elif self.link.x is not None and self.link.y is not None:
            middle = (self.link.x, self.link.y)
        self.sized, self.scale = True, scale
        self._look(self._around(middle, scale))

    def _around(self, middle: tuple[float, float], scale: float) -> Frame:
        wide, tall = (side * scale / 2 for side in self.pixels)
        return Frame(middle[0] - wide, middle[1] - tall, middle[0] + wide, middle[1] + tall)

    def _set_home(self, middle: tuple[float, float], scale: float) -> None:
        """What the reset button goes back to."""
        home = self._around(middle, scale)
        self.plot.x_range.update(reset_start=home.left, reset_end=home.right)
        self.plot.y_range.update(reset_start=home.bottom, reset_end=home.top)

    def _look(self, frame: Frame) -> None:
        self.frame = frame
        self.plot.x_range.update(start=frame.left, end=frame.right)
        self.plot.y_range.update(start=frame.bottom, end=frame.top)
        self._draw()

    def _moved(self, event: RangesUpdate) -> None:
        frame = Frame(event.x0, event.y0, event.x1, event.y1)
        if not self.sized or not (frame.width > 0 and frame.height > 0):
            return
        self.frame, self.scale = frame, frame.width / self.pixels[0]
        if self._moving is not None:
            self.document.remove_timeout_callback(self._moving)
        self._moving = self.document.add_timeout_callback(self._rested, REST)

    def _rested(self) -> None:
        self._moving = None
        self._draw()

    def _draw(self) -> None:
        if not self.sized:
            return
        self.panel.tell("")
        self.top.show(self.layer, self.frame, self.pixels, self._shown)
        under = self.by_id.get(self.panel.below.value)
        if under is None or self.panel.below.value == NOTHING:
            if self.below.layer is not None:
                self.below.hide()
        else:
            self.below.show(Layer(under), self.frame, self.pixels)
        self._remember()

    def _shown(self) -> None:
        if self.top.style is not None:
            caption_bar(self.bar, self.top.style)
        self.plot.title.text = self.layer.product.title

    def _remember(self) -> None:
        frame, at = self.frame, self.place or (None, None)
        middle = ((frame.left + frame.right) / 2, (frame.bottom + frame.top) / 2)
        self.address.value = Link(self.layer.product.id, self.layer.name, *middle, self.scale, *at).query()

    # ---- one place

    def _hovered(self, event: MouseMove) -> None:
        """Answer the cursor, at most every BLINK milliseconds."""
        waiting = self._cursor is not None
        self._cursor = (event.x, event.y)
        if not waiting:
            self.document.add_timeout_callback(self._read_out, BLINK)

    def _read_out(self) -> None:
        place, self._cursor = self._cursor, None
        if place is None or not all(map(math.isfinite, place)):
            return
        value, picture, style = self.top.at(*place), self.top.picture, self.top.style
        said = _number(value)
        if style is not None and math.isfinite(value) and round(value) in style.classes:
            said = style.classes[round(value)][0]
        of = f" of {picture.step} × {picture.step} pixels" if picture is not None and picture.step > 1 else ""
        there = f"x {place[0]:.0f} m, y {place[1]:.0f} m · " if self.places.in_metres else ""
        name = f"{self.top.layer.name}{of}" if self.top.layer else "value"
        self.readout.text = html.escape(f"{there}{self.places.text(*place)} · {name}: {said}")

    def _tapped(self, event: Tap) -> None:
        if math.isfinite(event.x) and math.isfinite(event.y):
            self.place = (event.x, event.y)
            self._remember()
            self._ask()

    def _ask(self) -> None:
        """Read the place's values, and its time series, beside the page."""
        if self.place is None:
            return
        place, panel, output = self.place, self.panel, self.output
        self.mark.data = {"x": [place[0]], "y": [place[1]]}
        panel.place.text = f"Reading {html.escape(self.places.text(*place))} …"
        active = panel.polarisation.active or 0
        polarisation = output.polarisations[active] if output.polarisations else ""
        product = self.layer.product

        def work() -> tuple[Product, list[float], list[Observation]]:
            values = values_at(output.folder, product, *place, output.crs)
            series = series_at(output.folder, output.products, polarisation, *place, output.crs)
            return product, values, list(series)

        self.reader.read(work, lambda found: self._answer(place, polarisation, *found))

    def _answer(
        self,
        place: tuple[float, float],
        polarisation: str,
        product: Product,
        values: list[float],
        series: list[Observation],
    ) -> None:
        self.panel.chart.show(series)
        seen = sum(observation.has_data for observation in series)
        self.panel.save.visible = seen > 0
        lines = [f"<b>{html.escape(self.places.text(*place))}</b>"]
        named = zip((band.name for band in product.bands), values, strict=False)
        said = ", ".join(f"{name} {_number(value)}" for name, value in named)
        lines.append(html.escape(f"{product.title}: {said or 'off the map'}"))
        inside = [patch.about for patch in self.output.patches if patch.geometry.contains(Point(place))]
        lines += [html.escape(about).replace("\n", "; ") for about in inside]
        if series:
            lines.append(f"{seen} of {len(series)} pairs in {html.escape(polarisation)} have data here")
        else:
            lines.append("The folder holds no maps of single pairs, so there is no time series.")
        self.panel.place.text = "<br>".join(lines)


def _number(value: float) -> str:
    """A value as one reads it: whole numbers whole, others to four digits."""
    if not math.isfinite(value):
        return "no data"
    return f"{value:.0f}" if value == round(value) else f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"
