"""The list of layers that lies on a region's map, and the lines of the region."""

from __future__ import annotations

import html
import itertools
from typing import Any

import shapely
from shapely.affinity import affine_transform
from shapely.geometry import MultiLineString, mapping
from shapely.geometry.base import BaseGeometry

from pipeline.catalog import title_of
from pipeline.errors import CohmapError
from pipeline.map.overlays import Overlay, draw_overlay, legend
from pipeline.region import Region, crs_of, to_degrees
from pipeline.storage import Folder

# Pixels.
WIDTH = 400
OUTLINE = {"color": "#1d2433", "weight": 2, "fill": False}
TILES = {"color": "#5b6475", "weight": 1, "fill": False, "dashArray": "3 4"}


def tile_lines(region: Region) -> BaseGeometry:
    """Edges of the grid's tiles, in degrees: so many lines as rows and columns, not tiles."""
    grid, tile = region.grid, region.config.grid.tile
    (height, width), to_grid = grid.shape, grid.affine
    ends = [((0, row), (width, row)) for row in range(0, height + 1, tile)]
    ends += [((col, 0), (col, height)) for col in range(0, width + 1, tile)]
    lines = affine_transform(MultiLineString(ends), to_grid.to_shapely())
    # straight on the grid is curved on the map
    return to_degrees(shapely.segmentize(lines, tile * region.config.grid.spacing), crs_of(grid))


class Panel:
    """The list of layers on the map: what is ticked is drawn, the last one on top."""

    def __init__(self, shown: Any, region: Region, folder: Folder, attribution: str) -> None:
        import ipywidgets

        self.map, self.region, self.folder, self.attribution = shown, region, folder, attribution
        self.layers: dict[Overlay, Any] = {}
        self.legends: dict[Overlay, str] = {}
        self.ticked: list[Overlay] = []
        self.note = ipywidgets.HTML()
        self.legend = ipywidgets.HTML()
        self.opacity = ipywidgets.FloatSlider(
            # over a plain ground, what lies below is another product, which shall not mix with the one on top
            value=0.8 if shown.layers else 1.0,
            min=0,
            max=1,
            step=0.05,
            description="opacity",
            readout_format=".0%",
        )
        self.opacity.observe(self._fade, "value")

    def list_layers(self, overlays: list[Overlay]) -> None:
        """Put outline and panel on the map, the first layer ticked."""
        import ipyleaflet
        import ipywidgets

        # more corners than this no screen shows
        west, south, east, north = self.region.area.bounds
        outline = self.region.area.simplify(max(east - west, north - south) / 4000)
        lines = [
            self._line_box(outline, OUTLINE, f"outline of {self.region.name}", ticked=True),
            self._line_box(tile_lines(self.region), TILES, "grid of tiles", ticked=False),
        ]
        boxes = {overlay: self._box(overlay.label, overlay.product.title) for overlay in overlays}
        for overlay, box in boxes.items():
            box.observe(lambda change, overlay=overlay: self._toggle(overlay, change), "value")
        groups = [(name, list(members)) for name, members in itertools.groupby(boxes, lambda overlay: overlay.group)]
        sections = [self._section([boxes[overlay] for overlay in members]) for _, members in groups]
        accordion = ipywidgets.Accordion(
            children=[*sections, self._section(lines)], titles=[*(name for name, _ in groups), "Lines"]
        )
        accordion.selected_index = 0
        title = ipywidgets.HTML(f'<b style="line-height:1.5">{html.escape(title_of(self.region))}</b>')
        layout = {"width": f"{WIDTH}px", "max_height": "calc(100vh - 130px)", "padding": "4px 8px", "overflow": "auto"}
        panel = ipywidgets.VBox([title, accordion, self.opacity, self.legend, self.note], layout=layout)
        self.map.add(ipyleaflet.WidgetControl(widget=panel, position="topright"))
        if overlays:
            boxes[overlays[0]].value = True

    def _box(self, label: str, tooltip: str) -> Any:
        import ipywidgets

        layout = {"width": "auto", "margin": "0", "min_height": "26px"}
        return ipywidgets.Checkbox(value=False, description=label, tooltip=tooltip, indent=False, layout=layout)

    def _section(self, boxes: list[Any]) -> Any:
        import ipywidgets

        return ipywidgets.VBox(boxes, layout={"max_height": "26vh", "overflow": "hidden auto", "display": "block"})

    def _line_box(self, lines: BaseGeometry, style: dict[str, Any], name: str, *, ticked: bool) -> Any:
        import ipyleaflet

        layer = ipyleaflet.GeoJSON(data=mapping(lines), style=style, name=name)
        box = self._box(name, name)
        box.observe(lambda change: (self.map.add if change["new"] else self.map.remove)(layer), "value")
        box.value = ticked
        return box

    def _toggle(self, overlay: Overlay, change: dict[str, Any]) -> None:
        self.note.value = ""
        if change["new"]:
            try:
                self._show(overlay)
            except CohmapError as error:  # the page shows nothing of an error in a callback
                change["owner"].value = False
                self.note.value = html.escape(str(error))
        elif overlay in self.ticked:
            self.ticked.remove(overlay)
            self.map.remove(self.layers[overlay])
        self.legend.value = "".join(dict.fromkeys(self.legends[shown] for shown in self.ticked))

    def _show(self, overlay: Overlay) -> None:
        import ipyleaflet

        if overlay not in self.layers:
            picture = draw_overlay(self.folder, overlay)
            self.legends[overlay] = legend(picture.style)
            self.layers[overlay] = ipyleaflet.ImageOverlay(
                url=picture.url, bounds=picture.bounds, name=overlay.label, attribution=self.attribution
            )
        self.layers[overlay].opacity = self.opacity.value
        self.map.add(self.layers[overlay])
        self.ticked.append(overlay)

    def _fade(self, change: dict[str, Any]) -> None:
        for overlay in self.ticked:
            self.layers[overlay].opacity = change["new"]
