"""Coherence of complex pairs, mode by mode: what homogeneous ground, slopes, holes and reflectors read."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.errors import ModelError
from models.slc.boxcar import boxcar
from models.slc.coherence import sample_coherence
from models.slc.curves import curve
from models.slc.modes import estimate_by
from models.slc.two_scale import two_scale
from tests.benchmarks.slc_scenes import fringed, homogeneous, with_reflector

GAMMAS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
ALL = ("boxcar", "paper", "interpolated", "magnitudes", "two-scale")
FOURIER = ("paper", "interpolated", "magnitudes")
SLOPES = (0.0, 0.3, 0.77, 1.0)


def of_single_windows(mode: str, side: int, gamma: float, slope: tuple[float, float] = (0.0, 0.0)) -> float:
    """Mean over independent windows."""
    first, second = homogeneous(gamma, (1500, side, side), seed=1)
    half = side // 2
    found = estimate_by(mode)(fringed(first, slope=slope), second, (side, side), (half, half))
    return float(found[..., 1, 1].mean())


def of_scenes(
    gamma: float,
    window: int,
    slope: tuple[float, float] = (0.0, 0.0),
    bend: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> float:
    """Two-scale, mean inside two scenes, as it comes."""
    first, second = homogeneous(gamma, (2, 144, 144), seed=2)
    found = two_scale(fringed(first, slope=slope, bend=bend), second, (window, window))
    return float(found[..., 40:-40, 40:-40].mean())


@pytest.mark.parametrize(
    ("side", "known"),
    [(8, (0.274, 0.276, 0.346, 0.500, 0.702, 0.824, 1.0)), (16, (0.154, 0.178, 0.323, 0.497, 0.698, 0.820, 1.0))],
)
def test_the_papers_mode_draws_the_papers_curve(side: int, known: tuple[float, ...]) -> None:
    assert [of_single_windows("paper", side, gamma) for gamma in GAMMAS] == pytest.approx(known, abs=0.01)


def test_the_papers_mode_droops_between_two_frequencies_of_its_transform() -> None:
    half = math.pi / 16
    droop = [of_single_windows("paper", 16, 1.0, slope) for slope in ((half, 0.0), (half, half))]
    calibrated = curve("paper", (16, 16)).invert(np.array(droop, np.float32))
    assert calibrated == pytest.approx([0.743, 0.49], abs=0.01)


@pytest.mark.parametrize("mode", ["interpolated", "magnitudes"])
def test_between_frequencies_the_peak_is_found(mode: str) -> None:
    found = [of_single_windows(mode, 16, 0.9, (s * math.pi, 0.6 * s * math.pi)) for s in SLOPES]
    assert max(found) - min(found) < 0.004


@pytest.mark.parametrize(("window", "most"), [(8, 0.015), (16, 0.005)])
@pytest.mark.parametrize("gamma", [0.5, 0.9])
def test_slopes_do_not_matter_to_two_scale(gamma: float, window: int, most: float) -> None:
    found = [of_scenes(gamma, window, (s * math.pi, 0.6 * s * math.pi)) for s in SLOPES]
    assert max(found) - min(found) < most
    flat = curve("two-scale", (window, window)).invert(np.array(found, np.float32))
    assert flat == pytest.approx([gamma] * len(found), abs=0.02)


def test_a_pure_fringe_is_wholly_coherent_at_any_slope() -> None:
    assert min(of_scenes(1.0, 16, (s * math.pi, s * math.pi)) for s in (0.0, 0.13, 0.5, 1.0)) > 0.99


@pytest.mark.parametrize("bend", [(0.06, 0.0, 0.06), (0.06, 0.0, -0.06), (0.0, 0.06, 0.0)])
@pytest.mark.parametrize("window", [8, 16])
def test_curved_slopes_keep_their_coherence(window: int, bend: tuple[float, float, float]) -> None:
    assert of_scenes(0.8, window, bend=bend) > 0.77


@pytest.mark.parametrize("window", [8, 16])
@pytest.mark.parametrize("stable", [True, False])
def test_a_reflector_does_not_speak_for_its_surroundings(window: int, *, stable: bool) -> None:
    found = curve("two-scale", (window, window)).invert(with_reflector("two-scale", window, 0.5, stable=stable))
    assert float(found.mean()) == pytest.approx(0.5, abs=0.05)
    boxed = curve("boxcar", (window, window)).invert(with_reflector("boxcar", window, 0.5, stable=stable))
    assert abs(float(boxed.mean()) - 0.5) > 0.3 or not stable


def test_the_boxcar_is_the_sample_coherence() -> None:
    first, second = homogeneous(0.6, (40, 50), seed=3)
    found = boxcar(first, second, (5, 7)).numpy()
    expected = sample_coherence(first.numpy(), second.numpy(), (5, 7))
    np.testing.assert_allclose(found[2:-2, 3:-3], expected[2:-2, 3:-3], atol=2e-6)


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("window", [(8, 8), (5, 19)])
def test_strides_leave_places_out_and_change_nothing(mode: str, window: tuple[int, int]) -> None:
    first, second = homogeneous(0.7, (61, 83), seed=4)
    dense = estimate_by(mode)(first, second, window)
    assert dense.shape == first.shape
    sparse = estimate_by(mode)(first, second, window, (3, 4))
    torch.testing.assert_close(sparse, dense[::3, ::4], rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ALL)
def test_batches_are_estimated_one_by_one(mode: str) -> None:
    first, second = homogeneous(0.5, (2, 3, 40, 40), seed=5)
    together = estimate_by(mode)(first, second, (8, 8), (4, 4))
    alone = estimate_by(mode)(first[1, 2], second[1, 2], (8, 8), (4, 4))
    torch.testing.assert_close(together[1, 2], alone, rtol=0, atol=2e-6)


@pytest.mark.parametrize("mode", ALL)
def test_missing_samples_weigh_nothing(mode: str) -> None:
    first, second = homogeneous(1.0, (96, 96), seed=6)
    holed = first.clone()
    holed[30:60, 30:60] = torch.nan
    holed[80, 80] = torch.inf
    found = estimate_by(mode)(holed, second, (9, 9))
    assert torch.isnan(found[40:50, 40:50]).all()
    seen = found[~torch.isnan(found)]
    assert seen.min() > 0.97
    assert torch.isnan(found).sum() == 22 * 22  # what no window of 9 reaches a sample from


@pytest.mark.parametrize("mode", ALL)
def test_an_image_smaller_than_the_window_has_an_estimate(mode: str) -> None:
    first, second = homogeneous(1.0, (5, 3), seed=7)
    found = estimate_by(mode)(first, second, (16, 16))
    assert found.shape == (5, 3)
    assert found.min() > 0.97


def test_unknown_modes_are_refused() -> None:
    with pytest.raises(
        ModelError, match="unknown mode 'fft'; choose one of boxcar, paper, interpolated, magnitudes, two-scale"
    ):
        estimate_by("fft")
