"""STAC items as scenes: item collections, items, catalogues and folders of items, on any filesystem."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from pipeline.addresses import local_path
from pipeline.errors import CohmapError
from pipeline.passes import Direction
from pipeline.sources.archive import files
from pipeline.sources.archive.names import POLARISATIONS, RASTER_SUFFIXES
from pipeline.sources.archive.scenes import Scene, platform_code

_SUFFIXES = (".json", ".geojson")


def scenes(uri: str, requests: int) -> list[Scene]:
    """Every item below a STAC file or a folder that has an asset of a known polarisation.

    Raises
    ------
    CohmapError
        There is no such file, it is no STAC, it has no such item, or an item lacks its date.
    """
    single = uri.lower().endswith(_SUFFIXES)
    hrefs = [local_path(uri) or uri] if single else [entry.href for entry in files.listing(uri, _SUFFIXES)]
    with ThreadPoolExecutor(requests) as pool:
        documents = list(pool.map(files.read_json, hrefs))
    found: dict[str, Scene] = {}
    items = 0
    for href, document in zip(hrefs, documents, strict=True):
        # the listing of a folder already has what catalogues in it would link to
        for item, base in _items(document, href, follow=single, seen=set()):
            items += 1
            polarisations = _polarisations(item.get("assets") or {}, base)
            if polarisations:
                scene = _scene(item, base, polarisations)
                found.setdefault(scene.id, scene)
    if not found:
        raise CohmapError(
            f"source.path {uri}: none of {items} STAC items in {len(hrefs)} JSON files has an asset named vv, vh, hh "
            "or hv (or with sar:polarizations); give an item, an item collection, a catalogue or a folder of items"
        )
    return list(found.values())


def _items(document: Any, href: str, *, follow: bool, seen: set[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Items of a document, each with the address that its relative links start from."""
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "Feature":
        yield document, href
    elif kind == "FeatureCollection":
        for item in document.get("features", []):
            yield item, _self_link(item) or href
    elif follow and isinstance(document, dict) and "links" in document:
        seen.add(href)
        for link in document["links"]:
            if link.get("rel") not in {"item", "child"}:
                continue
            target = files.absolute(link.get("href", ""), href)
            if target not in seen:
                yield from _items(files.read_json(target), target, follow=True, seen=seen)


def _self_link(item: Mapping[str, Any]) -> str | None:
    return next((link.get("href") for link in item.get("links", []) if link.get("rel") == "self"), None)


def _scene(item: Mapping[str, Any], base: str, hrefs: dict[str, str]) -> Scene:
    name = str(item.get("id", base))
    properties: Mapping[str, Any] = item.get("properties") or {}
    moment = properties.get("start_datetime") or properties.get("datetime")
    try:
        start = dt.datetime.fromisoformat(str(moment))
    except ValueError:
        raise CohmapError(f"STAC item {name} in {base} has no usable datetime ({moment}); mend the item") from None
    start = start.replace(tzinfo=dt.UTC) if start.tzinfo is None else start.astimezone(dt.UTC)
    platform = properties.get("platform")
    return Scene(
        id=name,
        order=start.isoformat(),
        start=start,
        timed=True,
        platform=platform_code(platform) if platform else None,
        relative_orbit=properties.get("sat:relative_orbit"),
        direction=_direction(properties.get("sat:orbit_state")),
        hrefs=hrefs,
        version=str(properties.get("processing:version") or properties.get("version") or ""),
        updated=str(properties.get("updated") or properties.get("created") or ""),
        outline=_outline(item.get("geometry")),
    )


def _direction(state: object) -> Direction | None:
    if state == "ascending":
        return "ascending"
    return "descending" if state == "descending" else None


def _polarisations(assets: Mapping[str, Mapping[str, Any]], base: str) -> dict[str, str]:
    """Address of each polarisation: by the asset's key, else by sar:polarizations."""
    named: dict[str, str] = {}
    told: dict[str, str] = {}
    for key, asset in sorted(assets.items()):
        href = str(asset.get("href", ""))
        declared = asset.get("sar:polarizations") or []
        if key.upper() in POLARISATIONS:
            named[key.upper()] = files.absolute(href, base)
        elif len(declared) == 1 and declared[0] in POLARISATIONS and _is_raster(asset, href):
            told.setdefault(declared[0], files.absolute(href, base))
    return told | named


def _is_raster(asset: Mapping[str, Any], href: str) -> bool:
    media = str(asset.get("type") or "")
    return media.startswith("image/tiff") or (not media and href.lower().endswith(RASTER_SUFFIXES))


def _outline(geometry: dict[str, Any] | None) -> BaseGeometry | None:
    """The item's geometry where it can be used; it is only a hint, the raster's header has the last word."""
    if not geometry:
        return None
    try:
        drawn = shape(geometry)
    except (shapely.errors.ShapelyError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return drawn if drawn.is_valid and not drawn.is_empty else None
