"""Maps as small arrays and pictures: read decimated, so that memory stays bounded, and coloured by few styles."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from affine import Affine
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from models.decay import Quality
from pipeline.addresses import open_raster
from pipeline.cube import Cube, FloatArray
from pipeline.errors import CohmapError
from pipeline.products import Product
from pipeline.region import Tile, crs_of

# Longer side of a map as it is read, in pixels; no picture is drawn from an array larger than this squared.
LONGEST = 560
NO_DATA = "#c8cacd"


@dataclass(frozen=True)
class MapImage:
    """A map read for drawing.

    Attributes
    ----------
    values
        Shape (height, width), float32, NaN where there is no data.
    grid
        The grid of `values`, coarser than the region's where the map was decimated.
    step
        How many pixels of the map one of `values` stands for, along each side.
    """

    values: FloatArray
    grid: GeoBox
    step: int

    @property
    def is_empty(self) -> bool:
        """Whether no pixel holds data."""
        return not bool(np.isfinite(self.values).any())

    def percentile(self, share: float) -> float:
        """Value that `share` percent of the pixels with data do not exceed; NaN where there are none."""
        finite = self.values[np.isfinite(self.values)]
        return float(np.percentile(finite, share)) if finite.size else math.nan

    def place(self, row: float, col: float) -> tuple[float, float]:
        """Longitude and latitude of a position counted in pixels from the upper left corner."""
        to_grid = self.grid.affine
        x, y = to_grid.c + to_grid.a * col, to_grid.f + to_grid.e * row
        lon, lat = crs_of(self.grid).transformer_to_crs(CRS("EPSG:4326"))(x, y)
        return float(lon), float(lat)


@dataclass(frozen=True)
class Style:
    """How values become colours.

    Attributes
    ----------
    label
        What the colours are, with the unit; stands at the colour bar.
    low, high
        Values at the ends of the colour bar.
    classes
        Value -> (name, colour) where the map holds classes; `colours`, `low` and `high` don't count then.
    beyond
        On which side values lie beyond the ends: "neither", "both", "min" or "max".
    whole
        Whether the values are whole numbers, one colour each.
    steps
        How many colours otherwise: fewer than the eye tells apart make smaller files.
    """

    label: str
    colours: str = "viridis"
    low: float = 0.0
    high: float = 1.0
    classes: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    beyond: str = "neither"
    whole: bool = False
    steps: int = 64

    def scale(self) -> tuple[Colormap, Normalize]:
        """Colour map and norm."""
        if self.classes:
            values = sorted(self.classes)
            edges = [values[0] - 0.5, *((a + b) / 2 for a, b in itertools.pairwise(values)), values[-1] + 0.5]
            return ListedColormap([self.classes[value][1] for value in values]), BoundaryNorm(edges, len(values))
        steps = round(self.high - self.low) + 1 if self.whole else self.steps
        half = 0.5 if self.whole else 0.0
        return mpl.colormaps[self.colours].resampled(steps), Normalize(self.low - half, self.high + half)


COHERENCE = Style("coherence")
ERROR = Style("estimated minus true coherence", "PuOr_r", -0.5, 0.5, beyond="both")
TAU = Style("decay time (days)", "cividis", 0.0, 60.0, beyond="max")
LASTING = Style("lasting coherence")
# What a decay fit can tell, in words and colours.
QUALITIES = {
    Quality.FITTED: ("fitted", "#2a788e"),
    Quality.ODD_CURVE: ("fitted, off the curve", "#7ad151"),
    Quality.FAST: ("decayed too fast", "#fde725"),
    Quality.SLOW: ("decays too slowly", "#414487"),
    Quality.FLAT: ("no decay seen", "#9c6bae"),
    Quality.FLOOR: ("no coherence seen", "#3a3a3a"),
    Quality.UNCERTAIN: ("errors too large", "#d9d3c7"),
    Quality.FEW_BASELINES: ("too few baselines", "#f3f0ea"),
}
TOLD = Style("", classes={int(kind): named for kind, named in QUALITIES.items()})
CHANGED = Style("", classes={0: ("no change found", "#eef0ea"), 1: ("change", "#c2261c")})
# a light and a dark shade of each stage, of low and of high confidence; names that fit beside a map
STATES = Style(
    "",
    classes={
        0: ("none", "#eef0ea"),
        1: ("first low", "#cfe1f2"),
        2: ("prov. low", "#fdd49e"),
        3: ("conf. low", "#f4776b"),
        4: ("first high", "#6baed6"),
        5: ("prov. high", "#f09a3e"),
        6: ("conf. high", "#b10f14"),
        7: ("ended low", "#c9b3d9"),
        8: ("ended high", "#6a3d9a"),
    },
)


def sigma_style(image: MapImage) -> Style:
    """Standard deviation of the coherence, from 0 to what 99 % of the pixels stay below."""
    top = image.percentile(99)
    return Style(
        "standard deviation of coherence", "magma", 0.0, math.ceil(top * 20) / 20 if top > 0 else 0.25, beyond="max"
    )


def count_style(image: MapImage) -> Style:
    """Numbers of pairs."""
    low, high = image.percentile(0), image.percentile(100)
    low, high = (math.floor(low), math.ceil(high)) if math.isfinite(low) else (0, 1)
    return Style("pairs with data", "cividis", low, high, whole=high - low <= 24)


def score_style(image: MapImage) -> Style:
    """Change scores, symmetrical about no change."""
    ends = [abs(image.percentile(share)) for share in (1, 99)]
    high = float(np.clip(math.ceil(max(ends)), 3, 10)) if all(map(math.isfinite, ends)) else 3.0
    return Style("change in standard deviations", "RdBu_r", -high, high, beyond="both")


def confidence_style(image: MapImage) -> Style:
    """Cumulative sums of scores, from nought."""
    top = image.percentile(99.5)
    return Style(
        "cumulative sum of scores", "inferno", 0.0, max(math.ceil(top), 5) if math.isfinite(top) else 5.0, beyond="max"
    )


def backscatter_style(image: MapImage, polarisation: str) -> Style:
    """Backscatter in dB, grey, from the 2nd to the 98th percentile."""
    low, high = image.percentile(2), image.percentile(98)
    low, high = (math.floor(low), max(math.ceil(high), math.floor(low) + 1)) if math.isfinite(low) else (-25, 0)
    # speckle can't be compressed: what few greys show of it is enough for an overview
    return Style(f"backscatter {polarisation} (dB)", "gray", low, high, beyond="both", steps=24)


def style_of(product: Product, image: MapImage) -> Style:
    """The style of a product's first band."""
    if product.is_classes:
        return {"decay-quality": TOLD, "change-state": STATES}.get(product.kind, CHANGED)
    if product.kind == "change-monitor":
        return confidence_style(image)
    return {"change": score_style(image), "decay": TAU}.get(product.kind, COHERENCE)


@contextlib.contextmanager
def open_map(address: str) -> Iterator[Any]:
    """A product's file as an open rasterio dataset.

    Raises
    ------
    CohmapError
        The file is gone or damaged.
    """
    try:
        with open_raster(address) as dataset:
            yield dataset
    except (RasterioError, OSError) as error:
        raise CohmapError(f"{address} can't be read ({error}); delete it and give `cohmap run` again") from None


def read_cog(address: str, band: int = 1, longest: int = LONGEST) -> MapImage:
    """A band of a COG through its overviews, its longer side at most `longest` pixels."""
    with open_map(address) as dataset:
        step = max(math.ceil(max(dataset.shape) / longest), 1)
        height, width = (math.ceil(n / step) for n in dataset.shape)
        classes = np.issubdtype(np.dtype(dataset.dtypes[band - 1]), np.integer)
        # overviews hold averages (classes: majorities) already; between two of them the same rule holds
        rule = Resampling.mode if classes else Resampling.average
        raw = dataset.read(band, out_shape=(height, width), resampling=rule, masked=True)
        to_grid = dataset.transform
        scale_x, scale_y = dataset.width / width, dataset.height / height
        crs = CRS(dataset.crs.to_wkt())
    coarse = Affine(to_grid.a * scale_x, 0.0, to_grid.c, 0.0, to_grid.e * scale_y, to_grid.f)
    values = np.asarray(np.ma.filled(raw.astype(np.float32), np.nan), dtype=np.float32)
    return MapImage(values, GeoBox((height, width), coarse, crs), step)


class Averager:
    """Averages tiles of a map, as they come, to a picture of at most `longest` pixels a side."""

    def __init__(self, grid: GeoBox, longest: int = LONGEST) -> None:
        self._grid = grid
        self._step = max(math.ceil(max(grid.shape) / longest), 1)
        self._shape = (math.ceil(grid.shape[0] / self._step), math.ceil(grid.shape[1] / self._step))
        self._total = np.zeros(self._shape, dtype=np.float64)
        self._count = np.zeros(self._shape, dtype=np.int64)

    def add(self, tile: Tile, values: FloatArray) -> None:
        """Count a tile's pixels; NaN is left out. A tile may come more than once."""
        there = np.isfinite(values)
        rows, first_rows = self._dots(tile.rows)
        cols, first_cols = self._dots(tile.cols)
        for total, part in ((self._total, np.where(there, values, 0.0)), (self._count, there.astype(np.int64))):
            by_row = np.add.reduceat(part, first_rows, axis=0, dtype=total.dtype)
            total[rows, cols] += np.add.reduceat(by_row, first_cols, axis=1)

    def _dots(self, pixels: slice) -> tuple[slice, npt.NDArray[np.intp]]:
        """Dots of the picture that a run of pixels falls into, and where the pixels of each begin in it."""
        first, last = pixels.start // self._step, (pixels.stop - 1) // self._step
        begins = np.arange(first, last + 1) * self._step - pixels.start
        return slice(first, last + 1), np.maximum(begins, 0)

    def image(self) -> MapImage:
        """The averages so far; NaN where nothing was counted."""
        mean = np.divide(self._total, self._count, out=np.full(self._shape, np.nan), where=self._count > 0)
        to_grid = self._grid.affine
        coarse = Affine(to_grid.a * self._step, 0.0, to_grid.c, 0.0, to_grid.e * self._step, to_grid.f)
        return MapImage(mean.astype(np.float32), GeoBox(self._shape, coarse, crs_of(self._grid)), self._step)


def read_cube(cube: Cube, variable: str, position: int, grid: GeoBox, tiles: Iterable[Tile]) -> MapImage:
    """One layer of a cube, averaged tile by tile; NaN outside `tiles`."""
    averager = Averager(grid)
    for tile in tiles:
        averager.add(tile, cube.read_tile(variable, position, tile))
    return averager.image()


def decibels(image: MapImage) -> MapImage:
    """Linear power as dB; power of nought or less is no data."""
    power = np.where(image.values > 0, image.values, np.nan)
    return replace(image, values=np.asarray(10 * np.log10(power), dtype=np.float32))


def thumbnail(image: MapImage, style: Style) -> bytes:
    """A map's pixels as a bare PNG, one picture pixel a value; no data is neutral grey."""
    colours, norm = style.scale()
    rgb = (colours(norm(np.nan_to_num(image.values, nan=style.low)))[..., :3] * 255).round().astype(np.uint8)
    rgb[~np.isfinite(image.values)] = [int(NO_DATA[i : i + 2], 16) for i in (1, 3, 5)]
    return compact_png(Image.fromarray(rgb))


def compact_png(picture: Image.Image) -> bytes:
    """A picture as a PNG with a colour table: 64 map colours, greys and the edges of letters fit into 256."""
    stream = io.BytesIO()
    table = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    table.save(stream, "PNG", optimize=True)
    return stream.getvalue()
