"""One request for pixels: how much fits into it, its expression, its grid, and its answer taken apart."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from shapely.geometry import box

from pipeline.config import EarthEngineSource
from pipeline.passes import Pass, Slice
from pipeline.region import crs_of, to_crs
from pipeline.sources import FloatArray, ee_radiometry
from pipeline.sources.ee_failures import Garbled
from pipeline.sources.ee_records import ANGLE

# Stands for "masked" on the way here, because what a masked pixel becomes in the answer is not documented. No power
# and no angle has this value, and float32 holds it exactly.
SENTINEL = -9999

RESAMPLING = {"bilinear": "bilinear", "cubic": "bicubic"}

# Limits of one computePixels request; a pixel counts with one byte of mask in every band.
MOST_BYTES = 48 * 2**20
MOST_PIXELS_A_SIDE = 32768
MOST_BANDS = 1024
BYTES_A_VALUE = 4 + 1

# A window of this many pixels a side that Earth Engine still finds too large won't get better by splitting.
SMALLEST_SPLIT = 64

# The footprint follows the valid pixels only roughly; a window this close to it still asks for the image.
FOOTPRINT_MARGIN = 5000.0

# Requests that succeed before one twice as large is tried again, where Earth Engine found such ones too large.
CALM = 50


@dataclass(frozen=True)
class Size:
    """How large a request is."""

    height: int
    width: int
    bands: int

    @classmethod
    def of(cls, window: GeoBox, bands: int) -> Size:
        """The size of a request for so many bands of a window."""
        return cls(window.shape.y, window.shape.x, bands)

    @property
    def bytes(self) -> int:
        """As Earth Engine counts them."""
        return self.height * self.width * self.bands * BYTES_A_VALUE

    def repeats(self, most: int = MOST_BYTES) -> int:
        """How many of this size, their bands side by side, fit into one request of so many bytes."""
        return min(most // max(self.bytes, 1), MOST_BANDS // self.bands)


class Budget:
    """How large a request may be: Earth Engine's limits, and less where it fails within them.

    Memory and time run out by what is computed, which no limit in bytes foretells. A size that was found too large and
    never succeeded isn't asked for again, until many smaller requests have succeeded; one that did succeed stays
    allowed, because then it was that one request. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._most = MOST_BYTES
        self._proven = 0
        self._calm = 0

    def fits(self, size: Size) -> bool:
        """Whether a request of this size is worth sending."""
        return (
            size.bytes <= self._most and max(size.height, size.width) <= MOST_PIXELS_A_SIDE and size.bands <= MOST_BANDS
        )

    def passes(self, window: GeoBox, bands: int) -> int:
        """How many passes of a window fit; 1 where not even one does."""
        return max(1, Size.of(window, bands).repeats(self._most))

    def succeed(self, size: Size) -> None:
        """A request was answered."""
        with self._lock:
            self._proven = max(self._proven, size.bytes)
            self._calm += 1
            if self._calm >= CALM and self._most < MOST_BYTES:
                self._most, self._calm = min(2 * self._most, MOST_BYTES), 0

    def refuse(self, size: Size) -> None:
        """A request was too large."""
        with self._lock:
            if size.bytes > self._proven:
                self._most, self._calm = min(self._most, size.bytes // 2), 0


@dataclass(frozen=True)
class Part:
    """One pass's share of a request.

    Attributes
    ----------
    pass_id
        Which pass, for messages.
    pieces
        Its slices near the window.
    values
        Where its pixels go: shape (bands, height, width).
    """

    pass_id: str
    pieces: tuple[Slice, ...]
    values: FloatArray

    def cut(self, rows: slice, cols: slice) -> Part:
        """The same pass on a piece of the window."""
        return Part(self.pass_id, self.pieces, self.values[:, rows, cols])


def near_slices(item: Pass, window: GeoBox) -> tuple[Slice, ...]:
    """The pass's slices that may have pixels in a window, in their order."""
    outline, crs = box(*window.boundingbox.bbox).buffer(FOOTPRINT_MARGIN), crs_of(window)
    return tuple(piece for piece in item.slices if to_crs(piece.footprint, crs).intersects(outline))


def subject_of(parts: Sequence[Part]) -> str:
    """What a request is about, for an error's sentence."""
    if len(parts) == 1:
        return f"pass {parts[0].pass_id}"
    return f"the {len(parts)} passes from {parts[0].pass_id} to {parts[-1].pass_id}"


def field_of(number: int, band: str) -> str:
    """A band's name in a request for several passes, e.g. ``p0_VV``."""
    return f"p{number}_{band}"


def expression(parts: Sequence[Part], bands: Sequence[str], settings: EarthEngineSource) -> Any:
    """All parts as one `ee.Image`: float32, sentinel where masked.

    Parameters
    ----------
    settings
        How power is interpolated (nearest neighbour by default), its radiometry, and whether borders are masked.
    """
    import ee

    images = [_pass_image(part, number, bands, settings) for number, part in enumerate(parts)]
    while len(images) > 1:  # in pairs, so that the expression's depth grows with the logarithm
        pairs = zip(images[::2], images[1::2], strict=False)
        images = [one.addBands(other) for one, other in pairs] + images[len(images) // 2 * 2 :]
    masked = ee.Image.constant(SENTINEL).toFloat()  # a float, or unmask would promote the pixels to double
    return images[0].unmask(masked, False)


def _pass_image(part: Part, number: int, bands: Sequence[str], settings: EarthEngineSource) -> Any:
    """One pass as an `ee.Image`.

    `mosaic` puts the last image on top, hence the reversed order. Fill is masked before anything is interpolated or
    laid on top, and each image is resampled by itself: a mosaic has no pixel grid of its own.
    """
    import ee

    powers = [band for band in bands if band != ANGLE]
    mode = RESAMPLING.get(settings.resampling)
    images = []
    for piece in reversed(part.pieces):
        asset = ee.Image(piece.id)
        layers = []
        if powers:
            power = asset.select(powers)
            power = power.updateMask(power.gt(0))
            if settings.border_noise:
                power = ee_radiometry.without_borders(power, asset, piece)
            power = power if mode is None else power.resample(mode)
            power = ee_radiometry.as_asked(power, asset, piece, settings)
            layers.append(power.rename([field_of(number, band) for band in powers]))
        if ANGLE in bands:
            # Its native pixels are 13 km wide: the nearest one would be up to half a degree off.
            layers.append(asset.select([ANGLE], [field_of(number, ANGLE)]).resample("bilinear"))
        floats = [layer.toFloat() for layer in layers]
        images.append(floats[0] if len(floats) == 1 else floats[0].addBands(floats[1]))
    return ee.ImageCollection(images).mosaic()


def grid_of(window: GeoBox) -> dict[str, Any]:
    """The window as a request names it: by its affine transform, never by region and scale."""
    transform = window.transform
    crs = crs_of(window)
    return {
        "dimensions": {"width": window.shape.x, "height": window.shape.y},
        "affineTransform": {
            "scaleX": transform.a,
            "shearX": transform.b,
            "translateX": transform.c,
            "shearY": transform.d,
            "scaleY": transform.e,
            "translateY": transform.f,
        },
        **({"crsCode": f"EPSG:{crs.epsg}"} if crs.epsg else {"crsWkt": crs.to_wkt()}),
    }


def decode(answer: bytes, parts: Sequence[Part], bands: Sequence[str]) -> npt.NDArray[Any]:
    """The answer as a structured array with one floating field a part and band.

    Raises
    ------
    Garbled
        It isn't what was asked for.
    """
    try:
        found: npt.NDArray[Any] = np.load(io.BytesIO(answer), allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        raise Garbled(f"{len(answer)} bytes that are no whole array ({error})") from None
    shape = parts[0].values.shape[1:]
    wanted = {field_of(number, band) for number in range(len(parts)) for band in bands}
    fields: Mapping[str, Any] = found.dtype.fields or {}
    if found.shape != shape or set(fields) != wanted or any(kind.kind != "f" for kind, *_ in fields.values()):
        raise Garbled(
            f"{found.dtype} pixels of shape {found.shape} instead of floating bands {', '.join(bands)} of shape {shape}"
        )
    return found


def unpack(parts: Sequence[Part], answer: npt.NDArray[Any], bands: Sequence[str]) -> None:
    """Copy a structured array, one field a part and band, into the parts' values."""
    for number, part in enumerate(parts):
        for layer, band in zip(part.values, bands, strict=True):
            layer[...] = answer[field_of(number, band)]


def clean(values: FloatArray, bands: Sequence[str]) -> None:
    """NaN where masked, and where power isn't a positive number."""
    values[values == SENTINEL] = np.nan
    for layer, band in zip(values, bands, strict=True):
        if band != ANGLE:
            layer[~((layer > 0) & (layer < np.inf))] = np.nan


def halves(length: int) -> list[slice]:
    """Both halves of a side; the side itself where it can't be divided."""
    middle = length // 2
    return [slice(0, middle), slice(middle, length)] if middle else [slice(0, length)]
