"""The median over layers is NumPy's own, bit for bit, wherever the gaps are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from models.median import median_of_known


@pytest.mark.parametrize("layers", [1, 2, 5, 8])
@pytest.mark.parametrize("missing", [0.0, 0.3, 0.9])
def test_the_median_of_what_is_known_is_numpys(layers: int, missing: float) -> None:
    rng = np.random.default_rng([layers, int(10 * missing)])
    values = rng.random((layers, 40, 30), dtype=np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN slice")
        expected = np.nanmedian(values, axis=0)
    found = median_of_known(values)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_layers_are_left_as_they_were_and_nothing_known_is_no_data() -> None:
    values = np.array([[[3.0, np.nan]], [[1.0, np.nan]]], np.float32)
    before = values.copy()
    np.testing.assert_array_equal(median_of_known(values), [[2.0, np.nan]])
    np.testing.assert_array_equal(values, before)
