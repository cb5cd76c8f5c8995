"""What is known of the ground: where it is land, of which kind, and how fast its coherence decays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import geometry_mask
from rasterio.vrt import WarpedVRT
from shapely.geometry.base import BaseGeometry

from pipeline.config import Area
from pipeline.coverage.settings import Coverage, Decay
from pipeline.errors import CohmapError
from pipeline.region import Region, Tile, crs_of, read_area, to_crs

FloatArray = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

VECTORS = {".geojson", ".json"}
# Of land that no class names.
OTHER = "other land"


class Ground:
    """Land, classes and decay on the grid of a region, block by block.

    Raises
    ------
    CohmapError
        A file that the settings name can't be read.
    """

    def __init__(self, region: Region, settings: Coverage) -> None:
        self._region, self._settings = region, settings
        self._folder = region.path.parent if region.path else Path()
        self._land: BaseGeometry | None = None
        self.has_land = settings.land is not None
        if settings.land and Path(settings.land).suffix.lower() in VECTORS:
            self._land = self._read_land(settings.land)
        for key, path in self._rasters().items():
            with self._opened(key, path):
                pass  # a wrong name is told before anything is counted

    def _rasters(self) -> dict[str, str]:
        decay, land = self._settings.decay, self._settings.land
        named: dict[str, object] = {
            "coverage.decay.tau": decay.tau,
            "coverage.decay.rho_inf": decay.rho_inf,
            "coverage.decay.raster": decay.raster,
            "coverage.land": None if self._land is not None else land,
        }
        return {key: path for key, path in named.items() if isinstance(path, str)}

    def _read_land(self, path: str) -> BaseGeometry:
        try:
            return to_crs(read_area(Area(geojson=path), self._folder), crs_of(self._region.grid))
        except CohmapError as error:
            raise CohmapError(str(error).replace("area.geojson", "coverage.land")) from None

    @property
    def classes(self) -> list[str]:
        """Names of the kinds of land that a raster tells apart."""
        decay = self._settings.decay
        return [one.name for one in decay.classes] + [OTHER] if decay.raster else []

    @property
    def uniform(self) -> tuple[float, float] | None:
        """Decay time and lasting coherence, where they are the same everywhere."""
        tau, rho = self._settings.decay.tau, self._settings.decay.rho_inf
        if self._settings.decay.raster or isinstance(tau, str) or isinstance(rho, str):
            return None
        return tau, rho

    def land(self, block: Tile) -> Mask:
        """Pixels that are land and belong to the area."""
        window = self._region.window(block)
        inside: Mask = geometry_mask([self._region.area_on_grid], window.shape, window.affine, invert=True)
        if self._land is not None:
            inside &= geometry_mask([self._land], window.shape, window.affine, invert=True)
        elif self._settings.land is not None:
            inside &= self._read("coverage.land", self._settings.land, window, Resampling.nearest) > 0
        return inside

    def kinds(self, block: Tile) -> npt.NDArray[np.int64] | None:
        """Number of each pixel's class, in the order of `classes`; None where there are none."""
        decay = self._settings.decay
        if decay.raster is None:
            return None
        values = self._read("coverage.decay.raster", decay.raster, self._region.window(block), Resampling.nearest)
        kinds = np.full(values.shape, len(decay.classes))
        for index, one in enumerate(decay.classes):
            kinds[np.isin(values, one.values)] = index
        return kinds

    def decay(self, block: Tile, kinds: npt.NDArray[np.int64] | None) -> tuple[FloatArray, FloatArray]:
        """Decay time and lasting coherence of each pixel; NaN where a raster of them has no data."""
        decay, window = self._settings.decay, self._region.window(block)
        made = []
        for key in ("tau", "rho_inf"):
            given = getattr(decay, key)
            if isinstance(given, str):
                values = self._read(f"coverage.decay.{key}", given, window, Resampling.average, band=key)
            else:
                values = np.full(window.shape, given, np.float32)
            if kinds is not None:
                of_class = np.array([*(getattr(one, key) for one in decay.classes), np.nan], np.float32)[kinds]
                values = np.where(np.isnan(of_class), values, of_class)
            made.append(values)
        tau = np.where(made[0] > 0, made[0], np.nan)
        return tau, np.clip(made[1], 0, 1)

    def _read(self, key: str, path: str, window: GeoBox, how: Resampling, band: str = "") -> FloatArray:
        with self._opened(key, path) as dataset:
            names = list(dataset.descriptions)
            number = names.index(band) + 1 if band in names else 1
            # unsigned maps have no NaN of their own; what is masked becomes one
            options = {
                "crs": str(window.crs),
                "transform": window.affine,
                "height": window.shape[0],
                "width": window.shape[1],
            }
            with WarpedVRT(dataset, resampling=how, add_alpha=False, **options) as warped:
                values = warped.read(number, masked=True)
            return np.ma.filled(values.astype(np.float32), np.nan)

    @contextlib.contextmanager
    def _opened(self, key: str, path: str) -> Iterator[rasterio.DatasetReader]:
        where = path if "://" in path else str(self._folder / Path(path).expanduser())
        try:
            with rasterio.open(where) as dataset:
                if dataset.crs is None:
                    raise CohmapError(f"{key} = {path!r}: the raster has no CRS; give it one")
                yield dataset
        except RasterioError as error:
            raise CohmapError(f"{key} = {path!r} can't be read as a raster: {error}") from None


def decay_text(decay: Decay) -> str:
    """The decay model in words."""
    tau = decay.tau if isinstance(decay.tau, str) else f"{decay.tau:g} days"
    rho = decay.rho_inf if isinstance(decay.rho_inf, str) else f"{decay.rho_inf:g}"
    text = f"tau = {tau}, rho_inf = {rho}"
    each = "; ".join(f"{one.name}: tau = {one.tau:g} days, rho_inf = {one.rho_inf:g}" for one in decay.classes)
    if decay.raster:
        return f"{each}; elsewhere {text}"
    return f"{text}; in turn, {each}" if each else text
