"""A simulated time series: the landscape seen at every pass, on any window, with the coherence known exactly.

Everything is made in blocks of 256 x 256 pixels with a margin, keyed by whole numbers, so a pixel has the same bits in
whichever window it is read. Scatterers come from random streams keyed by place: neighbouring blocks draw the same ones
in the strips where their margins overlap, so speckle and impulse response run on across the seams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from itertools import product as cross
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.simulate.cache import Cache
from models.simulate.cover import BANDS
from models.simulate.landscape import Ground, ground
from models.simulate.noise import key, normal
from models.simulate.pair import coherence_of_cells, over_cell
from models.simulate.product import Product, product_for
from models.simulate.speckle import ComplexArray, circular_gaussian, detect

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)
Place = tuple[int, int]

BLOCK = 256
MARGIN = 16
"""Pixels around a block that its images are made with: beyond, the impulse response's power is below 5e-4."""

# Random streams: what a draw is for.
LASTING, RENEWED, THERMAL, REPLACED, WEATHER, RAIN = range(6)


class Scene:
    """A landscape under a series of passes.

    Rows run southwards, columns eastwards; both may be negative. VV and VH have independent speckle.

    Parameters
    ----------
    seed
        Everything follows from it.
    dates
        Days of the passes on any clock, rising.
    event
        Day of the event on the same clock; None for none.
    origin
        Row and column, from the corner of pixel (0, 0), at which the landscape's origin lies.
    spacing
        Pixel spacing in metres.
    product
        Kind of image; the one that goes with the spacing where left out.
    noise
        Noise-equivalent backscatter, linear power; -23 dB by default.
    memory
        Bytes of images to keep for later windows.
    """

    def __init__(
        self,
        seed: int,
        dates: Sequence[float],
        *,
        event: float | None = None,
        origin: tuple[float, float] = (0.0, 0.0),
        spacing: float = 10.0,
        product: Product | None = None,
        noise: float = 10.0**-2.3,
        memory: int = 512 * 2**20,
    ) -> None:
        self.seed = seed
        self.dates = tuple(float(day) for day in dates)
        self.event = np.inf if event is None else float(event)
        self.origin = origin
        self.product = product_for(spacing) if product is None else product
        self.noise = noise
        self.memory = memory
        if not self.dates or list(self.dates) != sorted(set(self.dates)):
            raise ModelError(f"the dates of a scene must rise, and there must be at least one, not {list(self.dates)}")
        self._ground: Cache[Place, Ground] = Cache(memory // 4, _ground_bytes)
        self._images: Cache[tuple[Place, str], FloatArray] = Cache(memory, lambda images: images.nbytes)
        # a pass is in several pairs, whose truths share what follows from the pass alone
        self._powers: Cache[tuple[Place, str, int], FloatArray] = Cache(memory // 4, lambda powers: powers.nbytes)

    def __reduce__(self) -> tuple[Callable[..., Scene], tuple[object, ...]]:
        event = None if np.isinf(self.event) else self.event
        return _rebuild, (self.seed, self.dates, event, self.origin, self.product, self.noise, self.memory)

    def read(self, index: int, band: str, row: int, col: int, height: int, width: int) -> FloatArray:
        """The image of one pass on a window: linear power, shape (height, width).

        Parameters
        ----------
        index
            Number of the pass, from 0.
        row, col
            The window's first row and column.
        """
        _check_band(band)
        return _assemble(lambda place: self._images_of(place, band)[index], row, col, height, width, np.float32)

    def true_coherence(
        self, first: int, second: int, band: str, row: int, col: int, height: int, width: int
    ) -> FloatArray:
        """Population coherence of two passes' complex samples on a window: over the resolution cell, noise included."""
        _check_band(band)
        return _assemble(lambda place: self._truth_of(place, first, second, band), row, col, height, width, np.float32)

    def event_mask(self, row: int, col: int, height: int, width: int) -> BoolArray:
        """Where the event struck."""
        return _assemble(lambda place: _inner(self._ground_of(place).struck), row, col, height, width, np.bool_)

    def cover(self, row: int, col: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        """Land cover, the values of `Cover`."""
        return _assemble(lambda place: _inner(self._ground_of(place).cover), row, col, height, width, np.uint8)

    def _ground_of(self, place: Place) -> Ground:
        return self._ground.get(place, lambda: self._make_ground(place))

    def _images_of(self, place: Place, band: str) -> FloatArray:
        return self._images.get((place, band), lambda: self._make_images(place, band))

    def _make_ground(self, place: Place) -> Ground:
        inside = np.arange(-MARGIN, BLOCK + MARGIN) + 0.5
        x, y = np.meshgrid(place[1] * BLOCK + inside - self.origin[1], self.origin[0] - place[0] * BLOCK - inside)
        return ground(self.seed, x * self.product.spacing, y * self.product.spacing, self.event)

    def _power(self, here: Ground, band: str, index: int) -> FloatArray:
        """Backscatter at a pass: the ground's, changed by weather that is the same over a stand."""
        before, after = here.power[band]
        rain = normal(key(self.seed, RAIN, index))
        drawn = 0.6 * rain + 0.8 * normal(key(self.seed, WEATHER, index, here.stands))
        decibel = here.weather * drawn.astype(np.float32)[here.stand]
        power = before if self.dates[index] < self.event else after
        changed: FloatArray = power * np.float32(10.0) ** (decibel / np.float32(10.0))
        return changed

    def _truth_of(self, place: Place, first: int, second: int, band: str) -> FloatArray:
        here = self._ground_of(place)
        (one, one_received), (two, two_received) = (self._powers_of(place, band, index) for index in (first, second))
        common = here.history.coherence(self.dates[first], self.dates[second]) * np.sqrt(one * two)
        return _inner(coherence_of_cells(over_cell(common, self.product), one_received, two_received))

    def _powers_of(self, place: Place, band: str, index: int) -> FloatArray:
        """Backscatter of a pass, and what is received over each resolution cell, noise included."""

        def make() -> FloatArray:
            power = self._power(self._ground_of(place), band, index)
            return np.stack([power, over_cell(power + np.float32(self.noise), self.product)])

        return self._powers.get((place, band, index), make)

    def _make_images(self, place: Place, band: str) -> FloatArray:
        """Every pass's image of one block, shape (passes, 256, 256), from the first pass to the last."""
        here = self._ground_of(place)
        history = here.history
        images = np.empty((len(self.dates), BLOCK, BLOCK), np.float32)
        lasting = self._draw(place, band, LASTING)
        renewed = self._draw(place, band, RENEWED, 0)
        noise = np.float32(np.sqrt(self.noise))
        for index, day in enumerate(self.dates):
            if index > 0:
                previous = self.dates[index - 1]
                step = history.renewal(previous, day)
                renewed *= self._on_scatterers(step)
                renewed += self._on_scatterers(_rest(step)) * self._draw(place, band, RENEWED, index)
                if history.strikes(previous, day) and here.struck.any():
                    lasting *= self._on_scatterers(history.survival)
                    lasting += self._on_scatterers(_rest(history.survival)) * self._draw(place, band, REPLACED)
            share = history.regime(day).lasting
            amplitude = np.sqrt(self._power(here, band, index))
            scatterers = self._on_scatterers(amplitude * np.sqrt(share)) * lasting
            scatterers += self._on_scatterers(amplitude * np.sqrt(1.0 - share)) * renewed
            scatterers += noise * self._draw(place, band, THERMAL, index)
            images[index] = _inner(detect(scatterers, self.product))
        return images

    def _on_scatterers(self, pixels: FloatArray) -> FloatArray:
        rows, cols = self.product.samples
        return np.repeat(np.repeat(pixels, cols, axis=1), rows, axis=0)

    def _draw(self, place: Place, band: str, purpose: int, index: int = 0) -> ComplexArray:
        """Circular Gaussian scatterers of a block and its margin, patch by patch, each from a stream of its own."""
        rows, cols = self.product.samples
        side = BLOCK + 2 * MARGIN
        drawn = np.empty((side * rows, side * cols), np.complex64)
        stream = key(self.seed, BANDS.index(band), purpose, index)
        # Each block is cut into 3 x 3 patches; this one's margins reach over the next patch on every side.
        first_row, first_col = 3 * place[0] - 1, 3 * place[1] - 1
        patches = key(0, np.arange(first_row, first_row + 5)[:, np.newaxis], np.arange(first_col, first_col + 5))
        for (i, in_row), (j, in_col) in cross(enumerate(_PATCHES), repeat=2):
            rng = np.random.Generator(np.random.Philox(key=np.array([stream, patches[i, j]], np.uint64)))
            patch = drawn[in_row.start * rows : in_row.stop * rows, in_col.start * cols : in_col.stop * cols]
            patch[:] = circular_gaussian(rng, (patch.shape[0], patch.shape[1]))
        return drawn


_PATCHES = tuple(
    slice(start, stop) for start, stop in pairwise((0, MARGIN, 2 * MARGIN, BLOCK, BLOCK + MARGIN, BLOCK + 2 * MARGIN))
)
"""The patches of a block with its margins along one axis, from the margin's edge: two shared, its own, two shared."""


def _rest(share: FloatArray) -> FloatArray:
    """Amplitude of what is new where `share` of the amplitude is kept."""
    rest: FloatArray = np.sqrt(np.maximum(np.float32(1.0) - share * share, np.float32(0.0)))
    return rest


def _inner(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    return array[MARGIN:-MARGIN, MARGIN:-MARGIN]


def _assemble(
    block: Callable[[Place], npt.NDArray[Scalar]], row: int, col: int, height: int, width: int, kind: type[Scalar]
) -> npt.NDArray[Scalar]:
    """A window put together from the blocks that it touches."""
    window = np.empty((height, width), kind)
    for block_row in range(row // BLOCK, (row + height - 1) // BLOCK + 1):
        for block_col in range(col // BLOCK, (col + width - 1) // BLOCK + 1):
            rows, at_row = _overlap(block_row * BLOCK, row, height)
            cols, at_col = _overlap(block_col * BLOCK, col, width)
            window[rows, cols] = block((block_row, block_col))[at_row, at_col]
    return window


def _overlap(block: int, first: int, length: int) -> tuple[slice, slice]:
    """Where a block that begins at `block` meets a window along one axis: in the window, and in the block."""
    start, stop = max(block, first), min(block + BLOCK, first + length)
    return slice(start - first, stop - first), slice(start - block, stop - block)


def _check_band(band: str) -> None:
    if band not in BANDS:
        raise ModelError(f"the simulated scene has the bands {' and '.join(BANDS)}, not {band}")


def _rebuild(
    seed: int,
    dates: tuple[float, ...],
    event: float | None,
    origin: tuple[float, float],
    product: Product,
    noise: float,
    memory: int,
) -> Scene:
    return Scene(seed, dates, event=event, origin=origin, product=product, noise=noise, memory=memory)


def _ground_bytes(here: Ground) -> int:
    history = here.history
    pairs: list[tuple[FloatArray, FloatArray]] = [
        *here.power.values(),
        (history.before.lasting, history.before.days),
        (history.after.lasting, history.after.days),
        (history.survival, here.weather),
    ]
    return sum(one.nbytes + two.nbytes for one, two in pairs) + here.cover.nbytes + here.stand.nbytes
