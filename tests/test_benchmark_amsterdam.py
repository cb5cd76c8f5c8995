"""The real SLC pair, where it is at hand: its spectrum, its coherence, and detected images of it in their places."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from models import registry
from models.slc.coherence import sample_coherence
from models.slc.spectrum import azimuth_centroid
from tests.benchmarks import amsterdam
from tests.benchmarks.amsterdam import FOLDER, SAMPLINGS, RealPair, Sampling, read_pair

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"needs the SLC pair at {FOLDER}")


@pytest.fixture(scope="module")
def pair() -> RealPair:
    return read_pair()


def test_the_azimuth_centroid_drifts_from_line_to_line(pair: RealPair) -> None:
    for image in pair.images:
        start, drift = azimuth_centroid(image)
        assert drift == pytest.approx(0.0066, abs=0.0003)
        assert start == pytest.approx(0.036, abs=0.02)  # a mean of 0.39 over 84 lines hides half a turn


def test_the_bias_of_its_coherence_is_that_of_33_samples(pair: RealPair) -> None:
    """A shift along range alone leaves what no coherence looks like; one along azimuth would add a fringe."""
    first, second = pair.images
    null = float(sample_coherence(first, np.roll(second, 81, axis=1), amsterdam.WINDOW).mean())
    assert pair.looks == pytest.approx(33, abs=3)
    assert null == pytest.approx(0.156, abs=0.01)


def test_spacing_and_coherence_are_those_of_its_description(pair: RealPair) -> None:
    assert pair.spacing == pytest.approx((13.86, 3.45), abs=0.02)
    assert float(pair.coherence.mean()) == pytest.approx(0.70, abs=0.01)


def test_log_amplitudes_correlate_with_it_as_was_first_found(pair: RealPair) -> None:
    crude = amsterdam.score(amsterdam.log_amplitude_correlation(pair), pair, SAMPLINGS[0])
    assert crude.r == pytest.approx(0.60, abs=0.02)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda sampling: sampling.name)
def test_every_sampling_puts_the_ground_where_it_was(pair: RealPair, sampling: Sampling) -> None:
    scene = amsterdam.scene_of(pair, sampling)
    brightness = ndimage.uniform_filter(np.log(np.maximum(scene.reference, 1.0)), 5)
    elsewhere = np.roll(brightness, brightness.shape[1] // 2, axis=1)
    # bright ground is built, and built ground keeps still
    assert amsterdam.score(brightness, pair, sampling).r > 0.3
    assert abs(amsterdam.score(elsewhere, pair, sampling).r) < 0.03


def test_an_estimator_sees_real_coherence(pair: RealPair) -> None:
    estimator = registry.get("log-correlation", device="cpu")
    scene = amsterdam.scene_of(pair, SAMPLINGS[0])
    assert amsterdam.score(estimator.estimate(scene.reference, scene.secondary)[0], pair, SAMPLINGS[0]).r > 0.55
