"""GeoTIFFs as an image export writes them: cut into files, each a cloud-optimised GeoTIFF, named by place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.images import Image, PixelGrid

MOST_PIXELS = 1e8
MOST_FILE_BYTES = 17179869184
SHARD_SIZE = 256


def check_request(body: Mapping[str, Any]) -> None:
    """Refuse what Earth Engine refuses at once."""
    options = body["fileExportOptions"]
    if options["fileFormat"] != "GEO_TIFF" or not options["geoTiffOptions"].get("cloudOptimized"):
        raise EarthEngineError("stand-in: exports other than cloud-optimised GeoTIFF are not simulated")
    size = options["geoTiffOptions"]["tileDimensions"]
    if size["width"] % SHARD_SIZE or size["height"] % SHARD_SIZE:
        raise EarthEngineError(f"Tile dimensions must be a multiple of the tile size ({SHARD_SIZE}).")


def write_shards(image: Image, body: Mapping[str, Any], bucket: Path) -> list[Path]:
    """The files of one export, the image's first row and column in their names where there are several.

    Belief: an image that fits into one file gets a plain name.
    """
    (grid,) = {band.native for band in image.bands.values()}
    if grid is None:
        raise EarthEngineError("stand-in: an export without a grid of its own is not simulated")
    pixels = grid.width * grid.height
    most = float(body.get("maxPixels", {}).get("value", MOST_PIXELS))
    if pixels > most:
        raise EarthEngineError(f"Export too large: specified {pixels} pixels (max: {most:.0f}).")
    kinds = {band.precision for band in image.bands.values()}
    if len(kinds) > 1:
        raise EarthEngineError("Exported bands must have compatible data types; found inconsistent types.")
    options = body["fileExportOptions"]
    tile = options["geoTiffOptions"]["tileDimensions"]
    width, height = tile["width"], tile["height"]
    if width * height * 4 * len(image.bands) > MOST_FILE_BYTES:
        raise EarthEngineError("File dimensions are too large for the number of bands and data type.")
    prefix = options["cloudStorageDestination"]["filenamePrefix"]
    several = grid.width > width or grid.height > height
    written = []
    for row in range(0, grid.height, height):
        for col in range(0, grid.width, width):
            name = f"{prefix}-{row:010d}-{col:010d}.tif" if several else f"{prefix}.tif"
            part = replace(
                grid,
                transform=grid.transform * Affine.translation(col, row),
                width=min(width, grid.width - col),
                height=min(height, grid.height - row),
            )
            written.append(_write(image, part, bucket / name, options["geoTiffOptions"]["noData"]["floatValue"]))
    return written


def _write(image: Image, grid: PixelGrid, path: Path, nodata: float) -> Path:
    layers = [band.read(grid) for band in image.bands.values()]
    values = np.stack([np.where(one.mask, one.values, nodata) for one in layers]).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "COG",
        "width": grid.width,
        "height": grid.height,
        "count": len(layers),
        "dtype": "float32",
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": nodata,
        "blocksize": SHARD_SIZE,
        "compress": "lzw",
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(values)
        raster.descriptions = tuple(image.bands)
    return path
