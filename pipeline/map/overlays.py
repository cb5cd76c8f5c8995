"""Products as layers of a web map: which there are, and each as a small picture that lies right on web Mercator."""

from __future__ import annotations

import html
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import matplotlib as mpl
import numpy as np
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.enums import Resampling
from rasterio.warp import calculate_default_transform, reproject

from pipeline.figures import data_url
from pipeline.products import Product
from pipeline.quicklook import LASTING, MapImage, Style, read_cog, style_of
from pipeline.region import crs_of
from pipeline.storage import Folder

# Longer side of a layer's picture in pixels, whatever the region's size.
PIXELS = 1000
MERCATOR = CRS("EPSG:3857")
# EPSG:3857 ends here.
FARTHEST_LATITUDE = 85.0
GROUPS = {
    "mean": "Coherence over time",
    **dict.fromkeys(("change", "change-mask", "change-monitor", "change-state"), "Change"),
    "coherence": "Pairs",
}
GROUPS |= {"season": "Seasons", "decay": "Decay", "decay-quality": "Decay"}

Bounds = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Overlay:
    """One band of a product, to be shown or hidden.

    Attributes
    ----------
    group
        What it stands under in the list of layers.
    label
        Its name there.
    """

    product: Product
    band: int
    group: str
    label: str


@dataclass(frozen=True)
class Picture:
    """A layer as a web map takes it.

    Attributes
    ----------
    url
        The PNG as a data URI, no data transparent.
    bounds
        South-west and north-east corner, (latitude, longitude) in degrees.
    """

    url: str
    bounds: Bounds
    style: Style


def overlays_of(products: Sequence[Product], pairs: int) -> list[Overlay]:
    """Layers of the products: means and medians, change scores and masks, and evenly chosen pairs.

    Parameters
    ----------
    pairs
        At most so many pairs, in every polarisation.
    """
    chosen = _evenly(list(dict.fromkeys(p.pairs[0] for p in products if p.kind == "coherence")), pairs)
    tracks = {product.track for product in products}
    found: list[Overlay] = []
    for group in dict.fromkeys(GROUPS.values()):
        for product in products:
            if GROUPS[product.kind] == group and (product.kind != "coherence" or product.pairs[0] in chosen):
                found += _bands(product, group, [""] if len(tracks) > 1 else [f", {track}" for track in tracks])
    return found


def _bands(product: Product, group: str, omitted: Sequence[str]) -> Iterator[Overlay]:
    """The bands worth a layer, their names as short as their list allows; the title stands in a tooltip."""
    label = product.title
    if product.kind == "change-mask":
        label = label.split(", ", 1)[0]
    for words in (*omitted, "InSAR coherence ", "coherence "):
        label = label.replace(words, "")
    yield Overlay(product, 1, group, label)
    if product.kind == "decay":
        yield Overlay(product, 3, group, label.replace("Decay of", "Lasting", 1))
    if product.kind == "mean":
        yield Overlay(product, 2, group, label.replace("Mean", "Median", 1))


def _evenly(names: Sequence[str], most: int) -> set[str]:
    return {names[round(place)] for place in np.linspace(0, len(names) - 1, min(len(names), most))}


def draw_overlay(folder: Folder, overlay: Overlay, longest: int = PIXELS) -> Picture:
    """Read a layer through its file's overviews, and reproject and colour it.

    Raises
    ------
    CohmapError
        The file is gone or damaged.
    """
    product = overlay.product
    image = read_cog(folder.address(product.path), overlay.band, longest)
    style = style_of(product, image)
    if product.kind in {"change-mask", "change-state"}:
        style = clear(style)
    if product.kind == "decay" and overlay.band > 1:
        style = LASTING
    placed = to_mercator(image, longest, classes=product.is_classes)
    return Picture(data_url(transparent_png(placed, style)), corners(placed.grid), style)


def clear(style: Style) -> Style:
    """Classes with the first one, where nothing was found, transparent: such a map can lie on top of anything."""
    return replace(style, classes={**style.classes, 0: ("no change found", "#ffffff00")})


def to_mercator(image: MapImage, longest: int = PIXELS, *, classes: bool = False) -> MapImage:
    """A map on the grid of web maps, EPSG:3857; north is up there, so its corners alone say where it lies.

    Parameters
    ----------
    longest
        Longer side in pixels at most.
    classes
        Whether values must not be mixed.
    """
    source, target = crs_of(image.grid).to_wkt(), MERCATOR.to_wkt()
    height, width = image.grid.shape
    bounds = image.grid.boundingbox.bbox
    to_grid, wide, tall = calculate_default_transform(source, target, width, height, *bounds)
    if (shrink := longest / max(wide, tall)) < 1:
        size = {"dst_width": max(int(wide * shrink), 1), "dst_height": max(int(tall * shrink), 1)}
        to_grid, wide, tall = calculate_default_transform(source, target, width, height, *bounds, **size)
    grid = GeoBox((tall, wide), to_grid, MERCATOR)
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    reproject(
        image.values,
        values,
        src_transform=image.grid.affine,
        src_crs=source,
        src_nodata=np.nan,
        dst_transform=grid.affine,
        dst_crs=target,
        dst_nodata=np.nan,
        resampling=Resampling.nearest if classes else Resampling.bilinear,
    )
    return MapImage(values, grid, image.step)


def corners(grid: GeoBox) -> Bounds:
    """South-west and north-east corner of a grid in EPSG:3857, (latitude, longitude) in degrees."""
    to_degrees = crs_of(grid).transformer_to_crs(CRS("EPSG:4326"))
    left, bottom, right, top = grid.boundingbox.bbox
    (west, south), (east, north) = to_degrees(left, bottom), to_degrees(right, top)
    return (float(south), float(west)), (float(north), float(east))


def transparent_png(image: MapImage, style: Style) -> bytes:
    """A map's pixels as a PNG with a colour table; what holds no data is transparent."""
    colours, norm = style.scale()
    rgba = np.ascontiguousarray(colours(norm(np.nan_to_num(image.values, nan=style.low)), bytes=True))
    rgba[~np.isfinite(image.values)] = 0
    # a style has fewer than 256 colours, so the table holds each exactly
    table, places = np.unique(rgba.view(np.uint32)[..., 0], return_inverse=True)
    picture = Image.fromarray(places.reshape(image.values.shape).astype(np.uint8))
    picture.putpalette(table.tobytes(), "RGBA")
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def legend(style: Style) -> str:
    """A style's colour bar with its ends, or its classes, as HTML."""
    if style.classes:
        return "".join(_class_row(*style.classes[value]) for value in sorted(style.classes))
    table = mpl.colormaps[style.colours]
    stops = ", ".join(mpl.colors.to_hex(table(place)) for place in np.linspace(0, 1, 17))
    below, above = ("≤ " if style.beyond in {"both", "min"} else ""), ("≥ " if style.beyond in {"both", "max"} else "")
    ends = [f"{below}{style.low:g}", f"{(style.low + style.high) / 2:g}", f"{above}{style.high:g}"]
    ticks = "".join(f"<span>{end}</span>" for end in ends)
    return (
        f'<div style="line-height:1.5">{html.escape(style.label)}</div>'
        f'<div style="height:10px;background:linear-gradient(to right, {stops})"></div>'
        f'<div style="display:flex;justify-content:space-between">{ticks}</div>'
    )


def _class_row(name: str, colour: str) -> str:
    box = f"display:inline-block;width:12px;height:12px;border:1px solid #5b6475;background:{colour}"
    return f'<div style="line-height:1.5"><span style="{box}"></span> {html.escape(name)}</div>'
