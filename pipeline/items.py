"""STAC items of passes and products: what each says of itself, in the fields of STAC 1.1 and its extensions.

Estimators are described by `processing:software` and `processing:lineage`. The Machine Learning Model extension is left
out: it describes a model that can be loaded and run, not a map that one made, and a classical estimator is no model.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pystac
import shapely
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from models.change.sequence import NAMES as STATES
from pipeline import __version__
from pipeline.export import stack_name, unit_key, variable_name
from pipeline.mosaic import Maps
from pipeline.passes import Pair, Track
from pipeline.products import NO_CLASS, Product
from pipeline.quicklook import QUALITIES
from pipeline.region import Region, Tile, crs_of, to_degrees

_EXTENSIONS = "https://stac-extensions.github.io"
COMMON = tuple(
    f"{_EXTENSIONS}/{name}/schema.json"
    for name in ("projection/v2.0.0", "sar/v1.3.0", "sat/v1.2.0", "processing/v1.2.0", "product/v1.0.0")
)
RASTER, INSAR = f"{_EXTENSIONS}/raster/v2.0.0/schema.json", f"{_EXTENSIONS}/insar/v1.0.0/schema.json"
ZARR, CLASSES = f"{_EXTENSIONS}/zarr/v1.1.0/schema.json", f"{_EXTENSIONS}/classification/v1.1.0/schema.json"

# What these sources and layouts hold; of a user's own pattern or STAC nobody knows.
PASS_TYPES = {"earthengine": "GRD", "simulated": "GRD", "opera-rtc": "RTC", "hyp3-rtc": "RTC"}
CHANGES = {0: "no change", 1: "change"}
FILE_TYPES = {"gpkg": "application/geopackage+sqlite3", "geojson": "application/geo+json", "csv": "text/csv"}
# Centre frequency of Sentinel-1's C-band instrument in GHz (ESA, Sentinel-1 product specification).
CENTRE_FREQUENCY = 5.405
# Coordinates of footprints in degrees are rounded to this many decimals, about 0.1 m.
DECIMALS = 6


def pass_item(maps: Maps, track: Track, entry: Mapping[str, Any]) -> pystac.Item:
    """The item of one pass; `entry` is its record in the stack. Its asset is the track's whole Zarr stack."""
    region = maps.region
    source = region.config.source
    records = {tile: maps.stacks.exported.get(unit_key(track, entry["id"], tile)) for tile in region.tiles}
    outline = footprint(region, [tile for tile, record in records.items() if record and record["valid"] > 0])
    kinds = [PASS_TYPES.get(key) for key in (source.kind, str(getattr(source, "layout", "")))]
    bands = [
        {"name": variable_name(band), "description": _band_text(band), "data_type": "float32", "nodata": "nan"}
        for band in region.bands
    ]
    stack = pystac.Asset(
        href=f"../../../{stack_name(track)}",
        title=f"Stack of {track}; this pass is the step {entry['start']} of its axis `time`",
        media_type=pystac.MediaType.ZARR,
        roles=["data"],
        extra_fields={"bands": bands, "zarr:consolidated": True, "zarr:node_type": "group", "zarr:zarr_format": 3},
    )
    return pystac.Item(
        id=str(entry["id"]),
        geometry=_geometry(outline),
        bbox=_bounds(outline),
        datetime=dt.datetime.fromisoformat(entry["start"]),
        properties={
            "title": f"Pass of {entry['start'][:10]}, {track}",
            **_instrument(region, {str(entry["platform"])}),
            **grid_fields(region),
            **_track_fields(track),
            "sar:polarizations": list(region.config.passes.polarisations),
            "product:type": next((kind for kind in kinds if kind), "detected image"),
            "processing:lineage": f"Read from the source '{source.kind}' onto the region's grid, no speckle filter",
            "processing:software": {"cohmap": __version__},
            "cohmap:source_assets": [str(asset["id"]) for asset in entry["assets"]],
        },
        stac_extensions=[*COMMON, ZARR],
        assets={"stack": stack},
    )


def product_item(maps: Maps, product: Product, thumbnail: str) -> pystac.Item:
    """The item of one product; `thumbnail` is the href of its small picture."""
    region = maps.region
    by_key = {f"{pair.track}/{pair.id}": pair for pair in maps.pairs}
    pairs = [by_key[key] for key in product.pairs if key in by_key]
    outline = footprint(region, maps.tiles(pairs) if pairs else region.tiles)
    tracks = sorted({pair.track for pair in pairs})
    estimator, _, version = product.estimator.partition(" ")
    span = {"start_datetime": _utc(product.reference), "end_datetime": _utc(product.secondary)}
    properties = {
        "title": product.title,
        **span,
        **_instrument(region, {name for pair in pairs for name in _platforms(maps, pair)}),
        **grid_fields(region),
        **(_track_fields(tracks[0]) if len(tracks) == 1 else {}),
        "sar:polarizations": product.polarisation.split("+"),
        "product:type": product.kind.upper(),
        **({"insar:temporal_baseline": product.days} if product.days else {}),
        "processing:level": "L4" if product.is_classes else "L3",
        "processing:lineage": f"Estimated from detected images, without phase, with {product.estimator}",
        "processing:software": {"cohmap": __version__, estimator: version or "unknown"},
        "cohmap:pairs": list(product.pairs),
        **{f"cohmap:{name}": value for name, value in product.properties.items()},
    }
    if product.kind == "coherence":  # anything else has more than one reference and secondary
        properties["insar:reference_datetime"] = span["start_datetime"]
        properties["insar:secondary_datetime"] = span["end_datetime"]
    return pystac.Item(
        id=product.id,
        geometry=_geometry(outline),
        bbox=_bounds(outline),
        datetime=None,
        properties=properties,
        # an item of that extension must have a field of it, and a decay has neither two dates nor one baseline
        stac_extensions=[
            *COMMON,
            RASTER,
            *([INSAR] if any(name.startswith("insar:") for name in properties) else []),
            *([CLASSES] if product.is_classes else []),
        ],
        assets={
            product.kind: _map_asset(region, product),
            **{name: _file_asset(product, name, path) for name, path in product.files.items()},
            "thumbnail": pystac.Asset(thumbnail, media_type=pystac.MediaType.PNG, roles=["thumbnail"]),
        },
    )


def _map_asset(region: Region, product: Product) -> pystac.Asset:
    kind: dict[str, Any] = {"data_type": "float32", "nodata": "nan"}
    fields: dict[str, Any] = {}
    if product.is_classes:
        kind = {"data_type": "uint8", "nodata": NO_CLASS}
        fields["classification:classes"] = _classes(product)
    sampling = {"raster:sampling": "area", "raster:spatial_resolution": region.config.grid.spacing}
    fields["bands"] = [
        {"name": band.name, "description": band.description, **kind, **sampling} for band in product.bands
    ]
    return pystac.Asset(
        href=f"../../{product.path}",
        title=product.title,
        media_type=pystac.MediaType.COG,
        roles=["data", _role(product)],
        extra_fields=fields,
    )


def _classes(product: Product) -> list[dict[str, Any]]:
    if product.kind == "decay-quality":
        return [
            {"value": int(kind), "name": kind.name.lower(), "description": text}
            for kind, (text, _) in QUALITIES.items()
        ]
    return [
        {"value": value, "name": re.sub(r"\W+", "_", text), "description": text}
        for value, text in (STATES if product.kind == "change-state" else CHANGES).items()
    ]


def _role(product: Product) -> str:
    if product.kind.startswith("decay"):
        return "decay"
    return "change" if product.kind.startswith("change") else "coherence"


def _file_asset(product: Product, name: str, path: str) -> pystac.Asset:
    """A table or a set of polygons beside the map."""
    kind = FILE_TYPES[path.rsplit(".", 1)[-1]]
    return pystac.Asset(f"../../{path}", title=f"{product.title}: {name}", media_type=kind, roles=["data"])


def link_origins(
    item: pystac.Item,
    product: Product,
    passes: Mapping[tuple[str, str], pystac.Item],
    items: Mapping[str, pystac.Item],
) -> None:
    """Link a product's item to what it was made from.

    Parameters
    ----------
    passes
        Items of passes by (track, start); a coherence item links to its two as "reference" and "secondary".
    items
        Items of products by id; a mean or a change links to the coherence items of its pairs, where they are.
    """
    origins: list[tuple[str, pystac.Item]] = []
    if product.kind == "coherence":
        ends = (("reference", product.reference), ("secondary", product.secondary))
        found = [(role, passes[product.track, start]) for role, start in ends if (product.track, start) in passes]
        origins = [*found, *(("derived_from", origin) for _, origin in found)]
    else:
        for key, polarisation in itertools.product(product.pairs, product.polarisation.split("+")):
            name = f"coherence-{key.replace('/', '-')}-{variable_name(polarisation)}"
            if name in items:
                origins.append(("derived_from", items[name]))
    for role, origin in origins:
        item.add_link(pystac.Link(role, origin, pystac.MediaType.GEOJSON, str(origin.properties["title"])))


def footprint(region: Region, tiles: Sequence[Tile]) -> BaseGeometry:
    """Outline in EPSG:4326 of the given tiles (of the grid where there are none), cut to the area where maps are."""
    union = shapely.union_all(region.outlines(tiles) if tiles else [box(*region.grid.boundingbox.bbox)])
    if region.config.products.clip and union.intersects(region.area_on_grid):
        union = union.intersection(region.area_on_grid)
    return shapely.orient_polygons(to_degrees(union, crs_of(region.grid), DECIMALS))


def _geometry(outline: BaseGeometry) -> dict[str, Any]:
    return dict(json.loads(shapely.to_geojson(outline)))


def _bounds(outline: BaseGeometry) -> list[float]:
    return [float(edge) for edge in outline.bounds]


def _platforms(maps: Maps, pair: Pair) -> set[str]:
    entries = maps.stacks.passes[pair.track]
    return {str(entries[name]["platform"]) for name in (pair.reference, pair.secondary)}


def _instrument(region: Region, platforms: set[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "gsd": region.config.grid.spacing,
        "sar:instrument_mode": "IW",
        "sar:frequency_band": "C",
        "sar:center_frequency": CENTRE_FREQUENCY,
    }
    if region.config.source.kind == "simulated":
        return {"platform": "simulated", **fields}
    names = [f"sentinel-1{name[2:].lower()}" if name.startswith("S1") else name.lower() for name in platforms]
    # the common field holds one platform; where two flew, the constellation has to do
    one = {"platform": names[0]} if len(names) == 1 else {}
    return {**one, "constellation": "sentinel-1", "instruments": ["c-sar"], **fields}


def _track_fields(track: Track) -> dict[str, Any]:
    return {"sat:orbit_state": track.direction, "sat:relative_orbit": track.relative_orbit}


def grid_fields(region: Region) -> dict[str, Any]:
    """Where a map of the region lies, in the fields of STAC's projection extension."""
    grid = region.grid
    return {
        "proj:code": str(grid.crs),
        "proj:shape": list(grid.shape),
        "proj:transform": [float(value) for value in list(grid.affine)[:6]],
        "proj:bbox": [float(edge) for edge in grid.boundingbox.bbox],
    }


def _band_text(band: str) -> str:
    return "approximate incidence angle in degrees" if band == "angle" else f"backscatter {band}, linear power"


def _utc(moment: str) -> str:
    return dt.datetime.fromisoformat(moment).astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
