"""Pixels of an image as one request gets them: the grid it names, the limits, the NPY bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from affine import Affine

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.images import DTYPES, Image, PixelGrid

MOST_BYTES = 48 * 2**20
MOST_PIXELS_A_SIDE = 32768
MOST_BANDS = 1024


def read_grid(grid: Mapping[str, Any]) -> PixelGrid:
    """The request's grid; one without CRS, transform or size is refused: this stand-in guesses none."""
    try:
        scale = grid["affineTransform"]
        crs = grid.get("crsCode") or grid["crsWkt"]
        width, height = grid["dimensions"]["width"], grid["dimensions"]["height"]
    except KeyError as error:
        raise EarthEngineError(f"stand-in: grid without {error}: {dict(grid)}") from None
    names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    return PixelGrid(crs, Affine(*(scale.get(name, 0.0) for name in names)), width, height)


def check_limits(image: Image, grid: PixelGrid) -> None:
    """Refuse what Earth Engine refuses.

    The size counts one byte of mask in every band and pixel besides the values.
    """
    if len(image.bands) > MOST_BANDS:
        raise EarthEngineError(f"Image has {len(image.bands)} bands, at most {MOST_BANDS} are allowed.")
    if max(grid.width, grid.height) > MOST_PIXELS_A_SIDE:
        raise EarthEngineError(
            f"Pixel grid dimensions ({grid.width}x{grid.height}) must be less than or equal to {MOST_PIXELS_A_SIDE}."
        )
    each = sum(np.dtype(DTYPES[band.precision]).itemsize + 1 for band in image.bands.values())
    size = grid.width * grid.height * each
    if size > MOST_BYTES:
        raise EarthEngineError(f"Total request size ({size} bytes) must be less than or equal to {MOST_BYTES} bytes.")


def encode_npy(image: Image, grid: PixelGrid) -> bytes:
    """The image's pixels as a structured array, one field a band, in NumPy's own format.

    Belief: masked pixels are 0.
    """
    check_limits(image, grid)
    fields = [(name, DTYPES[band.precision]) for name, band in image.bands.items()]
    answer = np.zeros((grid.height, grid.width), dtype=fields)
    for name, band in image.bands.items():
        pixels = band.read(grid)
        answer[name] = np.where(pixels.mask, pixels.values, 0)
    buffer = io.BytesIO()
    np.save(buffer, answer)
    return buffer.getvalue()
