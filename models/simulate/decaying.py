"""Random scenes under a series of passes, each patch of ground with a decay of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.decay.curve import coherence_at
from models.simulate.fields import FloatArray, patches
from models.simulate.pair import margins, resolved_coherence
from models.simulate.product import Product
from models.simulate.random_scene import random_scene
from models.simulate.series import Covariance, draw_images

# Patches that lose coherence within days and such that keep it for months; one in eight keeps none at all.
TAUS = (4.0, 60.0)
LASTING = 0.9
NOISE_DB = (-30.0, -25.0)
# A place counts as the edge of a patch within so many pixels of it.
EDGE = 3


@dataclass(frozen=True, eq=False)
class DecayingScene:
    """Images of several dates and how the coherence of their ground decays.

    Attributes
    ----------
    days
        Of each image.
    images
        Linear power, float32, shape (size, size).
    tau, rho_inf
        Of the ground, float32, same shape.
    inside
        Pixels away from the edges of patches, bool.
    """

    days: tuple[float, ...]
    images: tuple[FloatArray, ...]
    tau: FloatArray
    rho_inf: FloatArray
    inside: npt.NDArray[np.bool_]
    covariance: Covariance
    window: tuple[slice, slice]
    product: Product

    def truth(self, first: int, second: int) -> FloatArray:
        """Population coherence of two images (the later one second): the ground's, in noise, over resolution cells."""
        row = self.covariance[second]
        return resolved_coherence(row[first], self.covariance[first][first], row[second], self.product)[self.window]


def draw_decaying(days: Sequence[float], product: Product, size: int, seed: int, number: int) -> DecayingScene:
    """Draw one scene; everything follows from the seed and the number.

    Brightness, texture and changes of brightness are those of `random_scene`; decay has a layout of its own.
    """
    rng = np.random.default_rng([seed, number])
    before, after = margins(size, 0.0)
    side = size + before + after
    base = random_scene(rng, (side, side), days=days, noise_db=NOISE_DB)
    layout = patches(rng, (side, side))
    count = int(layout.max()) + 1
    rho_inf = rng.uniform(0.0, LASTING, count)
    rho_inf[rng.random(count) < 0.125] = 0.0
    lasting = rho_inf.astype(np.float32)[layout]
    tau = np.exp(rng.uniform(math.log(TAUS[0]), math.log(TAUS[1]), count)).astype(np.float32)[layout]
    roots = [np.sqrt(power) for power in base.backscatter]
    covariance = [
        [
            *(coherence_at(np.float32(days[i] - days[j]), tau, lasting) * roots[i] * roots[j] for j in range(i)),
            base.backscatter[i] + np.float32(base.noise),
        ]
        for i in range(len(days))
    ]
    images, _ = draw_images(covariance, product, rng, [(0.0, 0.0)] * len(days))
    window = (slice(before, before + size), slice(before, before + size))
    around = 2 * EDGE + 1
    inside = ndimage.maximum_filter(layout, around) == ndimage.minimum_filter(layout, around)
    seen = tuple(image[window].copy() for image in images)
    return DecayingScene(tuple(days), seen, tau[window], lasting[window], inside[window], covariance, window, product)
