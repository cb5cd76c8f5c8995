import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage, special

from models.coherence.intensity import GUARNIERI_PRATI, RIGNOT_VAN_ZYL, TOUZI_INTENSITY
from models.coherence.logarithm import LOG_CORRELATION, LOG_MOMENTS
from models.coherence.statistic import Speckle, Statistic
from models.coherence.window import Window, window_sum

Image = npt.NDArray[np.float64]


def multilook_pair(gamma: float, looks: int, side: int = 400, seed: int = 1) -> tuple[Image, Image]:
    """Intensities of independent pixels: the mean of `looks` circular-Gaussian samples of coherence gamma."""
    rng = np.random.default_rng([seed, looks])
    parts = rng.standard_normal((2, 2, looks, side, side)) * math.sqrt(0.5)
    one, other = parts[0] + 1j * parts[1]
    secondary = gamma * one + math.sqrt(1.0 - gamma**2) * other
    return (np.abs(one) ** 2).mean(axis=0), (np.abs(secondary) ** 2).mean(axis=0)


def correlation(x: Image, y: Image) -> float:
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1])


def measured(statistic: Statistic, pair: tuple[Image, Image], window: int = 33) -> npt.NDArray[np.float64]:
    """Mean of a statistic over an image, far from its borders."""
    reference, secondary = (torch.from_numpy(image) for image in pair)
    valid = torch.ones_like(reference, dtype=torch.bool)
    values, _ = statistic.measure(reference, secondary, valid, window, Speckle(looks=4.0, log_variance=0.25))
    mean: npt.NDArray[np.float64] = values[:, window:-window, window:-window].mean(dim=(1, 2)).numpy()
    return mean


@pytest.mark.parametrize("looks", [1, 4])
@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.7, 0.95])
def test_intensities_correlate_as_gamma_squared_whatever_the_looks(gamma: float, looks: int) -> None:
    assert correlation(*multilook_pair(gamma, looks)) == pytest.approx(gamma**2, abs=0.01)


@pytest.mark.parametrize("looks", [1, 4])
@pytest.mark.parametrize("gamma", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("statistic", [GUARNIERI_PRATI, RIGNOT_VAN_ZYL, TOUZI_INTENSITY], ids=lambda each: each.name)
def test_closed_forms_find_gamma_in_large_windows(statistic: Statistic, gamma: float, looks: int) -> None:
    assert statistic.closed_form is not None
    value = torch.from_numpy(measured(statistic, multilook_pair(gamma, looks)))
    assert float(statistic.closed_form(value, float(looks))) == pytest.approx(gamma, abs=0.03)


def test_guarnieri_prati_of_one_look_is_two_rho_minus_one() -> None:
    assert GUARNIERI_PRATI.closed_form is not None
    assert float(GUARNIERI_PRATI.closed_form(torch.tensor(0.75), 1.0)) == pytest.approx(math.sqrt(2 * 0.75 - 1))


def test_closed_forms_stay_between_0_and_1() -> None:
    wild = torch.linspace(-3.0, 3.0, 7)
    for statistic in (GUARNIERI_PRATI, RIGNOT_VAN_ZYL, TOUZI_INTENSITY, LOG_CORRELATION):
        assert statistic.closed_form is not None
        coherence = statistic.closed_form(wild, 4.0)
        assert float(coherence.min()) >= 0.0
        assert float(coherence.max()) <= 1.0


def kibble_log_correlation(gamma: float, looks: int) -> float:
    """Correlation of the logarithms of two gamma variates of Kibble's bivariate density, as a series in gamma^2."""
    k = np.arange(1, 2000)
    terms = np.exp(2 * k * math.log(gamma) + special.gammaln(k) + special.gammaln(looks) - special.gammaln(looks + k))
    return float((terms / k).sum() / special.polygamma(1, looks))


@pytest.mark.parametrize("looks", [1, 4])
@pytest.mark.parametrize("gamma", [0.3, 0.7, 0.95])
def test_logarithms_correlate_as_kibbles_density_says(gamma: float, looks: int) -> None:
    pair = multilook_pair(gamma, looks)
    expected = kibble_log_correlation(gamma, looks)
    assert correlation(np.log(pair[0]), np.log(pair[1])) == pytest.approx(expected, abs=0.01)
    assert measured(LOG_CORRELATION, pair)[0] == pytest.approx(expected, abs=0.01)
    if looks == 4:  # what the module's docstring says of multilook images
        assert expected == pytest.approx(gamma**2, abs=0.04)


def test_the_log_ratio_spreads_less_the_more_speckle_repeats() -> None:
    # The mean of 3x3 independent pixels takes 1/9 of the logarithm's variance away.
    variance = float(special.polygamma(1, 4)) * 8.0 / 9.0
    for gamma in (0.3, 0.7):
        expected = math.log(variance / 0.25 * (1.0 - kibble_log_correlation(gamma, 4)))
        assert measured(LOG_MOMENTS, multilook_pair(gamma, 4))[1] == pytest.approx(expected, abs=0.02)


def test_common_texture_cancels_in_the_log_ratio_but_not_in_the_correlation() -> None:
    texture = np.exp(0.5 * np.random.default_rng(3).standard_normal((400, 400)))
    plain = multilook_pair(0.3, 4)
    textured = plain[0] * texture, plain[1] * texture
    before, after = measured(LOG_MOMENTS, plain), measured(LOG_MOMENTS, textured)
    assert after[1] == pytest.approx(before[1], abs=1e-6)
    assert after[0] > before[0] + 0.2


@pytest.mark.parametrize("size", [1, 3, 9, 21])
@pytest.mark.parametrize("tapered", [False, True])
def test_a_window_sum_is_the_convolution_with_its_weights(size: int, tapered: bool) -> None:  # noqa: FBT001 - parametrised
    image = np.random.default_rng(5).standard_normal((40, 31))
    side = (size + 1) // 2
    line = np.convolve(np.ones(side), np.ones(side)) if tapered else np.ones(size)
    expected = ndimage.convolve(image, np.outer(line, line), mode="constant")
    found = window_sum(torch.from_numpy(image), size, tapered=tapered).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_bright_pixel_leaves_no_rounding_behind() -> None:
    image = torch.full((64, 64), 1e-3, dtype=torch.float64)
    dark = window_sum(image, 9)
    image[5, 5] = 1e15
    assert torch.equal(window_sum(image, 9)[10:, 10:], dark[10:, 10:])


@pytest.mark.parametrize("tapered", [False, True])
def test_means_are_taken_over_valid_pixels_only(tapered: bool) -> None:  # noqa: FBT001 - parametrised
    image = torch.full((30, 30), 2.0, dtype=torch.float64)
    valid = torch.ones((30, 30), dtype=torch.bool)
    valid[:, 17:] = False
    image[:, 17:] = 1e9
    mean = Window(valid, 9, tapered=tapered).mean(image)
    assert torch.allclose(mean[:, :17], torch.tensor(2.0, dtype=torch.float64))


@pytest.mark.parametrize("tapered", [False, True])
def test_whole_images_and_masked_ones_weigh_alike(tapered: bool) -> None:  # noqa: FBT001 - parametrised
    image = torch.from_numpy(np.random.default_rng(6).standard_normal((25, 40)))
    whole = torch.ones((25, 60), dtype=torch.bool)
    whole[:, 40:] = False  # the same image with no data beside it
    padded = torch.nn.functional.pad(image, (0, 20))
    alone = Window(torch.ones_like(image, dtype=torch.bool), 11, tapered=tapered)
    beside = Window(whole, 11, tapered=tapered)
    torch.testing.assert_close(alone.mean(image), beside.mean(padded)[:, :40])
    assert bool(alone.filled().all())
