"""What kind of image: the sensor's band, its looks, the product's grid, and what follows in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

DoubleArray = npt.NDArray[np.float64]

# Sentinel-1 IW, the IW3 figures of the product annotations: 42.79 MHz of chirp at 43.5 degrees incidence is
# 2 * 42.79 MHz / c * sin(43.5 deg) = 0.1965 cycles a ground metre (IW1: 56.5 MHz at 33 deg = 0.205), so 0.2 stands
# for all three; 313-327 Hz of azimuth bandwidth at 6.81 km/s over ground = 0.0460-0.0480 cycles a metre.
RANGE_BANDWIDTH = 0.2
AZIMUTH_BANDWIDTH = 0.046


@dataclass(frozen=True)
class Product:
    """A detected product: how the sensor's complex samples become its pixels.

    Rows run along azimuth, columns along ground range. Scatterers stand on a grid with a whole number of samples to
    the pixel, just dense enough to fill the processed band, as the samples of the SLC do.

    Attributes
    ----------
    spacing
        Pixel spacing in metres, both directions.
    samples
        Scatterers (SLC samples) a pixel along azimuth and along range.
    looks
        Range looks, cut from the band as overlapping sub-bands and summed after detection. 1 = single look.
    look_fraction
        Width of one look's sub-band as a fraction of the range band.
    resampling
        ``nearest``: a pixel is the detected sample at its place; ``bilinear``: the mean of the four detected samples
        around it, which is bilinear interpolation where it smooths most, half a pixel off; ``average``: the mean of
        the detected samples inside the pixel, as area projection of a terrain-corrected product does.
    hamming
        Coefficient of the Hamming window a + (1 - a) cos(2 pi f / B) on the azimuth band and on each look's band.
    band_hamming
        Coefficient of the window on the whole range band. Of several looks the outer ones are weaker for it.
    range_bandwidth, azimuth_bandwidth
        Processed bandwidth in cycles per metre on the ground.
    """

    name: str
    spacing: float
    samples: tuple[int, int]
    looks: int
    resampling: Literal["nearest", "bilinear", "average"]
    look_fraction: float = 0.25
    hamming: float = 0.73
    band_hamming: float = 0.73
    range_bandwidth: float = RANGE_BANDWIDTH
    azimuth_bandwidth: float = AZIMUTH_BANDWIDTH

    @property
    def sample_spacing(self) -> tuple[float, float]:
        """Distance between scatterers in metres, along azimuth and along range."""
        return self.spacing / self.samples[0], self.spacing / self.samples[1]

    @property
    def resolution(self) -> tuple[float, float]:
        """Half-power width in metres of one look's impulse response, along azimuth and along ground range."""
        offsets = np.linspace(0.0, 60.0, 6001)
        azimuth, ranges = (np.abs(response) ** 2 for response in _responses(self, offsets))
        powers = (azimuth[0], ranges[self.looks // 2])
        half = [2.0 * float(offsets[np.argmax(power < 0.5 * power[0])]) for power in powers]
        return half[0], half[1]

    @property
    def undersampled(self) -> bool:
        """Whether detected pixels are too far apart to interpolate between: the squared band overlaps with itself."""
        look = self.range_bandwidth * (self.look_fraction if self.looks > 1 else 1.0)
        return 2.0 * max(look, self.azimuth_bandwidth) * self.spacing > 1.2

    @property
    def looks_equivalent(self) -> float:
        """Equivalent number of looks over homogeneous ground: mean^2 / variance of a pixel, in closed form."""
        return 1.0 / relative_covariance(self, (0, 0))


GRD_10M = Product("GRD_10M", 10.0, (1, 2), looks=5, resampling="nearest", band_hamming=0.8)
"""Ground-range detected IW product as Earth Engine serves it: 5 x 1 looks on 10 m pixels.

With the whole band's window at 0.8 the equivalent looks are 4.4 and the resolution 20.5 m (range) by 22.1 m, the
figures of the Sentinel-1 product specification for IW GRD at high resolution (4.4; 20.4 m by 22.5 m).
"""
RTC_30M = Product("RTC_30M", 30.0, (3, 6), looks=1, resampling="average")
"""Terrain-corrected product like OPERA RTC-S1: single-look IW SLC averaged onto 30 m pixels."""
RTC_20M = Product("RTC_20M", 20.0, (2, 4), looks=1, resampling="average")
"""Terrain-corrected product like HyP3 RTC at 20 m."""


def product_for(spacing: float) -> Product:
    """The product that images of this pixel spacing (metres) most likely are: GRD up to 15 m, area-averaged beyond."""
    for known in (GRD_10M, RTC_20M, RTC_30M):
        if math.isclose(spacing, known.spacing):
            return known
    base = GRD_10M if spacing <= 15.0 else RTC_30M
    samples = (
        math.ceil(spacing / base.sample_spacing[0] - 1e-9),
        math.ceil(spacing / base.sample_spacing[1] - 1e-9),
    )
    return replace(base, name=f"{base.name.split('_')[0]}_{spacing:g}M", spacing=spacing, samples=samples)


def range_windows(product: Product, frequencies: DoubleArray) -> DoubleArray:
    """Amplitude weight of each range look at each frequency (cycles per metre); shape (looks, frequencies).

    The whole band carries one Hamming window, and each look's sub-band another; sub-bands are spaced evenly so that
    together they just fill the band. The outer looks are therefore weaker than the middle one.
    """
    band = product.range_bandwidth
    whole = _hamming(frequencies / band, product.band_hamming)
    if product.looks == 1:
        return whole[np.newaxis]
    width = band * product.look_fraction
    centres = np.linspace(-0.5, 0.5, product.looks) * (band - width)
    return np.stack([whole * _hamming((frequencies - centre) / width, product.hamming) for centre in centres])


def azimuth_window(product: Product, frequencies: DoubleArray) -> DoubleArray:
    """Amplitude weight at each azimuth frequency (cycles per metre)."""
    return _hamming(frequencies / product.azimuth_bandwidth, product.hamming)


def _hamming(fraction: DoubleArray, coefficient: float) -> DoubleArray:
    inside = np.abs(fraction) <= 0.5 + 1e-12
    return np.where(inside, coefficient + (1.0 - coefficient) * np.cos(2.0 * np.pi * fraction), 0.0)


def _band(width: float) -> tuple[DoubleArray, float]:
    """Midpoints of 512 equal steps across a band, and the step, for integrals over frequency."""
    step = width / 512
    middles: DoubleArray = np.linspace(-0.5 * width, 0.5 * width, 512, endpoint=False, dtype=np.float64) + 0.5 * step
    return middles, step


def _responses(product: Product, offsets: DoubleArray) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.complex128]]:
    """Impulse responses at offsets in metres: azimuth (1, n) and range (looks, n)."""
    azimuth, step = _band(product.azimuth_bandwidth)
    ranges, range_step = _band(product.range_bandwidth)
    return (
        azimuth_window(product, azimuth)[np.newaxis] @ np.exp(2j * np.pi * np.outer(azimuth, offsets)) * step,
        range_windows(product, ranges) @ np.exp(2j * np.pi * np.outer(ranges, offsets)) * range_step,
    )


def relative_covariance(product: Product, offset: tuple[int, int]) -> float:
    """Covariance over mean^2 of two pixels of one image over homogeneous ground.

    For circular-Gaussian samples the covariance of detected intensities is the squared modulus of the covariance of
    the complex samples (Siegert relation), summed over all pairs of looks and all pairs of samples that the two
    pixels average.

    Parameters
    ----------
    offset
        Rows and columns from one pixel to the other; (0, 0) gives 1 / ENL.
    """
    azimuth, step = _band(product.azimuth_bandwidth)
    ranges, range_step = _band(product.range_bandwidth)
    rows, row_weights = _averaged_lags(product, 0, offset[0])
    cols, col_weights = _averaged_lags(product, 1, offset[1])
    power = azimuth_window(product, azimuth) ** 2 * step
    along = np.exp(2j * np.pi * np.outer(rows, azimuth)) @ power
    windows = range_windows(product, ranges)
    products = windows[:, np.newaxis] * windows[np.newaxis] * range_step
    across = products @ np.exp(2j * np.pi * np.outer(ranges, cols))
    mean = float(power.sum()) * float(np.trace(products.sum(axis=-1)))
    rows_part = float(row_weights @ np.abs(along) ** 2)
    cols_part = float((np.abs(across) ** 2).sum(axis=(0, 1)) @ col_weights)
    return rows_part * cols_part / mean**2


def neighbour_correlation(product: Product, offset: tuple[int, int]) -> float:
    """Correlation of two pixels' intensities over homogeneous ground, `offset` rows and columns apart."""
    return relative_covariance(product, offset) / relative_covariance(product, (0, 0))


def _averaged_lags(product: Product, axis: int, pixels: int) -> tuple[DoubleArray, DoubleArray]:
    """Lags in metres between the detected samples of two pixels along one axis, and the weight of each."""
    places = detected_places(product, axis)
    lags = (places[:, np.newaxis] - places[np.newaxis] + pixels * product.spacing).ravel()
    return lags, np.full(lags.size, 1.0 / lags.size)


def detected_places(product: Product, axis: int) -> DoubleArray:
    """Where along one axis the detected samples of a pixel lie, in metres from its centre."""
    if product.resampling == "nearest":
        return np.zeros(1)
    if product.resampling == "bilinear":
        return np.array([-0.5, 0.5]) * product.spacing
    count = product.samples[axis]
    return ((np.arange(count) + 0.5) / count - 0.5) * product.spacing


@lru_cache(maxsize=32)
def footprint(product: Product) -> tuple[DoubleArray, DoubleArray]:
    """How much the ground in each pixel around contributes to a pixel's power: weights along rows and along columns.

    The impulse response's power, integrated over the scatterers of each pixel; odd length, sum 1, cut where less than
    0.5 % is left on each side.
    """
    kernels = []
    for axis in (0, 1):
        reach = 12
        count = product.samples[axis]
        scatterers = ((np.arange((2 * reach + 1) * count) + 0.5) / count - 0.5 - reach) * product.spacing
        weights = np.zeros(2 * reach + 1)
        for place in detected_places(product, axis):
            power = (np.abs(_responses(product, scatterers - place)[axis]) ** 2).sum(axis=0)
            weights += power.reshape(-1, count).sum(axis=1)
        weights /= weights.sum()
        outside = np.cumsum(weights)[:reach]
        cut = int(np.searchsorted(outside, 5e-3))
        kept = weights[cut : weights.size - cut]
        kernels.append(kept / kept.sum())
    return kernels[0], kernels[1]
