"""Small rasters on disk, named as their providers name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import Polygon, box

from pipeline import config
from pipeline.sources.archive import ArchiveSource

FloatArray = npt.NDArray[np.float32]

CALIFORNIA = Path(__file__).resolve().parents[1] / "../shared/data/s1-rtc-california-t137"
UTM = "EPSG:32611"
WEST, NORTH = 240_000.0, 3_840_000.0
AREA: Polygon = box(-119.95, 34.5, -119.6, 34.75)
"""Degrees around the rasters that `write` makes by default."""


def speckle(shape: tuple[int, int] = (40, 50), seed: int = 1, mean: float = 0.1) -> FloatArray:
    """Four-look intensity of a surface without texture."""
    return np.random.default_rng(seed).gamma(4.0, mean / 4, shape).astype(np.float32)


def write(
    path: Path, values: npt.NDArray[Any], *, shift: tuple[float, float] = (0, 0), spacing: float = 10, **profile: Any
) -> Path:
    """A one-band GeoTIFF; `shift` moves it east and south, in pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = Affine(spacing, 0, WEST + shift[0] * spacing, 0, -spacing, NORTH - shift[1] * spacing)
    settings = {"crs": UTM, "transform": transform, "dtype": values.dtype, **profile}
    height, width = values.shape[-2:]
    with rasterio.open(path, "w", driver="GTiff", count=1, height=height, width=width, **settings) as file:
        file.write(values, 1)
    return path


def window(
    shape: tuple[int, int] = (40, 50), shift: tuple[float, float] = (0, 0), spacing: float = 10, crs: str = UTM
) -> GeoBox:
    """A window of the grid that `write` writes on."""
    return GeoBox(shape, Affine(spacing, 0, WEST + shift[0] * spacing, 0, -spacing, NORTH - shift[1] * spacing), crs)


def opera(
    burst: str = "T137-292320-IW2",
    start: str = "20211119T015900",
    processed: str = "20250830T120333",
    platform: str = "S1A",
    polarisation: str = "VV",
) -> str:
    """An OPERA RTC-S1 file name."""
    return f"OPERA_L2_RTC-S1_{burst}_{start}Z_{processed}Z_{platform}_30_v1.0_{polarisation}.tif"


def hyp3(
    start: str = "20230319T015900",
    letters: str = "gpuned",
    number: str = "1A2B",
    polarisation: str = "VV",
    **other: str,
) -> str:
    """An ASF HyP3 RTC file name."""
    platform, orbit, spacing = other.get("platform", "S1A"), other.get("orbit", "P"), other.get("spacing", "30")
    return f"{platform}_IW_{start}_DV{orbit}_RTC{spacing}_G_{letters}_{number}_{polarisation}.tif"


def archive(path: Path | str, layout: str = "opera-rtc", **settings: Any) -> ArchiveSource:
    """The source, set up as a region file would."""
    return ArchiveSource(
        config.ArchiveSource.model_validate({"kind": "archive", "path": str(path), "layout": layout, **settings})
    )


def plain(path: Path, **settings: Any) -> ArchiveSource:
    """The source over files named DATE_POLARISATION.tif."""
    names = {"pattern": r"(?P<date>\d{8})_(?P<polarisation>[VH]{2})\.tif", "units": "linear"}
    track = {"platform": "S1A", "relative_orbit": 137, "direction": "ascending"}
    return archive(path, "pattern", **{**names, **track, **settings})
