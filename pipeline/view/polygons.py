"""Polygons that lie among the products: GeoJSON, and GeoPackage where no GeoJSON of the same name stands beside it."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from odc.geo import CRS
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj.exceptions import CRSError
from shapely.geometry import MultiPolygon, Polygon, shape
from shapely.geometry.base import BaseGeometry

from pipeline.errors import CohmapError
from pipeline.region import moved
from pipeline.storage import Folder

FOLDER = "products/change"
# A browser draws about so many smoothly; the largest are kept.
MOST = 5000
# What a file that isn't what its name says makes the readers raise.
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    CRSError,
    shapely.errors.ShapelyError,
    DataLayerError,
    DataSourceError,
)


@dataclass(frozen=True)
class Patch:
    """One polygon, or several of one feature.

    Attributes
    ----------
    geometry
        In the view's CRS.
    facts
        The feature's properties.
    source
        Name of the file.
    """

    geometry: MultiPolygon
    facts: Mapping[str, Any]
    source: str

    @property
    def about(self) -> str:
        """Its properties as lines of plain text."""
        return "\n".join(f"{key}: {_text(value)}" for key, value in self.facts.items() if value is not None)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:200]


def read_patches(folder: Folder, crs: str) -> list[Patch]:
    """All polygons below ``products/change``, largest first; none is fine.

    Parameters
    ----------
    crs
        The view's.

    Raises
    ------
    CohmapError
        A file is damaged.
    """
    names = folder.names(FOLDER)
    texts = [name for name in names if name.endswith(".geojson")]
    packages = [name for name in names if name.endswith(".gpkg")]
    packages = [name for name in packages if name.removesuffix(".gpkg") + ".geojson" not in texts]
    found: list[Patch] = []
    for name in [*texts, *packages]:
        reader = _geojson if name in texts else _geopackage
        try:
            for geometry, facts, own in reader(folder, f"{FOLDER}/{name}"):
                same = CRS(own) == CRS(crs)
                placed = shapely.make_valid(geometry if same else moved(geometry, CRS(own), CRS(crs)))
                parts = [part for part in shapely.get_parts(placed) if isinstance(part, Polygon) and not part.is_empty]
                if parts:
                    found.append(Patch(MultiPolygon(parts), facts, name))
        except _DAMAGE as error:
            raise CohmapError(
                f"{folder.address(f'{FOLDER}/{name}')} can't be read ({error}); delete it and run `cohmap change` again"
            ) from None
    return sorted(found, key=lambda patch: -patch.geometry.area)


def _geojson(folder: Folder, name: str) -> Iterator[tuple[BaseGeometry, dict[str, Any], str]]:
    content = json.loads(folder.read_bytes(name))
    # the standard says degrees; older writers name another system
    named = content.get("crs") or {}
    own = str(named.get("properties", {}).get("name", "EPSG:4326"))
    for feature in content["features"]:
        if feature["geometry"]:
            yield shape(feature["geometry"]), dict(feature.get("properties") or {}), own


def _geopackage(folder: Folder, name: str) -> Iterator[tuple[BaseGeometry, dict[str, Any], str]]:
    with tempfile.TemporaryDirectory() as scratch:
        path = folder.local / name if folder.local else Path(scratch) / "polygons.gpkg"
        if not folder.local:
            path.write_bytes(folder.read_bytes(name))
        for layer, kind in pyogrio.list_layers(path):
            if kind is None:
                continue  # a table without shapes
            about, _, shapes, columns = pyogrio.raw.read(path, layer=layer, datetime_as_string=True)
            for packed, *values in zip(shapes, *columns, strict=True):
                if packed is not None:
                    facts = {key: _known(value) for key, value in zip(about["fields"], values, strict=True)}
                    yield shapely.from_wkb(packed), facts, about["crs"]


def _known(value: Any) -> Any:
    """A value of a column as Python's own; a column of numbers says by NaN where a row has none."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain


def outlines(patches: list[Patch]) -> dict[str, list[Any]]:
    """Columns for a glyph of polygons with holes: corners by polygon, then outer ring and holes."""
    columns: dict[str, list[Any]] = {"xs": [], "ys": [], "about": []}
    for patch in patches[:MOST]:
        for key, axis in (("xs", 0), ("ys", 1)):
            columns[key].append(
                [
                    [np.asarray(ring.coords)[:-1, axis].tolist() for ring in (part.exterior, *part.interiors)]
                    for part in patch.geometry.geoms
                ]
            )
        columns["about"].append(patch.about)
    return columns
