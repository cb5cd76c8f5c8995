"""Polygons as files: GeoPackage in the grid's CRS, GeoJSON in degrees; by pyogrio, without geopandas."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from odc.geo.geobox import GeoBox
from pyogrio.errors import DataLayerError, DataSourceError
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from pipeline.errors import CohmapError
from pipeline.region import crs_of, to_degrees
from pipeline.storage import Folder

# The time of writing stands in every GeoPackage; a fixed one makes equal content equal bytes.
_WRITTEN = "2000-01-01T00:00:00.000Z"
DECIMALS = 7


def write_polygons(
    folder: Folder, stem: str, outlines: Sequence[BaseGeometry], row: Callable[[int], Mapping[str, Any]], grid: GeoBox
) -> dict[str, str]:
    """Write ``STEM.gpkg`` and ``STEM.geojson``; gives their paths by format.

    Parameters
    ----------
    outlines
        Polygons in the grid's CRS.
    row
        Gives the attributes of the polygon of a number, counted from 0: of the same names each; text, whole numbers or
        numbers. They are asked for one by one, as all of them at once are most of what a large region takes.
    """
    paths = {"geopackage": f"{stem}.gpkg", "geojson": f"{stem}.geojson"}
    with _explained(folder.address(paths["geopackage"])), folder.staged(paths["geopackage"]) as target:
        draft = target.with_name(f"{target.name}.gpkg")  # GDAL asks for this ending; in memory it would be there thrice
        try:
            _write_geopackage(draft, outlines, row, grid, stem.rsplit("/", 1)[-1])
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    with folder.staged(paths["geojson"]) as target, target.open("w", encoding="utf-8") as stream:
        write_geojson(stream, outlines, row, grid)
    return paths


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except (DataSourceError, DataLayerError) as error:
        reason = str(error).splitlines()[0]
        raise CohmapError(f"{where} can't be written ({reason}); make room there, then run again") from None


def _write_geopackage(
    path: Path, outlines: Sequence[BaseGeometry], row: Callable[[int], Mapping[str, Any]], grid: GeoBox, layer: str
) -> None:
    values: dict[str, list[Any]] = {}
    for number in range(len(outlines)):
        for name, value in row(number).items():
            values.setdefault(name, []).append(value)
    values = values or {"id": []}
    many: list[bytes] = [shapely.to_wkb(MultiPolygon(shapely.get_parts(each).tolist())) for each in outlines]
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _WRITTEN})
    try:
        pyogrio.raw.write(
            path,
            np.array(many, dtype=np.object_),
            [_column(column) for column in values.values()],
            list(values),
            layer=layer,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=str(crs_of(grid)),
        )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _column(values: list[Any]) -> npt.NDArray[Any]:
    if values and all(isinstance(value, int) for value in values):
        return np.array(values, dtype=np.int64)
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    return np.array(values, dtype=np.float64)


def write_geojson(
    stream: TextIO, outlines: Sequence[BaseGeometry], row: Callable[[int], Mapping[str, Any]], grid: GeoBox
) -> None:
    """Write polygons as `write_polygons` does, in degrees, one feature after the other.

    Coordinates as Python's numbers take many times their place in the file, so no more than one feature is held.
    """
    crs = crs_of(grid)
    stream.write('{"type": "FeatureCollection", "features": [')
    for number, outline in enumerate(outlines):
        facts = row(number)
        feature = {
            "type": "Feature",
            "id": facts["id"],
            "properties": {
                name: None if isinstance(v, float) and not np.isfinite(v) else v for name, v in facts.items()
            },
            "geometry": json.loads(shapely.to_geojson(shapely.orient_polygons(to_degrees(outline, crs, DECIMALS)))),
        }
        stream.write(", " if number else "")
        stream.write(json.dumps(feature, ensure_ascii=False))
    stream.write("]}\n")
