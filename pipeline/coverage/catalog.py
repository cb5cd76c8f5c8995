"""STAC of a coverage study: one collection beside its maps, one item a map."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import pystac
from shapely.geometry import mapping

from pipeline import __version__
from pipeline.items import COMMON, RASTER, footprint, grid_fields
from pipeline.products import Product
from pipeline.region import Region
from pipeline.storage import Folder

ROOT = "coverage"
ADDRESS = f"{ROOT}/collection.json"
# The coverage has no radar of its own: of the common extensions it takes the ones that say where and from what.
EXTENSIONS = [name for name in COMMON if "/projection/" in name or "/processing/" in name] + [RASTER]


def write_catalog(region: Region, folder: Folder, products: Sequence[Product]) -> str:
    """Write the collection and its items; items of maps that are no longer made are removed.

    Returns
    -------
    address
        Path or URI of the collection.
    """
    items = [_item(region, product) for product in products]
    collection = _collection(region, items)
    before = _items_of(folder)
    for item in items:
        folder.write_json(f"{ROOT}/items/{item.id}.json", item.to_dict(include_self_link=False))
    folder.write_json(ADDRESS, collection)
    for name in before - {f"{ROOT}/items/{item.id}.json" for item in items}:
        folder.remove(name)
    return folder.address(ADDRESS)


def _items_of(folder: Folder) -> set[str]:
    """Items of the collection that is there."""
    if not folder.exists(ADDRESS):
        return set()
    links = folder.read_json(ADDRESS).get("links", [])
    return {f"{ROOT}/{PurePosixPath(link['href'])}" for link in links if link.get("rel") == "item"}


def _item(region: Region, product: Product) -> pystac.Item:
    outline = footprint(region, region.tiles)
    bands = [
        {"name": band.name, "description": band.description, "data_type": "float32", "nodata": "nan"}
        for band in product.bands
    ]
    item = pystac.Item(
        id=product.id,
        geometry=dict(mapping(outline)),
        bbox=[float(edge) for edge in outline.bounds],
        datetime=None,
        properties={
            "title": product.title,
            "start_datetime": product.reference,
            "end_datetime": product.secondary,
            "gsd": region.config.grid.spacing,
            **grid_fields(region),
            "processing:lineage": "Counted from acquisition metadata; coherence and noise follow from a decay model",
            "processing:software": {"cohmap": __version__},
            **{f"cohmap:{name}": value for name, value in product.properties.items()},
        },
        stac_extensions=EXTENSIONS,
        assets={
            "coverage": pystac.Asset(
                href=f"../../{product.path}",
                title=product.title,
                media_type=pystac.MediaType.COG,
                roles=["data"],
                extra_fields={
                    "bands": bands,
                    "raster:sampling": "area",
                    "raster:spatial_resolution": region.config.grid.spacing,
                },
            )
        },
    )
    link = {"rel": "collection", "href": "../collection.json", "type": pystac.MediaType.JSON}
    item.collection_id = f"{region.name}-coverage"
    item.add_link(pystac.Link("collection", link["href"], link["type"]))
    return item


def _collection(region: Region, items: Sequence[pystac.Item]) -> Mapping[str, Any]:
    title = region.config.title or region.name
    starts = [dt.datetime.fromisoformat(item.properties["start_datetime"]) for item in items]
    ends = [dt.datetime.fromisoformat(item.properties["end_datetime"]) for item in items]
    box = items[0].bbox or []
    collection = pystac.Collection(
        id=f"{region.name}-coverage",
        title=f"Coverage of {title}",
        description=f"Passes, pairs, gaps and expected coherence over {title}, by cohmap {__version__}.",
        license="other",
        extent=pystac.Extent(pystac.SpatialExtent([box]), pystac.TemporalExtent([[min(starts), max(ends)]])),
    )
    for item in items:
        title = str(item.properties["title"])
        collection.add_link(pystac.Link("item", f"./items/{item.id}.json", "application/geo+json", title))
    return collection.to_dict(include_self_link=False)
