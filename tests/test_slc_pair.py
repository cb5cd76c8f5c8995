"""Pairs of any size, with their bias taken out: strips agree with the whole, correlated samples with others."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import ModelError
from models.slc import pair
from models.slc.curves import LEVELS, band_limited, curve
from models.slc.pair import band_fill, pair_coherence
from models.slc.quality import phase_noise, psi
from tests.benchmarks.slc_scenes import fringed, homogeneous


@pytest.mark.parametrize("mode", ["boxcar", "magnitudes", "two-scale"])
def test_strips_are_as_the_whole(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = homogeneous(0.6, (400, 70), seed=1)
    tilted = fringed(first, slope=(0.4, 1.1), bend=(0.01, 0.004, -0.01)).numpy()
    whole = pair_coherence(tilted, second.numpy(), mode=mode, window=(9, 12), stride=(3, 1), calibrated=False)
    assert whole.shape == (134, 70)
    monkeypatch.setattr(pair, "STRIP", 70 * 96)
    strips = pair_coherence(tilted, second.numpy(), mode=mode, window=(9, 12), stride=(3, 1), calibrated=False)
    np.testing.assert_allclose(strips, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", ["boxcar", "paper", "interpolated", "magnitudes", "two-scale"])
def test_curves_rise_from_above_nothing_to_one(mode: str) -> None:
    found = curve(mode, (8, 8))
    assert (np.diff(found.mean) >= 0).all()
    assert 0.05 < found.mean[0] < 0.5
    assert found.mean[-1] == pytest.approx(1.0, abs=0.01)
    inverted = found.invert(np.array([0.0, found.mean[6], np.nan], np.float32))
    assert inverted[:2] == pytest.approx([0.0, LEVELS[6]], abs=1e-6)
    assert np.isnan(inverted[2])


@pytest.mark.parametrize("mode", ["boxcar", "two-scale"])
def test_fewer_independent_samples_mean_more_bias_which_is_taken_out(mode: str) -> None:
    fill = (0.8, 0.6)
    assert curve(mode, (8, 8), fill).mean[0] > 1.1 * curve(mode, (8, 8)).mean[0]
    same, other = (band_limited((240, 240), fill, seed).numpy() for seed in (1, 2))
    second = (0.5 * same + np.sqrt(0.75) * other).astype(np.complex64)
    assert band_fill(same) == pytest.approx(fill, abs=0.05)
    found = pair_coherence(same, second, mode=mode, window=(8, 8))
    assert float(found[40:-40, 40:-40].mean()) == pytest.approx(0.5, abs=0.02)


def test_no_data_no_coherence_but_a_dark_sample_is_data() -> None:
    first, second = (image.numpy().copy() for image in homogeneous(0.9, (64, 64), seed=3))
    first[10, 10], first[20, 20], second[40:43, 40:43] = np.nan, 0, 0
    found = pair_coherence(first, second, window=(8, 8), fill=(1.0, 1.0))
    missing = np.argwhere(np.isnan(found)).tolist()
    assert missing == [[10, 10], *([row, col] for row in range(40, 43) for col in range(40, 43))]


@pytest.mark.parametrize(
    ("shapes", "settings", "sentence"),
    [
        (((8, 8), (8, 9)), {}, r"two images of one shape, not \(8, 8\) and \(8, 9\)"),
        (((8,), (8,)), {}, "two images of one shape"),
        (((8, 8), (8, 8)), {"window": (1, 1)}, "a window of 1 x 1 samples every 1 x 1 gives no coherence; take two"),
        (((8, 8), (8, 8)), {"stride": (0, 1)}, "every 0 x 1 gives no coherence"),
        (((8, 8), (8, 8)), {"mode": "median"}, "unknown mode 'median'"),
    ],
)
def test_what_makes_no_coherence_is_refused(
    shapes: tuple[tuple[int, ...], ...], settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        pair_coherence(*(np.ones(shape, np.complex64) for shape in shapes), **settings)  # type: ignore[arg-type]


def test_phase_noise_is_uniform_without_coherence_and_none_with_all() -> None:
    assert phase_noise([0.0, 1.0]) == pytest.approx([np.pi / np.sqrt(3.0), 0.0], abs=1e-6)
    first, second = homogeneous(0.7, (600, 600), seed=4)
    phases = np.angle((first * second.conj()).numpy())
    assert float(phases.std()) == pytest.approx(float(phase_noise(0.7)), rel=0.01)


def test_psi_falls_where_coherence_is_right_and_does_not_where_slopes_hide_it() -> None:
    truth = np.repeat(np.linspace(0.05, 0.98, 200)[:, None], 256, axis=1)
    same, other = (image.numpy() for image in homogeneous(0.0, (200, 256), seed=5))
    second = (truth * same + np.sqrt(1.0 - truth**2) * other).astype(np.complex64)
    slope = np.where(np.arange(256) < 128, 0.0, 0.9)  # the right half is steep
    phase = np.cumsum(slope)
    first = (same * np.exp(1j * phase)).astype(np.complex64)
    error = np.angle(first * second.conj() * np.exp(-1j * phase))
    bins = np.linspace(0.0, 1.0, 6)
    theory = phase_noise(0.5 * (bins[1:] + bins[:-1]))
    found = {
        mode: psi(pair_coherence(first, second, mode=mode, window=(9, 9), fill=(1.0, 1.0)), error, bins)
        for mode in ("boxcar", "two-scale")
    }
    assert (np.diff(found["two-scale"]) < 0).all()
    assert np.abs(found["two-scale"] - theory).max() < 0.12
    assert found["boxcar"][0] < theory[0] - 0.2  # good phases among what is said to be the worst
    assert np.isnan(psi([0.1], [0.0], bins)).all()
