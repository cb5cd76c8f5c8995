"""One-degree tiles that can be laid over the global seasonal coherence set, pixel for pixel and number for number.

That set (Kellndorfer et al. 2022, Scientific Data 9:73) has tiles of 1 x 1 degree named by their upper left corner,
with 1200 x 1200 pixels of 3 arc-seconds in EPSG:4326, digital number 0 where there is no data; coherence as whole
hundredths in 8 bits; rho and rmse as thousandths, tau as whole days, in 16.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from affine import Affine
from odc.geo import CRS
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from pipeline.compute import Pool
from pipeline.errors import CohmapError
from pipeline.export import Outcome
from pipeline.ledger import Ledger, digest
from pipeline.products import Product, index_name, load_index
from pipeline.progress import Progress
from pipeline.quicklook import open_map
from pipeline.region import Region
from pipeline.season.products import DECAY_BANDS, LEVEL_BANDS
from pipeline.storage import Folder

STAGE, SEASON = "season-tiles", "season"
FOLDER = "products/season-tiles"
SIDE = 1200
# The set's names of the seasons are those of the northern hemisphere.
SEASONS = {"djf": "winter", "mam": "spring", "jja": "summer", "son": "fall"}
# Metric -> band of the decay product, digital numbers a unit.
PARAMETERS = {"tau": ("tau", 1), "rho": ("rho_inf", 1000), "rmse": ("rmse", 1000)}
COHERENCE_SCALE = 100
_NAME = re.compile(
    r"^(?P<tile>[NS]\d{2}[EW]\d{3})_(?P<season>[a-z0-9-]+)_(?P<band>vv|vh|hh|hv)_(?P<metric>COH\d{2,3}|tau|rho|rmse)$"
)


@dataclass(frozen=True)
class TileName:
    """What the name of a tile's file says; `season` in our words."""

    corner: tuple[int, int]
    """Latitude of the upper and longitude of the left edge, whole degrees."""
    season: str
    band: str
    metric: str

    def __str__(self) -> str:
        return f"{tile_id(*self.corner)}_{SEASONS.get(self.season, self.season)}_{self.band}_{self.metric}"

    @property
    def scale(self) -> int:
        """Digital numbers a unit."""
        return COHERENCE_SCALE if self.metric.startswith("COH") else PARAMETERS[self.metric][1]

    @property
    def layer(self) -> tuple[str, int, int]:
        """Kind of the product that holds the metric, its baseline (0: none) and its band, counted from 1."""
        if self.metric.startswith("COH"):
            return "season", int(self.metric[3:]), 1 + [band.name for band in LEVEL_BANDS].index("median")
        names = [band.name for band in DECAY_BANDS]
        return "decay", 0, 1 + names.index(PARAMETERS[self.metric][0])


@dataclass(frozen=True)
class _Task:
    output: str
    product: Product
    name: TileName
    fingerprint: str

    @property
    def path(self) -> str:
        return f"{FOLDER}/{tile_id(*self.name.corner)}/{self.name}.tif"


def tile_id(north: int, west: int) -> str:
    """Name of the tile whose upper left corner lies at so many degrees north and east, e.g. N49W123."""
    return f"{'N' if north >= 0 else 'S'}{abs(north):02d}{'E' if west >= 0 else 'W'}{abs(west):03d}"


def parse_name(path: str) -> TileName:
    """Read the name of a tile's file.

    Raises
    ------
    CohmapError
        It is none of the set's names.
    """
    stem = PurePosixPath(path).name.removesuffix(".tif")
    found = _NAME.match(stem)
    if found is None:
        raise CohmapError(
            f"'{stem}' is not named as tiles of the global set are, TILE_season_polarisation_metric, for example "
            "N49W123_summer_vv_COH12.tif with the metrics COH06 to COH48, tau, rho, rmse; give the file its own name"
        )
    tile = found["tile"]
    north, west = int(tile[1:3]) * (1 if tile[0] == "N" else -1), int(tile[4:]) * (1 if tile[3] == "E" else -1)
    season = {theirs: ours for ours, theirs in SEASONS.items()}.get(found["season"], found["season"])
    return TileName((north, west), season, found["band"], found["metric"])


def season_products(folder: Folder) -> list[Product]:
    """Products of the season stage's last run.

    Raises
    ------
    CohmapError
        There are none yet.
    """
    if not folder.exists(index_name(SEASON)):
        raise CohmapError(f"there are no seasonal maps in {folder} yet; run `cohmap season` first")
    return load_index(folder, SEASON)


def write_tiles(region: Region, folder: Folder, pool: Pool, progress: Progress) -> tuple[Outcome, str]:
    """Write every seasonal map (over tracks where there are several) as one-degree tiles; whole ones are left alone.

    Returns
    -------
    outcome, where
        How many tiles there are, and the folder they are in.
    """
    west, south, east, north = region.area.bounds
    corners = [
        (row, col)
        for row in range(math.floor(south) + 1, math.ceil(north) + 1)
        for col in range(math.floor(west), math.ceil(east))
    ]
    tasks, made = [], Ledger(folder, SEASON)
    for product in widest(season_products(folder)):
        metrics = [f"COH{product.days:02d}"] if product.kind == "season" else list(PARAMETERS)
        for corner, metric in itertools.product(corners, metrics):
            name = TileName(corner, str(product.properties["season"]), product.polarisation.lower(), metric)
            record = made.get(product.id) or {}
            tasks.append(_Task(folder.absolute, product, name, digest(product.to_json(), record.get("fingerprint"))))
    with Ledger(folder, STAGE) as ledger:
        todo = [t for t in tasks if not (ledger.matches(str(t.name), t.fingerprint) and folder.exists(t.path))]
        progress.start(STAGE, len(tasks), len(tasks) - len(todo))
        for task, _ in pool.run(_write, todo):
            ledger.record(str(task.name), task.fingerprint, "", path=task.path)
            progress.advance()
    return Outcome(len(tasks), len(tasks) - len(todo)), folder.address(FOLDER)


def widest(products: list[Product]) -> list[Product]:
    """Of each season, polarisation and baseline the map over all tracks, or that of the only track."""
    chosen: dict[tuple[Any, ...], Product] = {}
    for product in products:
        if product.kind in {"season", "decay"}:
            key = (product.kind, product.properties["season"], product.polarisation, product.days)
            if key not in chosen or product.track == "all":
                chosen[key] = product
    return list(chosen.values())


def tile_grid(corner: tuple[int, int]) -> Affine:
    """Pixels of a tile: 3 arc-seconds from its upper left corner on."""
    return Affine(1 / SIDE, 0.0, corner[1], 0.0, -1 / SIDE, corner[0])


def warped(folder: Folder, product: Product, name: TileName, to_grid: Affine, shape: tuple[int, int], crs: Any) -> Any:
    """A metric of a product on another grid, averaged over its pixels; float32, NaN where there is no data."""
    with (
        open_map(folder.address(product.path)) as source,
        WarpedVRT(
            source,
            crs=crs,
            transform=to_grid,
            height=shape[0],
            width=shape[1],
            resampling=Resampling.average,
            nodata=np.nan,
        ) as view,
    ):
        return view.read(name.layer[2])


def digital_numbers(values: npt.NDArray[np.float32], name: TileName) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Values as the set keeps them: 0 is no data, so the smallest value that can be said is 1."""
    dtype = np.uint8 if name.metric.startswith("COH") else np.uint16
    there = np.isfinite(values)
    numbers = np.rint(np.where(there, values, 0.0) * name.scale)
    return np.where(there, np.clip(numbers, 1, np.iinfo(dtype).max), 0).astype(dtype)


def _write(task: _Task) -> None:
    """On a worker: one tile of one metric."""
    folder = Folder(task.output)
    crs = CRS("EPSG:4326").to_wkt()
    values = warped(folder, task.product, task.name, tile_grid(task.name.corner), (SIDE, SIDE), crs)
    numbers = digital_numbers(values, task.name)
    plain = {
        "driver": "GTiff",
        "height": SIDE,
        "width": SIDE,
        "count": 1,
        "dtype": numbers.dtype,
        "nodata": 0,
        "crs": crs,
        "transform": tile_grid(task.name.corner),
    }
    with folder.staged(task.path) as target, MemoryFile() as memory:
        with memory.open(**plain) as draft:
            draft.write(numbers, 1)
            draft.scales = (1 / task.name.scale,)
            draft.update_tags(AREA_OR_POINT="Area", METRIC=task.name.metric, **task.product.tags())
        with memory.open() as draft:
            rasterio.shutil.copy(
                draft, target, driver="COG", compress="deflate", blocksize=512, overview_resampling="nearest"
            )
