"""`cohmap slc`: coherence of one pair of a stack, from phase, as a GeoTIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.windows import Window as Block

from models.errors import ModelError
from models.slc.pair import band_fill, pair_coherence, strips_of
from pipeline import __version__
from pipeline.errors import CohmapError
from pipeline.labels.pairs import DatePair
from pipeline.progress import Progress
from pipeline.slc.stack import SlcStack
from pipeline.storage import Folder, explain_full_disk

PIECE = (512, 1024)
"""Lines and samples in the middle of the image whose correlation tells how much of the band is filled."""


def write_coherence(
    stack: SlcStack,
    pair: DatePair,
    output: str,
    progress: Progress,
    *,
    mode: str,
    window: tuple[int, int],
    stride: tuple[int, int],
    device: str,
) -> str:
    """Estimate strip by strip and write a tiled GeoTIFF of float32, NaN without data.

    It lies on the stack's map where the stack is a raster on one, else in radar geometry.

    Returns
    -------
    str
        Where the file is.

    Raises
    ------
    CohmapError
        The output is no .tif or one of the images, an image can't be read, or the settings give no coherence.
    """
    target = Path(output)
    if target.suffix.lower() not in {".tif", ".tiff"}:
        raise CohmapError(f"--output {output} is no GeoTIFF by its name; let it end in .tif")
    if any(target.exists() and file.exists() and target.samefile(file) for file in stack.files):
        raise CohmapError(f"--output {output} would overwrite an image; give another file")
    folder = Folder(str(target.parent))
    folder.require_writable()
    height, width = (-(-side // step) for side, step in zip(stack.shape, stride, strict=True))
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": 1,
        "dtype": "float32",
        "nodata": np.nan,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "predictor": 3,
        "bigtiff": "if_safer",
        **_map_of(stack, stride),
    }
    tags = {
        "REFERENCE_DATE": pair[0].isoformat(),
        "SECONDARY_DATE": pair[1].isoformat(),
        "TEMPORAL_BASELINE_DAYS": str((pair[1] - pair[0]).days),
        "ESTIMATOR": f"SLC {mode}, {window[0]} x {window[1]}",
        "SOFTWARE": f"cohmap {__version__}",
    }
    try:
        with (
            explain_full_disk(folder),
            folder.staged(target.name) as path,
            rasterio.open(path, "w", **profile) as dataset,
        ):
            _fill(dataset, stack, pair, progress, mode=mode, window=window, stride=stride, device=device)
            dataset.set_band_description(1, "coherence")
            dataset.update_tags(**tags)
    except ModelError as error:
        raise CohmapError(str(error)) from None
    return folder.address(target.name)


def _fill(
    dataset: Any,
    stack: SlcStack,
    pair: DatePair,
    progress: Progress,
    *,
    mode: str,
    window: tuple[int, int],
    stride: tuple[int, int],
    device: str,
) -> None:
    strips = list(strips_of(stack.shape, window, stride))
    fill = band_fill(stack.read(pair[0], _middle(stack.shape)))
    progress.start("coherence", len(strips), 0)
    row = 0
    for strip in strips:
        lines = (strip.needed, slice(0, stack.shape[1]))
        images = [stack.read(day, lines) for day in pair]
        found = pair_coherence(images[0], images[1], mode=mode, window=window, stride=stride, fill=fill, device=device)[
            strip.kept
        ]
        dataset.write(found[np.newaxis], window=Block(0, row, found.shape[1], found.shape[0]))
        row += found.shape[0]
        progress.advance()


def _middle(shape: tuple[int, int]) -> tuple[slice, slice]:
    lines, samples = (
        slice(begin := max(0, (side - most) // 2), min(side, begin + most))
        for side, most in zip(shape, PIECE, strict=True)
    )
    return lines, samples


def _map_of(stack: SlcStack, stride: tuple[int, int]) -> dict[str, Any]:
    """CRS and transform of every so many-th sample, where the stack's first file is a raster on a map."""
    try:
        with rasterio.open(stack.files[0]) as raster:
            if raster.crs is None or raster.shape != stack.shape:
                return {}
            # a sample stays where it is: the middle of its pixel, which is larger now
            aside = Affine.translation(0.5 - 0.5 * stride[1], 0.5 - 0.5 * stride[0])
            return {"crs": raster.crs, "transform": raster.transform @ aside @ Affine.scale(stride[1], stride[0])}
    except RasterioError:
        return {}
