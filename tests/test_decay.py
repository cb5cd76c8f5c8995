"""The decay curve: its fit, what it says where the data can't tell, and how an estimator's bias is taken out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.decay import Quality, coherence_at, fit
from models.decay.agreement import agreement
from models.decay.levels import combine
from models.decay.measure import response, tally
from models.decay.response import Response
from models.errors import ModelError
from models.simulate.decay import Regime
from tests.benchmarks.mexico_city import fit_ceiling, fit_mean, fit_pixels, read_maps
from tests.fakes import FloorEstimator

DAYS = np.array([6.0, 12.0, 18.0, 24.0, 36.0, 48.0])
MEXICO_CITY = Path(__file__).parents[2] / "shared/data/s1-coherence-mexico-city/geotiffs"
# An estimator that reads .2 where there is nothing, and is right at the other end.
FLOOR = Response((0.0, 1.0), (0.2, 1.0), (0.0, 0.0))


def ground(count: int, seed: int) -> tuple[npt.NDArray[np.float64], ...]:
    rng = np.random.default_rng(seed)
    tau, rho = rng.uniform(10, 40, count), rng.uniform(0.1, 0.7, count)
    return tau, rho, coherence_at(DAYS[:, np.newaxis], tau, rho)


def one(readings: list[float], sigma: float = 0.01, response: Response | None = None) -> tuple[float, float, Quality]:
    values = np.array(readings)
    extra = {} if response is None else {"response": response}
    found = fit(DAYS[: len(readings)], values, np.full_like(values, sigma), **extra)
    return float(found.tau), float(found.rho_inf), Quality(int(found.quality))


def test_the_curve_begins_at_one_and_ends_at_what_lasts() -> None:
    assert coherence_at([0, 12, 1e9], 12.0, 0.4) == pytest.approx([1.0, 0.4 + 0.6 * math.exp(-1), 0.4])
    assert coherence_at(100, np.inf, 0.2) == pytest.approx(1.0)


def test_the_simulator_draws_the_same_curve() -> None:
    regime = Regime(np.array([0.0], np.float32), np.array([20.0], np.float32))
    assert regime.renewal(12.0) == pytest.approx(coherence_at(np.float32(12), np.array([20.0], np.float32), 0.0))


def test_exact_coherence_gives_the_parameters_back() -> None:
    tau, rho, coherence = ground(500, seed=1)
    found = fit(DAYS, coherence, np.full_like(coherence, 1e-3))
    assert (found.quality == Quality.FITTED).all()
    assert np.abs(found.tau / tau - 1).max() < 1e-3
    assert np.abs(found.rho_inf - rho).max() < 1e-4
    assert found.rmse.max() < 1e-4


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_draws_of_an_estimators_errors_are_fitted_within_the_bars(seed: int) -> None:
    tau, rho, coherence = ground(4000, seed)
    sigma = 0.015 + 0.01 * (1 - coherence)
    read = coherence + np.random.default_rng(100 + seed).normal(0.0, sigma)
    found = fit(DAYS, read, sigma)
    told = np.isfinite(found.tau) & (coherence[1] > 0.3)
    assert told.mean() > 0.5
    assert abs(np.median(found.tau[told] / tau[told]) - 1) < 0.15
    assert np.median(np.abs(found.tau[told] / tau[told] - 1)) < 0.15
    assert np.median(np.abs(found.rho_inf - rho)[told]) < 0.03
    assert 0.6 < np.mean((np.abs(found.tau - tau) < found.tau_error)[told]) < 0.8
    assert 0.6 < np.mean((np.abs(found.rho_inf - rho) < found.rho_inf_error)[told]) < 0.8


def test_the_floor_of_an_estimator_is_no_lasting_coherence() -> None:
    read, _ = FLOOR.expected(coherence_at(DAYS, 12.0, 0.1))
    tau, rho, _ = one(list(read), response=FLOOR)
    assert (tau, rho) == pytest.approx((12.0, 0.1), rel=1e-3)
    _, naive, _ = one(list(read))
    assert naive > 0.25


@pytest.mark.parametrize(
    ("readings", "sigma", "quality"),
    [
        ([float("nan")] * 6, 0.01, Quality.NO_DATA),
        ([0.8, 0.6], 0.01, Quality.FEW_BASELINES),
        ([0.8] * 6, 0.01, Quality.FLAT),
        ([0.201, 0.199, 0.2, 0.202, 0.199, 0.2], 0.01, Quality.FLOOR),
        (list(coherence_at(DAYS, 400.0, 0.0)), 0.005, Quality.SLOW),
        (list(coherence_at(DAYS, 25.0, 0.3)), 0.07, Quality.UNCERTAIN),
    ],
)
def test_what_cannot_be_told_is_no_number(readings: list[float], sigma: float, quality: Quality) -> None:
    tau, rho, found = one(readings, sigma, FLOOR if quality == Quality.FLOOR else None)
    assert found == quality
    assert np.isnan([tau, rho]).all()


def test_what_decayed_before_the_first_pair_tells_only_what_lasts() -> None:
    tau, rho, quality = one(list(coherence_at(DAYS, 2.0, 0.5)), sigma=0.004)
    assert quality == Quality.FAST
    assert np.isnan(tau)
    assert rho == pytest.approx(0.5, abs=0.01)


def test_points_off_any_curve_are_marked() -> None:
    assert one([0.9, 0.62, 0.75, 0.5, 0.62, 0.4], sigma=0.01)[2] in {Quality.ODD_CURVE, Quality.UNCERTAIN, Quality.SLOW}


def test_pixels_do_not_depend_on_their_neighbours() -> None:
    _, _, coherence = ground(40, seed=5)
    sigma = np.full_like(coherence, 0.02)
    whole, part = fit(DAYS, coherence, sigma), fit(DAYS, coherence[:, 7:9], sigma[:, 7:9])
    np.testing.assert_array_equal(whole.tau[7:9], part.tau)


@pytest.mark.parametrize(
    ("days", "shape", "sentence"),
    [([6, 6, 12], (3, 4), "positive and different"), ([0, 6, 12], (3, 4), "positive"), ([6, 12], (3, 4), "one shape")],
)
def test_a_fit_of_nonsense_is_refused(days: list[int], shape: tuple[int, int], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        fit(days, np.ones(shape), np.ones(shape))


def test_readings_of_one_baseline_are_combined_by_their_precision() -> None:
    nan = np.nan
    coherence = np.array([0.5, 0.7, nan], np.float32)[:, np.newaxis, np.newaxis] * np.ones((1, 1, 2), np.float32)
    coherence[:, 0, 1] = nan
    sigma = np.array([0.1, 0.2, 0.1], np.float32)[:, np.newaxis, np.newaxis] * np.ones((1, 1, 2), np.float32)
    median, mean, error, count = combine(coherence, sigma)[:, 0]
    assert median[0] == pytest.approx(0.6)
    assert mean[0] == pytest.approx((0.5 * 100 + 0.7 * 25) / 125)
    assert error[0] == pytest.approx(1 / np.sqrt(125))
    assert np.isnan([median[1], mean[1], error[1]]).all()
    assert count.tolist() == [2, 0]


def test_readings_that_scatter_more_than_sigma_says_have_a_wider_error() -> None:
    coherence = np.array([0.2, 0.8], np.float32).reshape(2, 1, 1)
    error = combine(coherence, np.full((2, 1, 1), 0.1, np.float32))[2, 0, 0]
    assert error == pytest.approx(0.3)  # half of what lies between the two


def test_a_response_is_measured_from_what_an_estimator_reads() -> None:
    estimator = FloorEstimator()
    counts = [tally(estimator, number, size=64, seed=11) for number in range(3)]
    found = response(counts)
    assert found.reading == tuple(sorted(found.reading))
    assert found.floor == pytest.approx(0.25, abs=1e-6)
    assert max(found.spread) < 0.01
    with pytest.raises(ModelError, match="too small"):
        response([np.zeros((3, 25))])


def test_agreement_of_two_maps() -> None:
    first = np.array([0.1, 0.4, np.nan, 0.9])
    found = agreement(first, first - 0.1)
    assert (found.pixels, found.bias, found.rmse, found.correlation) == pytest.approx((3, 0.1, 0.1, 1.0))
    assert agreement(first, np.full(4, np.nan)).pixels == 0
    assert np.isnan(agreement(first, np.full(4, 0.5)).correlation)


@pytest.mark.skipif(not MEXICO_CITY.is_dir(), reason="shared/data/s1-coherence-mexico-city is not there")
def test_the_decay_of_mexico_city_is_sane() -> None:
    maps = read_maps(MEXICO_CITY)
    assert sum(len(stack) for stack in maps.by_days.values()) == 30
    means, errors, found = fit_mean(maps)
    assert 5 < found.tau[0] < 20
    assert found.tau_error[0] < 0.25 * found.tau[0]
    assert 0.5 < found.rho_inf[0] < 0.6
    assert found.rho_inf_error[0] < 0.03
    # the curve begins at 1 and these maps don't: noise and geometry take their share from every pair
    assert Quality(int(found.quality[0])) == Quality.ODD_CURVE
    ceiling, lowered = fit_ceiling(maps)
    curve = ceiling * coherence_at(np.array(maps.days), lowered.tau[0], lowered.rho_inf[0])
    assert np.mean(np.abs(curve - means) < 2 * errors) > 0.8
    assert np.nanmedian(fit_pixels(maps).rho_inf) == pytest.approx(found.rho_inf[0], abs=0.05)
