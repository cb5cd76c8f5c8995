"""A layer on the map: what is in view is read again whenever the view or the layer changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, LinearColorMapper

from pipeline.quicklook import Style, read_cog
from pipeline.storage import Folder
from pipeline.view.layers import Layer
from pipeline.view.readers import OpenLayer, Reader, Tell
from pipeline.view.styles import layer_style, palette
from pipeline.view.windows import Frame, Picture

# Longer side of the decimated layer that an unknown band's colours are taken from.
_SAMPLE = 512


class Raster:
    """One picture on the map.

    Attributes
    ----------
    layer, style, picture
        What is shown; None where nothing is.
    mapper
        Colours, for a colour bar too.
    renderer
        The picture on the plot.
    """

    def __init__(self, plot: Any, document: Any, folder: Folder, crs: str, tell: Tell, name: str) -> None:
        self.layer: Layer | None = None
        self.style: Style | None = None
        self.picture: Picture | None = None
        self._folder, self._styles = folder, dict[tuple[str, int], Style]()
        self._source = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []}, name=name)
        self.mapper = LinearColorMapper(palette=["#000000"], low=0, high=1, nan_color="#00000000")
        self.renderer = plot.image("image", "x", "y", "dw", "dh", source=self._source, color_mapper=self.mapper)
        self._open, self._reader = OpenLayer(folder, crs), Reader(document, tell)

    def show(
        self, layer: Layer, frame: Frame, pixels: tuple[int, int], shown: Callable[[], None] = lambda: None
    ) -> None:
        """Show a layer in a frame of so many screen pixels; `shown` is called when it is there."""

        def work() -> tuple[Layer, Style, Picture]:
            if layer.key not in self._styles:
                sample = read_cog(self._folder.address(layer.product.path), layer.band, _SAMPLE)
                self._styles[layer.key] = layer_style(layer, sample)
            return layer, self._styles[layer.key], self._open.read(layer, frame, pixels)

        def put(result: tuple[Layer, Style, Picture]) -> None:
            self._put(*result)
            shown()

        self._reader.read(work, put)

    def _put(self, layer: Layer, style: Style, picture: Picture) -> None:
        if style != self.style:
            colours, low, high = palette(style)
            self.mapper.update(palette=colours, low=low, high=high)
        self.layer, self.style, self.picture = layer, style, picture
        if not picture.values.size:
            self._clear()
            return
        covered = picture.frame
        self._source.data = {
            "image": [np.ascontiguousarray(picture.values[::-1])],  # the plot counts rows from below
            "x": [covered.left],
            "y": [covered.bottom],
            "dw": [covered.width],
            "dh": [covered.height],
        }

    def _clear(self) -> None:
        self._source.data = {"image": [], "x": [], "y": [], "dw": [], "dh": []}

    def hide(self) -> None:
        """Show nothing."""
        self._reader.read(self._open.close, lambda _: None)
        self.layer = self.style = self.picture = None
        self._clear()

    def at(self, x: float, y: float) -> float:
        """The value shown at a place; NaN where there is none."""
        return self.picture.at(x, y) if self.picture is not None else math.nan

    def close(self) -> None:
        """Let go of the file and the thread."""
        self._reader.close(self._open.close)
