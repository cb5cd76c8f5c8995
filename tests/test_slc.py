"""Complex images: coherence and its bias, the drifting azimuth spectrum of TOPS, detection without aliasing."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from models.errors import ModelError
from models.simulate.product import GRD_10M
from models.simulate.speckle import ComplexArray, circular_gaussian, focus
from models.slc.coherence import expected_coherence, independent_looks, sample_coherence, unbiased
from models.slc.detect import intensity, on_pixels, range_looks
from models.slc.spectrum import azimuth_centroid, deramped

SENSOR = replace(GRD_10M, samples=(1, 3))
SPACING = SENSOR.sample_spacing
START, DRIFT = 0.1, 0.0066


def ramp(lines: int) -> ComplexArray:
    places = np.arange(lines)
    return np.exp(2j * np.pi * (START * places + 0.5 * DRIFT * places**2))[:, np.newaxis].astype(np.complex64)


@lru_cache(maxsize=4)
def pair(gamma: float) -> tuple[ComplexArray, ComplexArray]:
    """Homogeneous ground as a TOPS image shows it: 128 lines of 384 samples, azimuth centroid drifting."""
    rng = np.random.default_rng(7)
    first, other = (circular_gaussian(rng, (128, 384)) for _ in range(2))
    second = np.float32(gamma) * first + np.float32((1 - gamma**2) ** 0.5) * other
    # the simulator keeps its band around half the sampling frequency, sensors deliver it around zero in range
    columns = (-1.0) ** np.arange(384, dtype=np.float32)
    one, two = (focus(image, SENSOR) * columns * ramp(128) for image in (first, second))
    return one.astype(np.complex64), two.astype(np.complex64)


@pytest.mark.parametrize(("gamma", "looks"), [(0.0, 16), (0.3, 5), (0.7, 16), (0.95, 60)])
def test_the_bias_of_sample_coherence_is_touzis(gamma: float, looks: int) -> None:
    rng = np.random.default_rng(1)
    first, other = (rng.normal(size=(2, 20_000, looks)).view(np.float64) for _ in range(2))
    z1, w = (part[0] + 1j * part[1] for part in (first, other))
    z2 = gamma * z1 + np.sqrt(1 - gamma**2) * w
    cross = np.abs((z1 * z2.conj()).sum(axis=1))
    sample = cross / np.sqrt((np.abs(z1) ** 2).sum(axis=1) * (np.abs(z2) ** 2).sum(axis=1))
    assert expected_coherence(gamma, looks) == pytest.approx(sample.mean(), abs=0.004)


def test_the_bias_of_16_looks_without_coherence_is_the_published_one() -> None:
    assert expected_coherence(0.0, 16) == pytest.approx(0.2233, abs=5e-5)
    assert expected_coherence(1.0, 16) == 1.0
    assert expected_coherence(0.999, 400.0) == pytest.approx(0.999, abs=1e-4)


def test_the_correction_undoes_the_bias() -> None:
    gammas = np.array([0.05, 0.4, 0.9])
    sample = np.array([expected_coherence(gamma, 12.5) for gamma in gammas], np.float32)
    np.testing.assert_allclose(unbiased(sample, 12.5), gammas, atol=2e-3)
    assert unbiased(np.array([0.1], np.float32), 12.5)[0] == 0.0


@pytest.mark.parametrize("gamma", [0.0, 0.6])
def test_coherence_of_a_simulated_pair_comes_out_unbiased(gamma: float) -> None:
    first, second = pair(gamma)
    looks = independent_looks(first, (5, 19))
    assert 20 < looks < 40
    sample = sample_coherence(first, second, (5, 19))[8:-8, 16:-16]
    assert float(sample.mean()) == pytest.approx(expected_coherence(gamma, looks), abs=0.015)


def test_no_power_means_no_coherence() -> None:
    first, second = (image.copy() for image in pair(0.6))
    first[:, :200] = 0.0
    assert sample_coherence(first, second, (3, 9))[64, 100] == 0.0
    with pytest.raises(ModelError, match="one shape"):
        sample_coherence(first, second[1:], (3, 9))


def test_the_drift_of_the_azimuth_centroid_is_found_and_taken_out() -> None:
    first, _ = pair(0.6)
    start, drift = azimuth_centroid(first)
    # the simulator's own azimuth centroid is half a cycle
    assert (start - 0.5 - START + 0.5) % 1.0 - 0.5 == pytest.approx(0.0, abs=0.03)
    assert drift == pytest.approx(DRIFT, rel=0.05)
    centred = deramped(first)
    np.testing.assert_allclose(np.abs(centred), np.abs(first), rtol=1e-5)
    spectrum = (np.abs(np.fft.fft(centred, axis=0)) ** 2).sum(axis=1)
    outside = np.abs(np.fft.fftfreq(128)) > 0.3
    assert spectrum[outside].sum() < 0.01 * spectrum.sum()


def test_oversampling_keeps_the_samples_and_power_whatever_the_centroid() -> None:
    first, _ = pair(0.6)
    dense = intensity(first)
    assert dense.shape == (256, 768)
    np.testing.assert_allclose(dense[::2, ::2], np.abs(first) ** 2, atol=2e-4 * float(dense.max()))
    inside = dense[32:-32, 32:-32]
    between, on = inside[1::2, 1::2], inside[::2, ::2]
    assert between.mean() == pytest.approx(on.mean(), rel=0.05)
    assert between.var() / between.mean() ** 2 == pytest.approx(1.0, abs=0.15)  # single look, not smoothed


def test_range_looks_are_those_of_a_grd_product() -> None:
    looks = on_pixels(range_looks(pair(0.6)[0], SPACING[1]), SPACING, 10.0)
    assert looks.shape == (128, 128)
    inside = looks[8:-8, 8:-8]
    assert inside.mean() ** 2 / inside.var() == pytest.approx(GRD_10M.looks_equivalent, rel=0.25)


@pytest.mark.parametrize("pixel", [10.0, 13.7, 4.0])
def test_averaging_onto_pixels_keeps_power_and_place(pixel: float) -> None:
    power = np.zeros((40, 60), np.float32)
    power[20:24, 30:36] = 1.0
    pixels = on_pixels(power, (10.0, 3.0), pixel)
    assert pixels.shape == (int(200 / pixel), int(90 / pixel))
    assert pixels.sum() * pixel**2 == pytest.approx(24 * 5.0 * 1.5, rel=1e-4)
    rows, cols = ((np.arange(side) + 0.5) * pixel for side in pixels.shape)
    assert (pixels.sum(axis=1) @ rows) / pixels.sum() == pytest.approx(22 * 5.0, abs=0.5 * pixel)
    assert (pixels.sum(axis=0) @ cols) / pixels.sum() == pytest.approx(33 * 1.5, abs=0.5 * pixel)
