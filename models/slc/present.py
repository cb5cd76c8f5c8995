"""Where a complex image has data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage


def present(image: npt.NDArray[np.complex64]) -> npt.NDArray[np.bool_]:
    """Where a complex image has data: finite, and not one of several zeros beside each other.

    A zero by itself is a dark sample that was rounded; 3 x 3 of them are the end of a burst or of a scene.
    """
    there: npt.NDArray[np.bool_] = np.isfinite(image)
    zero = image == 0
    if zero.any():
        there &= ~ndimage.binary_opening(zero, np.ones((3, 3), np.bool_))
    return there
