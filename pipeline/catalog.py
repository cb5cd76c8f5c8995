"""The STAC catalogue: a static, self-contained description of what an output folder holds.

`catalog/collection.json` lists one item a product; its child `catalog/passes/collection.json` one item a pass of a
stack, so that the links of a coherence item to its reference and secondary lead to something. All links are relative:
the output folder can be moved, or put on a web server, as it is. Nothing in it depends on the clock, so an identical
run writes identical files.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pystac
from fsspec.core import url_to_fs
from pystac.layout import TemplateLayoutStrategy

from pipeline import __version__
from pipeline.items import link_origins, pass_item, product_item
from pipeline.mosaic import Maps, open_maps
from pipeline.products import Product, load_products
from pipeline.quicklook import read_cog, style_of, thumbnail
from pipeline.region import Region
from pipeline.storage import Folder

ROOT = "catalog"
ADDRESS = f"{ROOT}/collection.json"
LAYOUT = TemplateLayoutStrategy(item_template="items", collection_template="passes")
THUMBNAIL_PIXELS = 320
SUMMARISED = ("platform", "sar:polarizations", "sat:orbit_state", "sat:relative_orbit", "product:type", "proj:code")


def write_catalog(region: Region, folder: Folder) -> str:
    """Write collections, items and thumbnails; files of earlier runs whose product or pass is gone are removed.

    Returns
    -------
    address
        Path or URI of the collection.

    Raises
    ------
    CohmapError
        There are no products yet.
    """
    products = load_products(folder)
    maps = open_maps(region, folder)
    root = build_catalog(maps, products)
    pictures = {thumbnail_name(product): _draw_thumbnail(folder, product) for product in products}
    for name, picture in pictures.items():
        folder.write_bytes(name, picture)
    texts = {_name(entry): entry for entry in [*root.get_items(recursive=True), *root.get_children(), root]}
    for name, entry in texts.items():
        folder.write_json(name, _content(entry))
    _remove_all_but(folder, {*pictures, *texts})
    return folder.address(ADDRESS)


def build_catalog(maps: Maps, products: Iterable[Product]) -> pystac.Collection:
    """The collection of products, with the collection of passes as its child."""
    region = maps.region
    root = _collection(region, region.name, title_of(region), _description(maps))
    # hrefs start at a root that no reader sees: all that is written is relative
    root.set_self_href(f"/{ADDRESS}")
    passes = _collection(
        region,
        f"{region.name}-passes",
        f"Passes over {title_of(region)}",
        "The detected images that the coherence was estimated from, one item a pass; the passes of a track share one "
        f"Zarr stack. {attribution(maps)}",
    )
    root.add_child(passes, strategy=LAYOUT)
    by_start = {}
    for track, entries in maps.stacks.passes.items():
        for entry in entries.values():
            item = by_start[str(track), str(entry["start"])] = pass_item(maps, track, entry)
            passes.add_item(item, title=str(item.properties["title"]), strategy=LAYOUT)
    made = [(product, product_item(maps, product, f"../thumbnails/{product.id}.png")) for product in products]
    items = {product.id: item for product, item in made}
    for product, item in made:
        root.add_item(item, title=product.title, strategy=LAYOUT)
        link_origins(item, product, by_start, items)
    _summarise(root, list(items.values()))
    _summarise(passes, list(by_start.values()))
    return root


def title_of(region: Region) -> str:
    """The region's title, or its name."""
    return region.config.title or region.name


def attribution(maps: Maps) -> str:
    """What the data are and whom they come from, in the words that the Copernicus terms ask for."""
    return credit(
        maps.region, {start.year for pair in maps.pairs for start in (pair.reference_start, pair.secondary_start)}
    )


def credit(region: Region, years: Collection[int]) -> str:
    """The same, for images of the given years."""
    if region.config.source.kind == "simulated":
        return "Simulated data: no satellite saw this landscape."
    first, last = min(years), max(years)
    span = f"{first}" if first == last else f"{first}-{last}"
    return f"Contains modified Copernicus Sentinel data {span}."


def thumbnail_name(product: Product) -> str:
    """The file of a product's small picture, below the output folder."""
    return f"{ROOT}/thumbnails/{product.id}.png"


def _description(maps: Maps) -> str:
    return (
        f"InSAR coherence of {title_of(maps.region)}, estimated from pairs of detected images by cohmap {__version__}. "
        f"{attribution(maps)}"
    )


def _collection(region: Region, name: str, title: str, description: str) -> pystac.Collection:
    simulated = ["simulated"] if region.config.source.kind == "simulated" else []
    # the extent is set when the items are known
    nowhere = pystac.Extent(pystac.SpatialExtent([[0.0] * 4]), pystac.TemporalExtent([None, None]))
    return pystac.Collection(
        id=name,
        title=title,
        description=description,
        extent=nowhere,
        license="other",
        keywords=["InSAR", "coherence", "Sentinel-1", *simulated],
        catalog_type=pystac.CatalogType.SELF_CONTAINED,
    )


def _summarise(collection: pystac.Collection, items: list[pystac.Item]) -> None:
    """Extent and summaries of a collection, from its items."""
    boxes = np.array([item.bbox for item in items])
    bounds = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    moments = [moment for item in items for moment in _moments(item)]
    collection.extent = pystac.Extent(
        pystac.SpatialExtent([bounds]), pystac.TemporalExtent([min(moments), max(moments)])
    )
    for key in SUMMARISED:
        found = [item.properties[key] for item in items if key in item.properties]
        values = sorted({value for each in found for value in (each if isinstance(each, list) else [each])})
        if values:
            collection.summaries.add(key, values)
    key = "insar:temporal_baseline"
    days = [item.properties[key] for item in items if key in item.properties]
    if days:
        collection.summaries.add(key, pystac.RangeSummary(min(days), max(days)))


def _moments(item: pystac.Item) -> list[dt.datetime]:
    if item.datetime is not None:
        return [item.datetime]
    return [dt.datetime.fromisoformat(item.properties[key]) for key in ("start_datetime", "end_datetime")]


def _draw_thumbnail(folder: Folder, product: Product) -> bytes:
    image = read_cog(folder.address(product.path), longest=THUMBNAIL_PIXELS)
    return thumbnail(image, style_of(product, image))


def _name(entry: pystac.STACObject) -> str:
    return str(entry.get_self_href()).removeprefix("/")


def _content(entry: pystac.STACObject) -> dict[str, Any]:
    return entry.to_dict(include_self_link=False)


def _remove_all_but(folder: Folder, names: set[str]) -> None:
    filesystem, root = url_to_fs(folder.absolute)
    base = f"{root.rstrip('/')}/"
    for path in filesystem.find(f"{base}{ROOT}"):
        name = str(path).removeprefix(base)
        if name not in names:
            folder.remove(name)
