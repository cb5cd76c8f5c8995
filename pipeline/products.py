"""Products: maps on the region's grid as cloud-optimised GeoTIFFs that say what they were made from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import geometry_mask
from rasterio.windows import Window

from pipeline import __version__
from pipeline.errors import CohmapError
from pipeline.ledger import file_digest
from pipeline.region import Region, Tile
from pipeline.storage import Folder

BLOCK = 512
# GDAL's block cache in MB, per process; by itself it would take a twentieth of the machine's memory.
CACHE = 64
NO_CLASS = 255
# Stages that make products, in the order in which they are listed.
STAGES = ("mosaic", "change", "season")

Kind = Literal[
    "coherence",
    "mean",
    "change",
    "change-mask",
    "change-monitor",
    "change-state",
    "season",
    "decay",
    "decay-quality",
    "coverage",
]


@dataclass(frozen=True)
class Band:
    """One band of a product: its name and what it means."""

    name: str
    description: str


@dataclass(frozen=True)
class Product:
    """One map with its file.

    Attributes
    ----------
    path
        The COG's file, relative to the output folder.
    track
        E.g. ``ascending-137``; "all" over tracks.
    reference, secondary
        Start times (ISO 8601, UTC) of a pair's passes; of the first and the last pass where many pairs went in.
    days
        Temporal baseline of the pair or of every pair that went in.
    pairs
        ``track/pair`` of every pair that went in.
    reference_assets, secondary_assets
        The source's names of the images.
    properties
        More facts, e.g. the threshold of a change mask.
    files
        Further files that belong to the map, by what they are: polygons, time series; paths like `path`.
    """

    id: str
    kind: Kind
    path: str
    title: str
    bands: tuple[Band, ...]
    track: str
    polarisation: str
    reference: str
    secondary: str
    days: int
    pairs: tuple[str, ...]
    estimator: str
    reference_assets: tuple[str, ...] = ()
    secondary_assets: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_classes(self) -> bool:
        """Whether the pixels are classes (uint8, nodata 255) and not values (float32, nodata NaN)."""
        return self.kind in {"change-mask", "change-state", "decay-quality"}

    def with_properties(self, facts: Mapping[str, Any]) -> Product:
        """The product with more facts, known only after it was made."""
        return replace(self, properties={**self.properties, **facts})

    def to_json(self) -> dict[str, Any]:
        """As JSON can say it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Product:
        """Back from `to_json`."""
        known: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        known["bands"] = tuple(Band(**band) for band in data["bands"])
        return cls(**known)

    def tags(self) -> dict[str, str]:
        """What the file itself says: dates, images, model, version."""
        tags = {
            "TIFFTAG_SOFTWARE": f"cohmap {__version__}",
            "TIFFTAG_IMAGEDESCRIPTION": self.title,
            "PRODUCT": self.kind,
            "TRACK": self.track,
            "POLARISATION": self.polarisation,
            "REFERENCE_DATE": self.reference,
            "SECONDARY_DATE": self.secondary,
            "TEMPORAL_BASELINE_DAYS": str(self.days or ""),
            "ESTIMATOR": self.estimator,
            "PAIRS": " ".join(self.pairs),
            "REFERENCE_ASSETS": " ".join(self.reference_assets),
            "SECONDARY_ASSETS": " ".join(self.secondary_assets),
        }
        tags |= {key.upper(): str(value) for key, value in self.properties.items()}
        return {key: value for key, value in tags.items() if value}


Blocks = Iterable[tuple[Tile, npt.NDArray[Any]]]


def write_cog(folder: Folder, product: Product, grid: GeoBox, blocks: Blocks) -> str:
    """Write a product's COG, tile by tile; the file has its final name only when it is whole.

    Tiles that are not given hold no data. Memory is bounded by a tile and GDAL's block cache.

    Returns
    -------
    digest
        Of the file's bytes, for the ledger; `pipeline.verify` compares it.
    """
    kind: dict[str, Any] = {"dtype": "uint8", "nodata": NO_CLASS}
    if not product.is_classes:
        kind = {"dtype": "float32", "nodata": np.nan}
    height, width = grid.shape
    plain = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": len(product.bands),
        "crs": str(grid.crs),
        "transform": grid.affine,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "sparse_ok": True,
        "bigtiff": "if_safer",
        "interleave": "band",
        **kind,
    }
    with _explained(folder.address(product.path)), folder.staged(product.path) as target:
        draft = target.with_name(target.name + ".draft.partial")
        try:
            with rasterio.Env(GDAL_CACHEMAX=CACHE), rasterio.open(draft, "w", **plain) as dataset:
                for tile, values in blocks:
                    window = Window(tile.cols.start, tile.rows.start, tile.shape[1], tile.shape[0])
                    dataset.write(values, window=window)
                for index, band in enumerate(product.bands, start=1):
                    dataset.set_band_description(index, band.name)
                    dataset.update_tags(index, DESCRIPTION=band.description)
                dataset.update_tags(AREA_OR_POINT="Area", **product.tags())
            with rasterio.Env(GDAL_CACHEMAX=CACHE):
                _add_overviews(draft, product)
                _translate(draft, target, product)
            with target.open("rb") as content:
                return file_digest(content)
        finally:
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise CohmapError(f"{where} can't be written ({reason}); make room there, then run again") from None


def _add_overviews(draft: Path, product: Product) -> None:
    """The overviews that a COG has, made in the draft, whose bands lie one after the other.

    GDAL's COG driver would make them where the bands of a pixel lie together, and pack such a block anew for each band:
    of twenty bands that took six times as long.
    """
    with rasterio.open(draft, "r+") as dataset:
        factors: list[int] = []
        longest = max(dataset.shape)
        while longest > BLOCK * 2 ** len(factors):
            factors.append(2 ** (len(factors) + 1))
        if factors:
            dataset.build_overviews(factors, Resampling.mode if product.is_classes else Resampling.average)


def _translate(draft: Path, target: Path, product: Product) -> None:
    """The draft as a COG by GDAL's own driver; empty blocks take no space."""
    rasterio.shutil.copy(
        draft,
        target,
        driver="COG",
        compress="deflate",
        predictor="standard" if product.is_classes else "floating_point",
        blocksize=BLOCK,
        sparse_ok=True,
        bigtiff="if_safer",
    )


def clipped(region: Region, blocks: Blocks) -> Iterator[tuple[Tile, npt.NDArray[Any]]]:
    """Blocks with pixels outside the area set to no data, where the region asks for it."""
    for tile, values in blocks:
        if region.config.products.clip:
            window = region.window(tile)
            outside = geometry_mask([region.area_on_grid], window.shape, window.affine, all_touched=True)
            nodata = NO_CLASS if values.dtype == np.uint8 else np.nan
            yield tile, np.where(outside, nodata, values).astype(values.dtype)
        else:
            yield tile, values


def index_name(stage: str) -> str:
    """The list of the products that a stage made last."""
    return f"products/{stage}.json"


def save_index(folder: Folder, stage: str, products: Iterable[Product]) -> None:
    """Write down which products a stage's last run made."""
    folder.write_json(index_name(stage), [product.to_json() for product in products])


def load_products(folder: Folder) -> list[Product]:
    """Products of the last mosaic, change and season runs.

    Raises
    ------
    CohmapError
        There are none yet.
    """
    stages = stages_with_products(folder)
    if not stages:
        raise CohmapError(f"there are no products in {folder} yet; run `cohmap mosaic` first")
    return [product for stage in stages for product in load_index(folder, stage)]


def stages_with_products(folder: Folder) -> list[str]:
    """Stages that made products here, in their order."""
    return [stage for stage in STAGES if folder.exists(index_name(stage))]


def load_index(folder: Folder, stage: str) -> list[Product]:
    """Products that a stage's last run made."""
    return [Product.from_json(entry) for entry in folder.read_json(index_name(stage))]
