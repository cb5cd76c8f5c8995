"""The published way over a large image: overlapping patches, blended with a Kaiser window.

cohmap itself computes whole tiles with a halo, which costs a fraction and leaves no seams. This is kept to compare
with the published inference: with a stride of 32 in patches of 128 pixels every pixel is computed about 16 times.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.estimator import FloatArray

PATCH = 128
"""Side of a patch in pixels, as published."""
STRIDE = 32
"""Pixels from one patch to the next, as published."""
BETA = 5.0
"""Shape of the Kaiser window, as published."""


def blend_patches(
    images: FloatArray,
    predict: Callable[[FloatArray], FloatArray],
    *,
    patch: int = PATCH,
    stride: int = STRIDE,
    beta: float = BETA,
) -> FloatArray:
    """Predict patch by patch and average the overlaps, weighted by a Kaiser window.

    The last patch of a row or column lies flush with the image's edge; an image smaller than a patch is mirrored until
    it fills one.

    Parameters
    ----------
    images
        Shape (channels, height, width), without NaN.
    predict
        From one patch, shape (channels, patch, patch), to its prediction, shape (patch, patch).
    patch, stride, beta
        Side of a patch and step to the next in pixels; shape of the window. As published where left out.

    Returns
    -------
    FloatArray
        float32, shape (height, width).

    Raises
    ------
    ModelError
        The stride is larger than the patch, so that pixels would be left out, or one of them is below 1.
    """
    if not 1 <= stride <= patch:
        raise ModelError(f"patches of {patch} px can't stand {stride} px apart; choose a stride of 1 to {patch}")
    height, width = images.shape[1:]
    filling = [(0, 0), (0, max(patch - height, 0)), (0, max(patch - width, 0))]
    padded = np.pad(images, filling, mode="reflect")
    window = np.kaiser(patch, beta)
    weight = np.outer(window, window)
    total, weights = np.zeros(padded.shape[1:]), np.zeros(padded.shape[1:])
    for top in _starts(padded.shape[1], patch, stride):
        for left in _starts(padded.shape[2], patch, stride):
            place = slice(top, top + patch), slice(left, left + patch)
            total[place] += weight * predict(padded[:, *place])
            weights[place] += weight
    blended: npt.NDArray[np.float64] = total / weights
    return blended[:height, :width].astype(np.float32)


def _starts(length: int, patch: int, stride: int) -> list[int]:
    return [*range(0, length - patch, stride), length - patch]
