"""Earth Engine's functions of images, as far as the stand-in knows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.graph import Call, Function, Table
from tests.earthengine.images import (
    DTYPES,
    Band,
    ComputedBand,
    FloatArray,
    Image,
    PixelGrid,
    Pixels,
    Precision,
)

IMAGE_FUNCTIONS = Table()

# Which bands an image has


@IMAGE_FUNCTIONS.enter("Image.load")
def _load(call: Call) -> Image:
    return call.assets.image(call.text("id"))


@IMAGE_FUNCTIONS.enter("Image.bandNames")
def _band_names(call: Call) -> list[str]:
    return list(call.image("image").bands)


@IMAGE_FUNCTIONS.enter("Image.constant")
def _constant(call: Call) -> Image:
    """One band, or one for each of several numbers."""
    given = call.get("value")
    if not isinstance(given, list):
        return Image({"constant": _constant_band(given)})
    return Image({f"constant_{number}": _constant_band(value) for number, value in enumerate(given)})


def _constant_band(value: float) -> Band:
    precision: Precision = "double" if isinstance(value, float) else "int"

    def compute(grid: PixelGrid) -> Pixels:
        shape_ = (grid.height, grid.width)
        return Pixels(np.full(shape_, float(value)), np.ones(shape_, dtype=bool))

    return ComputedBand(precision, compute)


@IMAGE_FUNCTIONS.enter("Image.select")
def _select(call: Call) -> Image:
    image = call.image("input")
    names: list[str] = []
    for selector in call.sequence("bandSelectors"):
        if isinstance(selector, int):
            names.append(list(image.bands)[selector])
            continue
        found = [name for name in image.bands if re.fullmatch(selector, name)]
        if not found:
            raise EarthEngineError(
                f"Image.select: Band pattern '{selector}' did not match any bands. Available bands: {list(image.bands)}"
            )
        names += found
    bands = [image.bands[name] for name in names]
    return replace(image, bands=dict(zip(call.get("newNames", names), bands, strict=True)))


@IMAGE_FUNCTIONS.enter("Image.rename")
def _rename(call: Call) -> Image:
    image = call.image("input")
    return replace(image, bands=dict(zip(call.sequence("names"), image.bands.values(), strict=True)))


@IMAGE_FUNCTIONS.enter("Image.addBands")
def _add_bands(call: Call) -> Image:
    image, other = call.image("dstImg"), call.image("srcImg")
    bands = dict(image.bands)
    for name in call.get("names", list(other.bands)):
        if call.get("overwrite", False):
            bands[name] = other.bands[name]
        else:
            bands[_unused(name, bands)] = other.bands[name]
    return replace(image, bands=bands)


def _unused(name: str, bands: Mapping[str, Band]) -> str:
    """The name, or with the first number that makes it new: ``VV``, ``VV_1``, ``VV_2``."""
    names = (name, *(f"{name}_{number}" for number in range(1, len(bands) + 1)))
    return next(each for each in names if each not in bands)


@IMAGE_FUNCTIONS.enter("Image.resample")
def _resample(call: Call) -> Image:
    image, mode = call.image("image"), call.get("mode", "bilinear")
    return replace(image, bands={name: band.resampled(mode) for name, band in image.bands.items()})


# What the pixels are


def _widest(*precisions: Precision) -> Precision:
    """Kind of number that holds all of these.

    Belief: an integer together with a float makes a double.
    """
    kinds = set(precisions)
    return next(iter(kinds)) if len(kinds) == 1 else "double"


@IMAGE_FUNCTIONS.enter("ImageCollection.mosaic")
def _mosaic(call: Call) -> Image:
    """Each band from the last image of the collection that is valid there."""
    images = call.collection("collection").images
    names = dict.fromkeys(name for image in images for name in image.bands)

    def layer(name: str) -> Band:
        layers = [image.bands[name] for image in images if name in image.bands]

        def compute(grid: PixelGrid) -> Pixels:
            values, mask = np.zeros((grid.height, grid.width)), np.zeros((grid.height, grid.width), dtype=bool)
            for each in layers:
                pixels = each.read(grid)
                values, mask = np.where(pixels.mask, pixels.values, values), mask | pixels.mask
            return Pixels(values, mask)

        return ComputedBand(_widest(*(each.precision for each in layers)), compute)

    return Image({name: layer(name) for name in names})


def _per_band(image: Image, change: Callable[[Band], Band]) -> Image:
    return replace(image, bands={name: change(band) for name, band in image.bands.items()})


def _cast(precision: Precision) -> Function:
    def change(band: Band) -> Band:
        def compute(grid: PixelGrid) -> Pixels:
            pixels = band.read(grid)
            return Pixels(pixels.values.astype(DTYPES[precision]).astype(float), pixels.mask)

        return ComputedBand(precision, compute, band.native)

    return lambda call: _per_band(call.image("value"), change)


IMAGE_FUNCTIONS["Image.toFloat"] = IMAGE_FUNCTIONS["Image.float"] = _cast("float")
IMAGE_FUNCTIONS["Image.toDouble"] = IMAGE_FUNCTIONS["Image.double"] = _cast("double")
IMAGE_FUNCTIONS["Image.toInt"] = IMAGE_FUNCTIONS["Image.int"] = _cast("int")


@IMAGE_FUNCTIONS.enter("Image.unmask")
def _unmask(call: Call) -> Image:
    filling = call.get("value")
    if not isinstance(filling, Image) or len(filling.bands) != 1:
        raise EarthEngineError("stand-in: Image.unmask is simulated with an image of one band as value")
    (fill,) = filling.bands.values()

    def change(band: Band) -> Band:
        def compute(grid: PixelGrid) -> Pixels:
            pixels, instead = band.read(grid), fill.read(grid)
            return Pixels(np.where(pixels.mask, pixels.values, instead.values), pixels.mask | instead.mask)

        return ComputedBand(_widest(band.precision, fill.precision), compute, band.native)

    return _per_band(call.image("input"), change)


def _paired(image: Image, other: Image, combine: Callable[[Band, Band], Band]) -> Image:
    """Each band with the other image's band of the same place, or with its only one."""
    others = list(other.bands.values())
    if len(others) == 1:
        others *= len(image.bands)
    if len(others) != len(image.bands):
        raise EarthEngineError(f"Images must have equal numbers of bands, or one: {len(image.bands)}, {len(others)}.")
    pairs = zip(image.bands.items(), others, strict=True)
    return replace(image, bands={name: combine(band, each) for (name, band), each in pairs})


@IMAGE_FUNCTIONS.enter("Image.updateMask")
def _update_mask(call: Call) -> Image:
    def combine(band: Band, test: Band) -> Band:
        def compute(grid: PixelGrid) -> Pixels:
            pixels, keep = band.read(grid), test.read(grid)
            return Pixels(pixels.values, pixels.mask & keep.mask & (keep.values != 0))

        return ComputedBand(band.precision, compute, band.native)

    return _paired(call.image("image"), call.image("mask"), combine)


@IMAGE_FUNCTIONS.enter("Image.mask")
def _mask(call: Call) -> Image:
    if call.get("mask") is not None:
        masked: Image = _update_mask(call)
        return masked

    def change(band: Band) -> Band:
        def compute(grid: PixelGrid) -> Pixels:
            mask = band.read(grid).mask
            return Pixels(mask.astype(float), np.ones_like(mask))

        return ComputedBand("float", compute, band.native)

    return _per_band(call.image("image"), change)


OPERATIONS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "add": lambda left, right: left + right,
    "subtract": lambda left, right: left - right,
    "multiply": lambda left, right: left * right,
    "divide": lambda left, right: np.divide(left, right, out=np.zeros_like(left), where=right != 0),
    "gt": lambda left, right: (left > right).astype(float),
    "lt": lambda left, right: (left < right).astype(float),
    "and": lambda left, right: ((left != 0) & (right != 0)).astype(float),
}


def _operation(operate: Callable[[FloatArray, FloatArray], FloatArray]) -> Function:
    def combine(left: Band, right: Band) -> Band:
        def compute(grid: PixelGrid) -> Pixels:
            one, other = left.read(grid), right.read(grid)
            return Pixels(operate(one.values, other.values), one.mask & other.mask)

        return ComputedBand("double", compute, left.native)

    return lambda call: _paired(call.image("image1"), call.image("image2"), combine)


for _name, _operate in OPERATIONS.items():
    IMAGE_FUNCTIONS[f"Image.{_name}"] = _operation(_operate)
