"""The kinds of images that an estimator may be given, drawn at random for training: products, looks and samplings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.simulate.product import GRD_10M, RTC_20M, RTC_30M, Product

SHARES = {"grd": 0.54, "rtc-20": 0.09, "rtc-30": 0.12, "looks": 0.13, "single": 0.05, "slc": 0.07}
"""How often each kind is drawn."""
LOOKS, FRACTIONS = (2, 3, 4, 6, 8, 12), (0.12, 0.17, 0.25, 0.4)
"""Numbers of range looks, and widths of a look as shares of the band; few, so that what follows is worked out once.
The ten looks of 0.14 that estimators are scored on are between them, not among them."""
BANDS = (0.6, 0.75, 0.9)
"""Bandwidths of single-look complex images in cycles a sample."""
STRETCHES = (0.88, 0.95, 1.0, 1.06)
"""Factors on a product's bandwidths: sub-swaths and satellites differ."""


def mixed_product(rng: np.random.Generator) -> Product:
    """Mostly GRD at 10 m; also area-averaged products, other looks, and the samples of the SLC itself."""
    kind = rng.choice(list(SHARES), p=list(SHARES.values())).item()
    if kind == "slc":
        return _slc(rng)
    product = {"rtc-20": RTC_20M, "rtc-30": RTC_30M}.get(kind, GRD_10M)
    if kind == "looks":
        product = _other_looks(rng)
    if kind == "single":
        product = _single_look(rng)
    if rng.random() < 0.5:
        return product
    return replace(
        product,
        range_bandwidth=product.range_bandwidth * float(rng.choice(STRETCHES)),
        azimuth_bandwidth=product.azimuth_bandwidth * float(rng.choice(STRETCHES)),
    )


def _other_looks(rng: np.random.Generator) -> Product:
    looks, fraction = int(rng.choice(LOOKS)), float(rng.choice(FRACTIONS))
    product = replace(GRD_10M, name=f"LOOKS_{looks}", looks=looks, look_fraction=fraction)
    return replace(product, resampling="bilinear") if rng.random() < 0.5 else product


def _single_look(rng: np.random.Generator) -> Product:
    """The whole band in one look, finer than the pixels; or one look of the GRD's by itself."""
    if rng.random() < 0.6:
        return replace(GRD_10M, name="SINGLE_LOOK", looks=1)
    return replace(
        GRD_10M, name="ONE_OF_FIVE", looks=1, range_bandwidth=GRD_10M.range_bandwidth * GRD_10M.look_fraction
    )


def _slc(rng: np.random.Generator) -> Product:
    """An SLC's own samples, detected: pixels nearly independent, told to be of 10 m whatever they measure."""
    along, across = (float(band) / GRD_10M.spacing for band in rng.choice(BANDS, 2))
    return replace(
        GRD_10M, name="SLC", samples=(1, 1), looks=1, range_bandwidth=across, azimuth_bandwidth=along, band_hamming=0.73
    )
