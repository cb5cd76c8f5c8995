"""The Bayes floor: Kibble's density as drawn and as written, and the floors themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from models.evaluate.floors import bayes_floor, draw_kibble, log_density, pixels_per_cell, window_floor
from models.simulate.product import GRD_10M, RTC_30M

LOOKS = 4.4


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.95])
def test_drawn_intensities_correlate_as_gamma_squared(gamma: float) -> None:
    first, second = draw_kibble(np.random.default_rng(1), gamma, LOOKS, 200_000)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(gamma**2, abs=0.01)
    for intensity in (first, second):
        assert intensity.mean() == pytest.approx(LOOKS, rel=0.01)
        assert intensity.mean() ** 2 / intensity.var() == pytest.approx(LOOKS, rel=0.02)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.7])
def test_the_density_sums_to_one(gamma: float) -> None:
    """Over independent gamma variates, the mean ratio of the density to theirs is 1."""
    first, second = np.random.default_rng(2).gamma(LOOKS, size=(2, 200_000))
    ratio = np.exp(log_density(np.array([gamma]), first, second, LOOKS) + special.gammaln(LOOKS))
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("window", "published"), [(5, 0.205), (9, 0.159), (11, 0.131), (15, 0.103), (21, 0.089), (31, 0.077)]
)
def test_the_floor_is_the_one_first_found(window: int, published: float) -> None:
    """The earlier figures carry a Monte Carlo error of their own: they scatter about these by 0.01 either way."""
    floor = bayes_floor(round(window**2 / 3.1), LOOKS, trials=100)
    assert floor == pytest.approx(published, abs=0.0125)


def test_the_floor_is_the_error_of_the_posterior_mean() -> None:
    """Not only its mean variance: the two agree where density and draws belong together."""
    rng = np.random.default_rng(3)
    grid = (np.arange(64) + 0.5) / 64
    truth = rng.uniform(size=600)
    errors = []
    for gamma in truth:
        evidence = log_density(grid, *draw_kibble(rng, gamma, LOOKS, 25), LOOKS).sum(axis=1)
        weight = np.exp(evidence - evidence.max())
        errors.append(weight @ grid / weight.sum() - gamma)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(bayes_floor(25, LOOKS, trials=300), rel=0.08)


def test_more_cells_and_more_looks_lower_it() -> None:
    assert bayes_floor(40, LOOKS, trials=60) < bayes_floor(10, LOOKS, trials=60) < 12**-0.5
    assert bayes_floor(20, 16.0, trials=60) < bayes_floor(20, 1.0, trials=60)


def test_a_pixel_of_grd_holds_less_than_a_third_of_a_cell_and_an_averaged_one_nearly_a_whole() -> None:
    assert pixels_per_cell(GRD_10M) == pytest.approx(3.5, abs=0.1)
    assert pixels_per_cell(RTC_30M) == pytest.approx(1.1, abs=0.1)
    assert window_floor(9, RTC_30M, trials=60) < window_floor(9, GRD_10M, trials=60)
