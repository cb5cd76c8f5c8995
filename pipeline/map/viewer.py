"""The interactive map of a region: its products over each other, in a notebook or a page of Voilà.

Without an Earth Engine account nothing is fetched from anywhere: layers are pictures inside the page, and the
background is plain. The libraries come with `pip install 'cohmap[map]'`.
"""

from __future__ import annotations

import datetime as dt
import importlib
import math
from typing import TYPE_CHECKING

from shapely.geometry.base import BaseGeometry

from pipeline.catalog import credit
from pipeline.errors import CohmapError
from pipeline.map.overlays import FARTHEST_LATITUDE, overlays_of
from pipeline.map.panel import WIDTH, Panel
from pipeline.products import load_products
from pipeline.region import Region, open_region
from pipeline.storage import Folder

if TYPE_CHECKING:
    import ipyleaflet

PAIRS = 12
# What is taken to be free beside the panel before a browser has said so, in pixels.
FREE = (900, 620)


def build_map(
    region: Region | str,
    folder: Folder | str,
    *,
    pairs: int = PAIRS,
    earthengine: bool | None = False,
    project: str | None = None,
    date: dt.date | None = None,
) -> ipyleaflet.Map:
    """The region and its products as a map to look at; show it as the last line of a notebook's cell.

    A layer's picture is made when it is first ticked, from the file's overviews, so that a large region opens as fast
    as a small one.

    Parameters
    ----------
    region, folder
        Or the region's name or file, and the path or URI of its output folder.
    pairs
        How many pairs get a layer, evenly chosen; means and change maps all do.
    earthengine
        Whether to show it over geemap's base maps and the Sentinel-1 image of a date; None = where the region's
        source is Earth Engine and its credentials are there.
    project
        Google Cloud project for Earth Engine.
    date
        Day (UTC) of that image; the last one of the products where None.

    Returns
    -------
    shown
        An `ipyleaflet.Map`; with Earth Engine a `geemap.Map`, which is one too.

    Raises
    ------
    CohmapError
        There are no products yet, a library is missing, or Earth Engine refuses.
    """
    region = open_region(region) if isinstance(region, str) else region
    folder = Folder(folder) if isinstance(folder, str) else folder
    products = load_products(folder)
    days = sorted(product.secondary[:10] for product in products)
    shown = base_map(region, earthengine=earthengine, project=project, date=date, last=dt.date.fromisoformat(days[-1]))
    years = {int(day[:4]) for product in products for day in (product.reference, product.secondary)}
    Panel(shown, region, folder, credit(region, years)).list_layers(overlays_of(products, pairs))
    return shown


def base_map(
    region: Region, *, earthengine: bool | None, project: str | None, date: dt.date | None, last: dt.date
) -> ipyleaflet.Map:
    """A map of the region without layers of ours; `last` is the day of Earth Engine's image where `date` is None.

    Raises
    ------
    CohmapError
        A library is missing, the region lies where web maps end, or Earth Engine refuses.
    """
    require_extra("ipyleaflet", "ipywidgets")
    if max(map(abs, region.area.bounds[1::2])) > FARTHEST_LATITUDE:
        raise CohmapError(f"{region.name} reaches beyond {FARTHEST_LATITUDE:g} degrees, where web maps end")
    import ipyleaflet

    centre, zoom = view_of(region.area)
    view = {"center": centre, "zoom": zoom, "scroll_wheel_zoom": True}
    if earthengine or (earthengine is None and can_use_earth_engine(region)):
        require_extra("geemap")
        from pipeline.map.backdrop import earth_engine_map

        shown: ipyleaflet.Map = earth_engine_map(region, project, date, last, view)
    else:
        shown = ipyleaflet.Map(layers=(), zoom_snap=0.25, zoom_delta=0.5, **view)
        shown.add(ipyleaflet.FullScreenControl())
        shown.add(ipyleaflet.ScaleControl(position="bottomleft", imperial=False))
    shown.layout.height = "calc(100vh - 40px)"
    shown.layout.min_height = "400px"
    return shown


def require_extra(*modules: str) -> None:
    """Make sure that the optional libraries are there.

    Raises
    ------
    CohmapError
        Says how to install them.
    """
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise CohmapError(
                f"the map needs packages that are not installed ({error}); `pip install 'cohmap[map]'` brings them"
            ) from None


def can_use_earth_engine(region: Region) -> bool:
    """Whether the region's source is Earth Engine, with credentials that can be found."""
    if region.config.source.kind != "earthengine":
        return False
    from pipeline.map.backdrop import has_credentials

    return has_credentials(region)


def view_of(area: BaseGeometry) -> tuple[tuple[float, float], float]:
    """Centre (latitude, longitude) and zoom level, in quarters, at which the area lies whole beside the panel."""
    west, south, east, north = area.bounds
    bottom, top = _mercator(south), _mercator(north)
    # pixels a radian; the whole world has 256 at level 0
    scale = min(FREE[0] / math.radians(east - west), FREE[1] / (top - bottom))
    level = max(0.0, min(18.0, math.floor(4 * math.log2(scale * 2 * math.pi / 256)) / 4))
    aside = math.degrees(WIDTH / 2 / (256 * 2**level / (2 * math.pi)))
    latitude = math.degrees(2 * math.atan(math.exp((bottom + top) / 2)) - math.pi / 2)
    return (latitude, (west + east) / 2 + aside), level


def _mercator(latitude: float) -> float:
    return math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))
