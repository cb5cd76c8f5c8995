"""The scene that the contract is about, for the stand-in: its real grid, outline and properties, and made-up pixels.

The record is the real one of Earth Engine (contains modified Copernicus Sentinel data 2019).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import cache

import numpy as np
import shapely
from affine import Affine
from pyproj import Transformer
from shapely.affinity import translate
from shapely.geometry import Polygon, box

from tests.earthengine.images import (
    Band,
    ComputedBand,
    FloatArray,
    Image,
    PixelGrid,
    Pixels,
    RasterBand,
    apply,
    sentinel1,
)
from tests.earthengine.world import S1

NAME = "S1A_IW_GRDH_1SDV_20191202T163455_20191202T163520_030172_0372A4_67BA"
SCENE = f"{S1}/{NAME}"
START = dt.datetime(2019, 12, 2, 16, 34, 55, tzinfo=dt.UTC)
UPDATED = dt.datetime(2020, 11, 19, 7, 18, 22, 269949, tzinfo=dt.UTC)
CRS = "EPSG:32634"
NATIVE = PixelGrid(CRS, Affine(10, 0, 190615.1700898306, 0, -10, 5568907.024637105), 29644, 22018)
ANGLES = PixelGrid(
    CRS,
    Affine(
        13123.153716519882, -2997.124020510295, 224484.88563284784,
        1943.6171710630879, 20154.351669282652, 5355371.242224661,
    ),
    21,
    10,
)  # fmt: skip
OUTLINE = Polygon([
    (20.650383724905083, 48.683636829205376), (20.708093752413863, 48.689462042765875),
    (20.692741981351944, 48.77453832068133), (20.61576122666991, 49.1229831381155),
    (20.532279753481006, 49.47321860393239), (20.356153119714357, 50.16503175299044),
    (20.35020201925955, 50.186220664724914), (19.23253684554866, 50.07195252769796),
    (18.433621274536364, 49.98332788323961), (17.917943794094278, 49.92302405181339),
    (17.006240203032174, 49.81041382117267), (16.899647073277396, 49.79672408245612),
    (16.906379196953758, 49.75661742731832), (16.908261475308446, 49.74912228054839),
    (16.912415470888412, 49.734420467927706), (17.022557803424927, 49.37626305205186),
    (17.130959415106226, 49.017945702798535), (17.23766868030927, 48.65947158203902),
    (17.343143252770933, 48.29943020529188), (17.346405753633135, 48.299534017246586),
])  # fmt: skip
PROPERTIES = {
    "sliceNumber": 13,
    "totalSlices": 29,
    "orbitNumber_start": 30172,
    "GRD_Post_Processing_software_version": "003.10",
    "instrumentSwath": "IW",
    "resolution": "H",
}
SRTM, GLO30 = "USGS/SRTMGL1_003", "COPERNICUS/DEM/GLO30"
TO_DEGREES = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)


def _noise(cols: FloatArray, rows: FloatArray, seed: int) -> FloatArray:
    """Even between 0 and 1, by the pixel's place."""
    mixed = np.sin(cols * 12.9898 + rows * 78.233 + seed) * 43758.5453
    return np.asarray(mixed - np.floor(mixed))


def power(mean: float, seed: int, outline: Polygon) -> Band:
    """Speckle of one look inside the outline, on the scene's own pixels; masked outside."""

    def compute(grid: PixelGrid) -> Pixels:
        x, y = grid.centres()
        if grid.crs != CRS:
            x, y = Transformer.from_crs(grid.crs, CRS, always_xy=True).transform(x, y)
        cols, rows = (np.floor(each) for each in apply(~NATIVE.transform, x, y))
        mask = shapely.contains_xy(outline, *TO_DEGREES.transform(x, y))
        values = -mean * np.log(1 - 0.999 * _noise(cols, rows, seed)) + 1e-4
        return Pixels(np.where(mask, values.astype(np.float32).astype(float), 0.0), mask)

    return ComputedBand("float", compute, NATIVE)


def angles() -> RasterBand:
    """Incidence angles, growing from near range in the west to far range in the east."""
    rows = np.broadcast_to(30.5 + 0.78 * np.arange(21.0), (10, 21)).copy()
    return RasterBand(rows, np.ones(rows.shape, dtype=bool), ANGLES)


def elevation(identifier: str, name: str) -> Image:
    """Hills in pixels of one second of arc around the windows that are read."""
    grid = PixelGrid("EPSG:4326", Affine(1 / 3600, 0, 18.7, 0, -1 / 3600, 49.4), 720, 720)
    lon, lat = grid.centres()
    hills = 800 + 300 * np.sin(lon * 90) * np.cos(lat * 70)
    band = RasterBand(hills, np.ones(hills.shape, dtype=bool), grid)
    return Image({name: band}, {"system:time_start": 0}, box(18.7, 49.2, 18.9, 49.4), identifier)


@cache
def everything() -> tuple[Image, ...]:
    """The scene, the slice before it, both also in decibels, and two elevation models."""
    bands: dict[str, Band] = {"VV": power(0.1, 1, OUTLINE), "VH": power(0.02, 2, OUTLINE), "angle": angles()}
    about = {"platform": "A", "relative_orbit": 175, "data_take": 225956}
    made = sentinel1(SCENE, bands, START, **about)  # type: ignore[arg-type]
    scene = replace(made, footprint=OUTLINE, updated=UPDATED, properties={**made.properties, **PROPERTIES})
    earlier = translate(OUTLINE, 0.33, -1.49)
    before = f"{S1}/S1A_IW_GRDH_1SDV_20191202T163430_20191202T163455_030172_0372A4_0001"
    south = {"VV": power(0.1, 3, earlier), "VH": power(0.02, 4, earlier), "angle": angles()}
    other = sentinel1(before, south, START - dt.timedelta(seconds=25), **about)  # type: ignore[arg-type]
    neighbour = replace(other, footprint=earlier, properties={**other.properties, **PROPERTIES})
    return (
        scene,
        neighbour,
        replace(scene, id=f"COPERNICUS/S1_GRD/{NAME}", bands={name: _decibels(b) for name, b in bands.items()}),
        elevation(SRTM, "elevation"),
        elevation(f"{GLO30}/Copernicus_DSM_COG_10_N49_00_E019_00", "DEM"),
    )


def _decibels(band: Band) -> Band:
    if isinstance(band, RasterBand):
        return band

    def compute(grid: PixelGrid) -> Pixels:
        pixels = band.read(grid)
        return Pixels(10 * np.log10(np.where(pixels.mask, pixels.values, 1.0)), pixels.mask)

    return ComputedBand("double", compute, band.native)
