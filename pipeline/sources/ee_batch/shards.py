"""A finished task's files: found in the bucket, checked against what was asked for, read by windows."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window

from pipeline.addresses import filesystem, open_raster
from pipeline.errors import CohmapError
from pipeline.region import crs_of
from pipeline.sources import FloatArray
from pipeline.sources.archive.rasters import MOST_BLOCK_BYTES, NESTS
from pipeline.sources.ee_batch.blocks import VALUE_BYTES
from pipeline.sources.ee_batch.task import Task
from pipeline.sources.ee_failures import one_line
from pipeline.sources.ee_requests import clean

# Earth Engine appends a file's first row and column where it cuts an image into several.
PLACE = re.compile(r"(-\d{10}-\d{10})?\.tif")


class Unsound(Exception):  # noqa: N818 - an instruction to have the task done again, not an error of the user's
    """A finished task's files are not what was asked for; says which, and why."""


@dataclass(frozen=True)
class Shard:
    """One file: its address, and which rows and columns of the block it holds."""

    href: str
    row: int
    col: int
    height: int
    width: int


def require_bucket(root: str) -> None:
    """Make sure that files can be read there, before anything is spent on making them.

    Raises
    ------
    CohmapError
        It can't be read; says why.
    """
    try:
        store, path = filesystem(root)
        try:
            store.ls(path)
        except FileNotFoundError:  # so some filesystems say that a bucket is empty
            store.info(path)
    except CohmapError:
        raise
    except Exception as error:  # noqa: BLE001 - every storage library has its own errors
        reason = "nothing is there" if isinstance(error, FileNotFoundError) else _first_line(error)
        mend = (
            "bucket, and sign in to Cloud Storage with `gcloud auth application-default login`"
            if root.startswith("gs://")
            else "mount"
        )
        raise CohmapError(f"the bucket can't be read at {root} ({reason}); check [source] {mend}") from None


def find_shards(root: str, task: Task, attempt: int, side: int) -> tuple[Shard, ...]:
    """The files of a finished task, once they are known to hold the whole block, each of them whole.

    Parameters
    ----------
    root
        The bucket's address.
    side
        Of the files, as asked for in pixels.

    Raises
    ------
    Unsound
        A file is missing, truncated, or not what was asked for.
    """
    folder, names = f"{root.rstrip('/')}/{task.folder}", task.files(attempt)
    found = [_open_shard(href, size, task) for href, size in _listing(folder, names)]
    gap = _first_gap(found, task.block.shape)
    if gap is not None:
        several = max(task.block.shape) > side
        place = "-{:010d}-{:010d}".format(*(start // side * side for start in gap)) if several else ""
        raise Unsound(f"{folder}/{names}{place}.tif is missing")
    return tuple(found)


def _listing(folder: str, start: str) -> list[tuple[str, int]]:
    """Addresses and sizes of the files whose names begin so."""
    store, path = filesystem(folder)
    store.invalidate_cache()  # they were not there a moment ago
    try:
        entries = store.ls(path, detail=True)
    except FileNotFoundError:
        return []
    except Exception as error:  # noqa: BLE001 - every storage library has its own errors
        raise CohmapError(f"{folder} can't be read ({_first_line(error)}); check your access, and run again") from None
    named = ((posixpath.basename(str(entry["name"])), int(entry.get("size") or 0)) for entry in entries)
    return sorted(
        (f"{folder}/{name}", size)
        for name, size in named
        if name.startswith(start) and PLACE.fullmatch(name.removeprefix(start))
    )


def _first_gap(shards: Sequence[Shard], shape: tuple[int, int]) -> tuple[int, int] | None:
    """First row and column of the block that no file holds; None where they hold all of it."""
    rows = sorted({0, *(edge for shard in shards for edge in (shard.row, shard.row + shard.height))})
    cols = sorted({0, *(edge for shard in shards for edge in (shard.col, shard.col + shard.width))})
    for row in (row for row in rows if row < shape[0]):
        for col in (col for col in cols if col < shape[1]):
            if not any(
                shard.row <= row < shard.row + shard.height and shard.col <= col < shard.col + shard.width
                for shard in shards
            ):
                return row, col
    return None


def _open_shard(href: str, size: int, task: Task) -> Shard:
    """A file's place in the block, from its header.

    Raises
    ------
    Unsound
        It isn't whole, or isn't what was asked for.
    """
    try:
        with open_raster(href) as dataset:
            _require_asked_for(dataset, href, task)
            if _end_of_data(dataset) > size:
                raise Unsound(f"{href} is truncated: {size} bytes")
            place = place_on(task.window.affine, dataset.transform)
            shard = Shard(href, round(place[0]), round(place[1]), *dataset.shape)
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise Unsound(f"{href} is truncated or damaged ({_first_line(error.__cause__ or error)})") from None
    height, width = task.block.shape
    misfit = max(abs(place[0] - shard.row), abs(place[1] - shard.col))
    beyond = min(shard.row, shard.col, height - shard.row - shard.height, width - shard.col - shard.width) < 0
    if misfit > NESTS or beyond:
        raise Unsound(f"{href} lies on another grid than was asked for")
    return shard


def place_on(grid: Affine, other: Affine) -> tuple[float, float]:
    """Row and column of a grid at which another one of the same spacing begins."""
    return (other.f - grid.f) / grid.e, (other.c - grid.c) / grid.a


def _require_asked_for(dataset: Any, href: str, task: Task) -> None:
    if dataset.count != len(task.bands) or set(dataset.dtypes) != {"float32"}:
        raise Unsound(
            f"{href} has {dataset.count} bands of {', '.join(sorted(set(dataset.dtypes)))} instead of "
            f"{len(task.bands)} of float32"
        )
    if max(math.prod(shape) for shape in dataset.block_shapes) * VALUE_BYTES > MOST_BLOCK_BYTES:
        raise Unsound(f"{href} is stored in blocks too large to unpack")
    there, asked = dataset.transform, task.window.affine
    crs = crs_of(task.window)
    # a CRS without a code comes back in other words; what the file is for doesn't change by that
    same_crs = dataset.crs is not None and (crs.epsg is None or CRS(dataset.crs) == crs)
    steps = max(abs(getattr(there, name) - getattr(asked, name)) for name in "abde")
    if not same_crs or steps > NESTS * abs(asked.a):
        raise Unsound(f"{href} lies on another grid than was asked for")


def _end_of_data(dataset: Any) -> int:
    """Where the last block of pixels ends, by the file's own directory; 0 where it says nothing."""
    last = 0
    for band in range(1, dataset.count + 1):
        height, width = dataset.block_shapes[band - 1]
        for row in range(-(-dataset.height // height)):
            for col in range(-(-dataset.width // width)):
                start, length = (
                    dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band) for what in ("OFFSET", "SIZE")
                )
                if start is not None and length is not None:
                    last = max(last, int(start) + int(length))
    return last


def read_shards(shards: Sequence[Shard], corner: tuple[int, int], window: GeoBox, bands: Sequence[str]) -> FloatArray:
    """Pixels of a window: what an interactive request for it gives.

    Parameters
    ----------
    corner
        The window's first row and column in the block.

    Returns
    -------
    FloatArray
        Shape (len(bands), height, width), linear power (degrees for "angle"), NaN where there is no data.

    Raises
    ------
    CohmapError
        A file is no longer there, or is damaged.
    """
    (top, left), (height, width) = corner, window.shape
    values = np.full((len(bands), height, width), np.nan, dtype=np.float32)
    for shard in shards:
        first_row, last_row = max(top, shard.row), min(top + height, shard.row + shard.height)
        first_col, last_col = max(left, shard.col), min(left + width, shard.col + shard.width)
        if first_row >= last_row or first_col >= last_col:
            continue
        part = Window(first_col - shard.col, first_row - shard.row, last_col - first_col, last_row - first_row)
        try:
            with open_raster(shard.href) as dataset:
                pixels = dataset.read(window=part)
        except (RasterioError, CPLE_BaseError, OSError) as error:
            reason = _first_line(error.__cause__ or error)
            raise CohmapError(
                f"{shard.href} can't be read ({reason}); if it is damaged, delete it, then give the same command "
                "again: Earth Engine makes it anew"
            ) from None
        values[:, first_row - top : last_row - top, first_col - left : last_col - left] = pixels
    clean(values, bands)
    return values


def _first_line(error: BaseException) -> str:
    """What an error says, or else what it is."""
    return one_line(str(error).splitlines()[0] if str(error) else type(error).__name__)
