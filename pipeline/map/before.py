"""The map of a region before a run: its area and tiles, and which passes there are, from what `cohmap plan` wrote."""

from __future__ import annotations

import datetime as dt
import html
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shapely.geometry import mapping

from pipeline.catalog import title_of
from pipeline.errors import CohmapError
from pipeline.figures import COLOURS
from pipeline.footprints import FOOTPRINTS
from pipeline.map.panel import OUTLINE, TILES, WIDTH, tile_lines
from pipeline.map.viewer import base_map, require_extra
from pipeline.plan import PLAN
from pipeline.plan_picture import MOST_OUTLINES
from pipeline.region import Region, open_region
from pipeline.storage import Folder

if TYPE_CHECKING:
    import ipyleaflet

Feature = Mapping[str, Any]


def build_before(
    region: Region | str,
    folder: Folder | str,
    *,
    earthengine: bool | None = False,
    project: str | None = None,
    date: dt.date | None = None,
) -> ipyleaflet.Map:
    """Footprints of the planned passes over the area and its tiles; a click on a footprint tells which pass it is.

    Parameters
    ----------
    region, folder
        Or the region's name or file, and the path or URI of its output folder, which holds the plan.
    earthengine, project, date
        As `pipeline.map.viewer.build_map` takes them.

    Returns
    -------
    shown
        An `ipyleaflet.Map`; with Earth Engine a `geemap.Map`, which is one too.

    Raises
    ------
    CohmapError
        Nothing is planned yet, a library is missing, or Earth Engine refuses.
    """
    region = open_region(region) if isinstance(region, str) else region
    folder = Folder(folder) if isinstance(folder, str) else folder
    if not (folder.exists(PLAN) and folder.exists(FOOTPRINTS)):
        raise CohmapError(f"no plan in {folder}; run `cohmap plan` first")
    require_extra("ipyleaflet", "ipywidgets")
    import ipyleaflet
    import ipywidgets

    passes = sorted(folder.read_json(FOOTPRINTS)["features"], key=lambda feature: str(feature["properties"]["track"]))
    last = max(dt.datetime.fromisoformat(feature["properties"]["start"]) for feature in passes)
    shown = base_map(region, earthengine=earthengine, project=project, date=date, last=last.date())
    note = ipywidgets.HTML(_summary(region, folder.read_json(PLAN)))
    told = ipywidgets.HTML("a click on a footprint tells which pass it is")
    tracks = [list(members) for _, members in itertools.groupby(passes, lambda feature: feature["properties"]["track"])]
    for colour, members in zip(itertools.cycle(COLOURS), tracks, strict=False):
        shown.add(_track_layer(members, colour, told))
    shown.add(ipyleaflet.GeoJSON(data=mapping(tile_lines(region)), style=TILES, name=f"{len(region.tiles)} tiles"))
    shown.add(ipyleaflet.GeoJSON(data=mapping(region.area), style=OUTLINE, name=f"outline of {region.name}"))
    shown.add(ipyleaflet.LayersControl(position="topright", collapsed=False))
    layout = {"width": f"{WIDTH}px", "max_height": "50vh", "padding": "4px 8px", "overflow": "auto"}
    panel = ipywidgets.VBox([note, told], layout=layout)
    shown.add(ipyleaflet.WidgetControl(widget=panel, position="bottomright"))
    return shown


def _track_layer(members: list[Feature], colour: str, told: Any) -> Any:
    """Outlines of one track; they nearly repeat, so some of many are enough, the first and the last among them."""
    import ipyleaflet

    step = -(-len(members) // MOST_OUTLINES)
    drawn = members[::step] + ([] if (len(members) - 1) % step == 0 else [members[-1]])
    some = f", {len(drawn)} of them drawn" if len(drawn) < len(members) else ""
    layer = ipyleaflet.GeoJSON(
        data={"type": "FeatureCollection", "features": drawn},
        style={"color": colour, "weight": 1.5, "fillOpacity": 0.02},
        hover_style={"weight": 3, "fillOpacity": 0.15},
        name=f"{members[0]['properties']['track']}: {len(members)} passes{some}",
    )

    def tell(properties: Mapping[str, Any], **_: Any) -> None:
        told.value = html.escape(
            f"{properties['id']}, {properties['track']}, slices {properties['slices']}, pairs {properties['pairs']}"
        )

    layer.on_click(tell)
    return layer


def _summary(region: Region, plan: Mapping[str, Any]) -> str:
    cost, tracks = plan["cost"], plan["tracks"]
    facts = {
        "passes": sum(len(track["passes"]) for track in tracks),
        "pairs": sum(len(track["pairs"]) for track in tracks),
        "tiles": plan["tiles"],
        "requests" if cost["requests_a_second"] else "reads": cost["requests"],
        "to read": f"{cost['transfer_bytes'] / 1e9:.3g} GB",
        "disk": f"{cost['disk_bytes'] / 1e9:.3g} GB",
    }
    rows = "".join(f"<tr><td>{name}</td><td align='right'>{value}</td></tr>" for name, value in facts.items())
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in plan["notes"])
    title = html.escape(title_of(region))
    return f'<b style="line-height:1.5">{title}</b><table>{rows}</table>' + (f"<ul>{notes}</ul>" if notes else "")
