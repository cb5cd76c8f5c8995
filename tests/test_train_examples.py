"""What is learned from: logarithms, coregistration as good as the pipeline's, summaries of further dates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.coherence.inputs import logarithm, summarise
from models.simulate.draw import Recipe, draw
from models.simulate.families import FAMILIES, HELD_OUT_FAMILIES
from models.simulate.fields import FloatArray
from models.train.examples import as_example, simulated_example


def correlation(first: FloatArray, second: FloatArray) -> float:
    both = np.isfinite(first) & np.isfinite(second)
    return float(np.corrcoef(first[both].astype(np.float64), second[both].astype(np.float64))[0, 1])


def test_an_example_follows_from_seed_and_number() -> None:
    one, again, other = (simulated_example(1, number, 32) for number in (4, 4, 5))
    for first, second in ((one.images, again.images), (one.context, again.context), (one.coherence, again.coherence)):
        np.testing.assert_array_equal(first, second)
    assert one.dates == again.dates
    assert not np.array_equal(one.coherence, other.coherence)


def test_examples_are_of_every_kind() -> None:
    examples = [simulated_example(2, number, 32) for number in range(40)]
    for example in examples:
        assert example.images.dtype == example.context.dtype == example.coherence.dtype == np.float16
        assert example.images.shape == example.context.shape == (2, 32, 32)
        assert not np.isinf(example.images).any()
        assert np.isfinite(example.context).all()
        assert (example.context[1] >= 0.0).all()
        assert example.coherence.min() >= 0.0
        assert example.coherence.max() <= 1.0
        assert example.dates or not example.context.any()
        assert example.dates != 1 or not example.context[1].any()
    assert {0} < {example.dates for example in examples} <= set(range(6))
    assert any(
        np.isnan(example.images[1]).any() for example in examples
    )  # moved by coregistration, or noise subtracted
    assert np.mean([np.isnan(example.images).mean() for example in examples]) < 0.2


def test_no_example_has_a_texture_that_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_rng: np.random.Generator, _shape: tuple[int, int]) -> FloatArray:
        raise AssertionError("a held-out family in training")

    for name in HELD_OUT_FAMILIES:
        monkeypatch.setitem(FAMILIES, name, forbidden)
    for number in range(60):
        simulated_example(3, number, 16)
    with pytest.raises(AssertionError, match="held-out"):
        draw(Recipe(size=16, families=HELD_OUT_FAMILIES), 3, 0)


def test_the_pair_is_coregistered_but_for_a_residual() -> None:
    sample = draw(Recipe(size=128, homogeneous=True, exponent=0.05, shift=3.0), 4, 0)
    example = as_example(sample, np.random.default_rng(4))
    assert correlation(logarithm(sample.reference), logarithm(sample.secondary)) < 0.3
    assert correlation(example.images[0], example.images[1]) > 0.75
    np.testing.assert_allclose(example.coherence, sample.coherence, atol=1e-3)
    np.testing.assert_allclose(example.images[0], logarithm(sample.reference), rtol=1e-3, atol=1e-3)


def test_a_pair_that_lies_right_is_not_resampled() -> None:
    sample = draw(Recipe(size=32, homogeneous=True), 5, 0)
    example = as_example(sample, np.random.default_rng(5))
    np.testing.assert_array_equal(example.images[1], logarithm(sample.secondary).astype(np.float16))


def test_power_that_is_not_positive_is_missing() -> None:
    sample = draw(Recipe(size=32, homogeneous=True), 6, 0)
    empty = sample.reference.copy()
    empty[3, 4] = 0.0
    example = as_example(replace(sample, reference=empty), np.random.default_rng(6))
    assert np.isnan(example.images[0, 3, 4])
    assert np.isnan(example.images).sum() == 1


def test_further_dates_are_summed_up_over_those_that_have_data() -> None:
    dates = [np.full((2, 2), np.exp(level), np.float32) for level in (-3.0, -2.0, -1.0)]
    dates[0][0, 0] = np.nan
    dates[1][0, 1] = dates[2][0, 1] = 0.0
    for date in dates:
        date[1, 1] = -1.0
    mean, deviation = summarise(dates, (2, 2))
    np.testing.assert_allclose(mean, [[-1.5, -3.0], [-2.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(deviation, [[np.sqrt(0.5), 0.0], [1.0, 0.0]], atol=1e-6)
    assert mean.dtype == deviation.dtype == np.float32


def test_without_further_dates_the_summary_is_zero() -> None:
    mean, deviation = summarise([], (3, 5))
    assert mean.shape == deviation.shape == (3, 5)
    assert not mean.any()
    assert not deviation.any()
