"""One global shift between two detected images: estimated from their speckle and texture, and removed.

Speckle repeats only where the two images see the same resolution cells, so misregistration looks like lost coherence.
The shift is the peak of the cross-correlation of the high-passed logarithms. Whitening the spectrum first, as phase
correlation does, was measured to double the error: detected products are oversampled, and whitening raises
frequencies that hold noise only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from models.errors import ModelError
from models.estimator import FloatArray

DoubleArray = npt.NDArray[np.float64]

HIGH_PASS = 7
"""Side in pixels of the mean removed from the logarithms; 5 to 11 do equally well, 3 is worse at 30 m."""
TAPER = 16
"""Pixels over which the images fade out at their borders."""
LEAST_QUALITY = 8.0
"""Peaks lower than this many deviations of the background are chance: open sea reached 4.4, land stays above 10."""
LEAST_PIXELS = 48 * 48
"""Fewer pixels of data show no background to tell a peak from: its spread goes to nothing, quality to infinity."""
LEAST_SHIFT = 0.1
"""Shifts shorter than this, in pixels, are left alone: they cost coherence less than 0.005 in RMSE."""
LOBES = 3
"""Half the length of the Lanczos kernel."""


@dataclass(frozen=True)
class Shift:
    """Where the secondary lies relative to the reference.

    Attributes
    ----------
    dy, dx
        Rows and columns, in pixels, by which the secondary's content lies too far down and right.
    quality
        Height of the correlation peak above its background, in robust standard deviations of that background.
    """

    dy: float
    dx: float
    quality: float

    @property
    def reliable(self) -> bool:
        """Whether the peak stands out; open sea and lost coherence without texture have none."""
        return self.quality >= LEAST_QUALITY

    @property
    def negligible(self) -> bool:
        """Whether the shift is too short to be worth resampling."""
        return math.hypot(self.dy, self.dx) < LEAST_SHIFT


NO_SHIFT = Shift(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class HighPassed:
    """An image ready to be compared with any number of others of its shape.

    Attributes
    ----------
    there
        Where it has data, shape (height, width).
    spectrum
        Half the spectrum of its high-passed logarithm.
    """

    there: npt.NDArray[np.bool_]
    spectrum: npt.NDArray[np.complex128]


def high_passed(image: FloatArray) -> HighPassed:
    """What `shift_between` needs of an image, shape (height, width), linear power, NaN where there is no data."""
    return HighPassed(image > 0, fft.rfft2(_filtered(image), _padded(image.shape)))  # not above 0 where it is NaN


def estimate_shift(reference: FloatArray, secondary: FloatArray, *, max_shift: int = 8) -> Shift:
    """Shift of one tile of the secondary against the reference.

    Parameters
    ----------
    reference, secondary
        Linear power, shape (height, width), NaN where there is no data.
    max_shift
        Longest shift looked for along each axis, in pixels.

    Returns
    -------
    Shift
        Quality 0, and no shift, where the images are too small for the search, have less than `LEAST_PIXELS` pixels
        of data in common, or show nothing.

    Raises
    ------
    ModelError
        Shapes differ, or aren't two-dimensional.
    """
    if reference.ndim != 2 or reference.shape != secondary.shape:
        raise ModelError(
            f"a shift is estimated between two images of one shape, not {reference.shape} and {secondary.shape}"
        )
    return shift_between(high_passed(reference), high_passed(secondary), max_shift=max_shift)


def shift_between(reference: HighPassed, secondary: HighPassed, *, max_shift: int = 8) -> Shift:
    """`estimate_shift` of images that are compared more than once."""
    sides = reference.there.shape
    background = min(4 * max_shift, min(sides) // 4)
    shared = np.count_nonzero(reference.there & secondary.there)
    if background <= max_shift or shared < LEAST_PIXELS:
        return NO_SHIFT
    shape = _padded(sides)
    cross = np.conj(reference.spectrum) * secondary.spectrum
    around = np.roll(fft.irfft2(cross, shape), (background, background), (0, 1))
    around = around[: 2 * background + 1, : 2 * background + 1]
    middle = float(np.median(around))
    deviation = 1.4826 * float(np.median(np.abs(around - middle)))
    searched = around[background - max_shift :, background - max_shift :][: 2 * max_shift + 1, : 2 * max_shift + 1]
    peak = np.unravel_index(int(np.argmax(searched)), searched.shape)
    if not deviation > 0:
        return NO_SHIFT
    quality = (float(searched[peak]) - middle) / deviation
    dy, dx = _refined(cross, shape, (int(peak[0]) - max_shift, int(peak[1]) - max_shift))
    return Shift(dy, dx, quality)


def _padded(sides: Sequence[int]) -> list[int]:
    """Sides that transform fast."""
    return [fft.next_fast_len(side, real=True) for side in sides]


def _filtered(image: FloatArray) -> DoubleArray:
    """High-passed logarithm over valid pixels, 0 elsewhere, faded out at the borders."""
    valid = np.isfinite(image) & (image > 0)
    logarithm = np.log(np.where(valid, image, 1.0).astype(np.float64))
    weight = ndimage.uniform_filter(valid.astype(np.float64), HIGH_PASS, mode="constant")
    mean = ndimage.uniform_filter(logarithm, HIGH_PASS, mode="constant") / np.maximum(weight, HIGH_PASS**-2)
    rows, cols = (_fade(side) for side in image.shape)
    filtered: DoubleArray = np.where(valid, logarithm - mean, 0.0) * rows[:, np.newaxis] * cols
    return filtered


def _fade(side: int) -> DoubleArray:
    places = np.arange(side) + 0.5
    fade: DoubleArray = np.sin(0.5 * np.pi * np.minimum(np.minimum(places, side - places) / TAPER, 1.0)) ** 2
    return fade


def _refined(cross: npt.NDArray[np.complex128], shape: Sequence[int], whole: tuple[int, int]) -> tuple[float, float]:
    """Peak of the correlation between pixels, from its Fourier series on a grid of a tenth of a pixel, then a parabola.

    After Guizar-Sicairos, Thurman & Fienup 2008, "Efficient subpixel image registration algorithms", Opt. Lett. 33(2).
    """
    steps = np.linspace(-1.0, 1.0, 21)
    rows = np.exp(2j * np.pi * np.outer(whole[0] + steps, np.fft.fftfreq(shape[0])))
    frequencies = np.fft.rfftfreq(shape[1])
    cols = np.exp(2j * np.pi * np.outer(frequencies, whole[1] + steps))
    # Half a spectrum stands for both halves: every frequency but the first and (even length) the last counts twice.
    twice = np.where((frequencies == 0) | (frequencies == 0.5), 1.0, 2.0)
    surface = (rows @ (cross * twice) @ cols).real
    row, col = np.unravel_index(int(np.argmax(surface)), surface.shape)
    step = float(steps[1] - steps[0])
    return (
        whole[0] + float(steps[row]) + step * _vertex(surface[:, col], int(row)),
        whole[1] + float(steps[col]) + step * _vertex(surface[row], int(col)),
    )


def _vertex(line: DoubleArray, top: int) -> float:
    """Offset, in steps, of the vertex of the parabola through a maximum and its neighbours."""
    if not 0 < top < line.size - 1:
        return 0.0
    before, at, after = line[top - 1 : top + 2]
    bend = before - 2.0 * at + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0


def combine_shifts(shifts: Sequence[Shift]) -> Shift:
    """One shift for the whole image: median over its tiles, weighted by quality; unreliable tiles don't count.

    Returns
    -------
    Shift
        Its quality is the median of the tiles that count; no shift with quality 0 where none does.
    """
    kept = [shift for shift in shifts if shift.reliable]
    if not kept:
        return NO_SHIFT
    weights = np.array([shift.quality for shift in kept])
    return Shift(
        _weighted_median(np.array([shift.dy for shift in kept]), weights),
        _weighted_median(np.array([shift.dx for shift in kept]), weights),
        float(np.median(weights)),
    )


def _weighted_median(values: DoubleArray, weights: DoubleArray) -> float:
    """Value at which half of the weight is reached, linear between values so that it doesn't jump."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) - 0.5 * weights[order]
    return float(np.interp(0.5 * weights.sum(), reached, values[order]))


def shift_halo(shift: Shift) -> int:
    """Pixels around a tile that `apply_shift` needs for the tile to come out as in the whole image."""
    if shift.negligible:
        return 0
    return math.ceil(max(abs(shift.dy), abs(shift.dx))) + LOBES


def apply_shift(image: FloatArray, shift: Shift) -> FloatArray:
    """Resample the secondary onto the reference: pixel (y, x) of the result is the image at (y + dy, x + dx).

    Whole pixels are copied; the fraction is interpolated by a Lanczos kernel of three lobes, on the logarithm, where
    no overshoot can make power negative. For GRD images this was measured to cost nothing. Area-averaged products
    (RTC at 20 and 30 m) are undersampled: there half a pixel can be undone only in part, whatever the kernel.

    Parameters
    ----------
    image
        Linear power, shape (height, width), NaN where there is no data.

    Returns
    -------
    FloatArray
        float32, same shape; the image itself where the shift is negligible. NaN where the place lies outside the
        image or nearest to a pixel without data; missing neighbours are left out of the kernel. Power that isn't
        positive is passed on from the nearest pixel.
    """
    if shift.negligible:
        return image
    nearest: FloatArray = _shifted(_shifted(image, round(shift.dy), 0), round(shift.dx), 1).astype(
        np.float32, copy=False
    )
    if shift.dy == round(shift.dy) and shift.dx == round(shift.dx):
        return nearest
    valid = np.isfinite(image) & (image > 0)
    logarithm = np.where(valid, np.log(np.where(valid, image, 1.0)), np.nan)
    smooth = _interpolated(_interpolated(logarithm, shift.dy, 0), shift.dx, 1)
    usable = np.isfinite(smooth) & (nearest > 0)
    resampled: FloatArray = np.where(usable, np.exp(np.where(usable, smooth, 0.0)), nearest).astype(np.float32)
    return resampled


def apply_shift_trimmed(image: FloatArray, shift: Shift) -> FloatArray:
    """`apply_shift` to a tile that was read with `shift_halo` pixels more on every side, which are cut off again.

    So the tile that goes to an estimator begins where the reference's does, whatever the shift: networks that pool
    give the same pixels in a tile as in the whole image only where tiles begin on a lattice of the image.
    """
    margin = shift_halo(shift)
    moved = apply_shift(image, shift)
    return moved[margin:-margin, margin:-margin] if margin else moved


def _shifted(image: npt.NDArray[np.floating], pixels: int, axis: int) -> npt.NDArray[np.floating]:
    """The image `pixels` further along an axis, NaN beyond its end."""
    length = image.shape[axis]
    kept = max(length - abs(pixels), 0)
    source, target = [slice(None), slice(None)], [slice(None), slice(None)]
    source[axis] = slice(max(pixels, 0), max(pixels, 0) + kept)
    target[axis] = slice(max(-pixels, 0), max(-pixels, 0) + kept)
    moved = np.full_like(image, np.nan)
    if kept:
        moved[tuple(target)] = image[tuple(source)]
    return moved


def _interpolated(image: DoubleArray, shift: float, axis: int) -> DoubleArray:
    """The image `shift` pixels further along an axis; NaN where the nearest pixel or most of the kernel is missing."""
    whole = round(shift)
    taps = np.arange(-LOBES, LOBES + 1)
    distances = taps - (shift - whole)
    weights = np.where(np.abs(distances) < LOBES, np.sinc(distances) * np.sinc(distances / LOBES), 0.0)
    weights /= weights.sum()
    total, weight = np.zeros(image.shape), np.zeros(image.shape)
    for tap, share in zip(taps, weights, strict=True):
        part = _shifted(image, whole + int(tap), axis)
        there = np.isfinite(part)
        total += np.where(there, share * part, 0.0)
        weight += np.where(there, share, 0.0)
    kept = np.isfinite(_shifted(image, whole, axis)) & (weight > 0.5)
    return np.where(kept, total / np.where(kept, weight, 1.0), np.nan)
