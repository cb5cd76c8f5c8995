"""Polygons that lie among the products: GeoJSON, and GeoPackage where no GeoJSON of the same name stands beside it."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo import CRS
from pyproj.exceptions import CRSError
from shapely.geometry import MultiPolygon, Polygon, shape
from shapely.geometry.base import BaseGeometry

from pipeline.errors import CohmapError
from pipeline.storage import Folder

FOLDER = "products/change"
# A browser draws about so many smoothly; the largest are kept.
MOST = 5000
# Bytes of a GeoPackage geometry's envelope, by the code in its flags.
_ENVELOPES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}


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
                placed = shapely.make_valid(_move(geometry, own, crs))
                parts = [part for part in shapely.get_parts(placed) if isinstance(part, Polygon) and not part.is_empty]
                if parts:
                    found.append(Patch(MultiPolygon(parts), facts, name))
        except (ValueError, KeyError, TypeError, AttributeError, CRSError, shapely.errors.ShapelyError) as error:
            raise _damaged(folder, name, error) from None
        except (sqlite3.Error, IndexError) as error:
            raise _damaged(folder, name, error) from None
    return sorted(found, key=lambda patch: -patch.geometry.area)


def _damaged(folder: Folder, name: str, error: Exception) -> CohmapError:
    return CohmapError(
        f"{folder.address(f'{FOLDER}/{name}')} can't be read ({error}); delete it and run `cohmap change` again"
    )


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
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            columns = database.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall()
            systems = {
                row[0]: f"{row[1]}:{row[2]}"
                for row in database.execute(
                    "SELECT srs_id, organization, organization_coordsys_id FROM gpkg_spatial_ref_sys"
                )
            }
            for table, column in columns:
                quoted = '"' + table.replace('"', '""') + '"'
                for row in database.execute(f"SELECT * FROM {quoted}"):  # noqa: S608 - quoted as SQL asks for
                    if row[column] is not None:
                        facts = {key: row[key] for key in row.keys() if key not in {column, "fid"}}  # noqa: SIM118
                        geometry, system = _unpack(row[column])
                        yield geometry, facts, systems[system]


def _unpack(blob: bytes) -> tuple[BaseGeometry, int]:
    """A GeoPackage geometry (OGC 12-128r18, clause 2.1.3) and the number of its reference system."""
    if blob[:2] != b"GP":
        raise ValueError("a geometry is not one of a GeoPackage")
    flags = blob[3]
    system = int.from_bytes(blob[4:8], "little" if flags & 1 else "big", signed=True)
    return shapely.from_wkb(blob[8 + _ENVELOPES[flags >> 1 & 7] :]), system


def _move(geometry: BaseGeometry, own: str, crs: str) -> BaseGeometry:
    if CRS(own) == CRS(crs):
        return geometry
    transform = CRS(own).transformer_to_crs(CRS(crs))

    def move(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.column_stack(transform(points[:, 0], points[:, 1]))

    return shapely.transform(geometry, move)


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
