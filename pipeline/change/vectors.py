"""Polygons as files: GeoPackage in the grid's CRS, GeoJSON in degrees; by pyogrio, without geopandas."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from pipeline.region import crs_of, to_degrees
from pipeline.storage import Folder

# The time of writing stands in every GeoPackage; a fixed one makes equal content equal bytes.
_WRITTEN = "2000-01-01T00:00:00.000Z"
DECIMALS = 7


def write_polygons(
    folder: Folder, stem: str, outlines: Sequence[BaseGeometry], rows: Sequence[Mapping[str, Any]], grid: GeoBox
) -> dict[str, str]:
    """Write ``STEM.gpkg`` and ``STEM.geojson``; gives their paths by format.

    Parameters
    ----------
    outlines
        Polygons in the grid's CRS.
    rows
        Attributes of each polygon, of the same names; text, whole numbers or numbers.
    """
    paths = {"geopackage": f"{stem}.gpkg", "geojson": f"{stem}.geojson"}
    folder.write_bytes(paths["geopackage"], _geopackage(outlines, rows, grid, stem.rsplit("/", 1)[-1]))
    folder.write_bytes(paths["geojson"], _geojson(outlines, rows, grid))
    return paths


def _geopackage(outlines: Sequence[BaseGeometry], rows: Sequence[Mapping[str, Any]], grid: GeoBox, layer: str) -> bytes:
    stream = io.BytesIO()
    names = list(rows[0]) if rows else ["id"]
    columns = [_column([row[name] for row in rows]) for name in names]
    many: list[bytes] = [shapely.to_wkb(MultiPolygon(shapely.get_parts(each).tolist())) for each in outlines]
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _WRITTEN})
    try:
        pyogrio.raw.write(
            stream,
            np.array(many, dtype=np.object_),
            columns,
            names,
            layer=layer,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=str(crs_of(grid)),
        )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    return stream.getvalue()


def _column(values: list[Any]) -> npt.NDArray[Any]:
    if values and all(isinstance(value, int) for value in values):
        return np.array(values, dtype=np.int64)
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    return np.array(values, dtype=np.float64)


def _geojson(outlines: Sequence[BaseGeometry], rows: Sequence[Mapping[str, Any]], grid: GeoBox) -> bytes:
    crs = crs_of(grid)
    features = [
        {
            "type": "Feature",
            "id": row["id"],
            "properties": {name: None if isinstance(v, float) and not np.isfinite(v) else v for name, v in row.items()},
            "geometry": json.loads(shapely.to_geojson(shapely.orient_polygons(to_degrees(outline, crs, DECIMALS)))),
        }
        for outline, row in zip(outlines, rows, strict=True)
    ]
    return (json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False) + "\n").encode()
