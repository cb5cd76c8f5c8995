"""Labels from complex pairs: what is shown and what is true lie on the same pixels, and gaps stay gaps."""

from __future__ import annotations

import numpy as np
import pytest

from models.slc.coherence import FloatArray
from models.slc.labels import (
    ComplexArray,
    Measure,
    detected,
    label,
    looks_of,
    on_same_pixels,
    turns,
    window_for,
)
from models.slc.present import present
from models.slc.sampling import Sampling
from tests import slc_files as files

IW = (13.86, 3.45)
WINDOW = (5, 19)
FIRST, SECOND = list(files.images((90, 240)).values())[:2]


def test_the_window_of_sentinel_1_is_the_usual_one() -> None:
    assert window_for(IW) == WINDOW
    assert window_for((10.0, 5.0)) == (7, 13)
    assert window_for((100.0, 100.0)) == (3, 3)


def test_the_label_has_no_bias() -> None:
    looks = looks_of([FIRST], WINDOW)
    assert looks == pytest.approx(95, rel=0.05)  # samples are independent here
    truth = label(FIRST, SECOND, WINDOW, looks)
    assert float(np.nanmean(truth[:, :100])) == pytest.approx(0.8, abs=0.02)
    assert float(np.nanmedian(truth[:, 140:])) < 0.08


def test_the_truth_is_unknown_where_its_window_is_not_whole() -> None:
    image = FIRST.copy()
    image[40:44, 60:70] = 0.0
    image[10, 150] = 0.0  # a dark sample is data
    truth = label(image, SECOND, WINDOW, 95.0)
    known = np.isfinite(truth)
    expected = np.zeros(truth.shape, bool)
    expected[2:-2, 9:-9] = True
    expected[38:46, 51:79] = False
    np.testing.assert_array_equal(known, expected)
    image[10, 150] = np.nan
    assert not np.isfinite(label(image, SECOND, WINDOW, 95.0)[8:13, 141:160]).any()


def test_zeros_by_themselves_are_data() -> None:
    image = FIRST.copy()
    image[20, 30] = image[:2, :] = 0.0
    image[50:60, 50:60] = 0.0
    there = present(image)
    assert there[20, 30]
    assert not there[50:60, 50:60].any()
    assert there.sum() == image.size - 100


def test_amplitude_is_the_samples_own_power() -> None:
    image = FIRST.copy()
    image[3, 4] = np.nan
    power = detected(image, IW, Sampling.amplitude)
    assert np.isnan(power[3, 4])
    power[3, 4] = abs(FIRST[3, 4]) ** 2
    np.testing.assert_allclose(power, np.abs(FIRST) ** 2, rtol=1e-6)


def test_looks_like_those_of_grd_lie_on_the_pixels_of_their_label() -> None:
    power = detected(FIRST, IW, Sampling.grd)
    truth = on_same_pixels(label(FIRST, SECOND, WINDOW, 95.0), IW, Sampling.grd)
    assert power.shape == truth.shape == (int(90 * 1.386), int(240 * 0.345))
    log = np.log(power[8:-8, 8:-8])
    assert 0.3 < float(log.std()) < 0.8  # about five looks
    assert float(np.nanmean(truth[:, :30])) == pytest.approx(0.8, abs=0.03)


def test_a_label_is_averaged_where_its_pixel_is() -> None:
    lines, samples = np.mgrid[:90, :240].astype(np.float32)
    slope = (lines * IW[0] + 0.5 * samples * IW[1]).astype(np.float32)  # metres
    slope[:5] = np.nan
    read = on_same_pixels(slope, IW, Sampling.grd)
    rows, cols = np.mgrid[: read.shape[0], : read.shape[1]].astype(np.float64)
    # pixels begin a quarter of a sample before the first one's centre, as those of detected images do
    expected = (rows + 0.5) * 10.0 - 0.25 * IW[0] + 0.5 * ((cols + 0.5) * 10.0 - 0.25 * IW[1])
    assert np.isnan(read[:6]).all()
    assert np.isfinite(read[8:]).all()
    np.testing.assert_allclose(read[8:-2, :-2], expected[8:-2, :-2], atol=1.5)


def test_a_gap_takes_the_pixels_of_grd_that_it_has_part_in_and_no_more() -> None:
    image = FIRST.copy()
    image[40:50, 100:120] = np.nan
    missing = np.isnan(detected(image, IW, Sampling.grd))
    rows, cols = (np.flatnonzero(missing.any(axis)) for axis in (1, 0))
    assert (rows[0], rows[-1]) == (pytest.approx(40 * 1.386, abs=2), pytest.approx(50 * 1.386, abs=2))
    assert (cols[0], cols[-1]) == (pytest.approx(100 * 0.345, abs=2), pytest.approx(120 * 0.345, abs=2))


def test_a_carrier_that_is_known_does_not_reach_the_looks() -> None:
    lines, samples = np.mgrid[:90, :240]
    phase = (0.2 * samples * lines / 50.0 + 0.01 * lines**2).astype(
        np.float32
    )  # turns across the image, not along alone
    carried = (FIRST * np.exp(1j * phase)).astype(np.complex64)
    np.testing.assert_allclose(
        detected(carried, IW, Sampling.grd, phase), detected(FIRST, IW, Sampling.grd), rtol=0.02, atol=20.0
    )


@pytest.mark.parametrize(("along", "across"), [(0.0, 0.0), (0.04, 0.0), (0.0, -0.03)])
def test_fringes_are_counted_within_the_window(along: float, across: float) -> None:
    lines, samples = np.mgrid[:90, :240]
    fringes = np.exp(2j * np.pi * (along * lines + across * samples))
    turned = turns(FIRST[:, :110], (FIRST * fringes).astype(np.complex64)[:, :110], WINDOW)
    assert turned == pytest.approx(max(5 * abs(along), 19 * abs(across)), abs=0.01)


def test_another_estimator_takes_the_boxcars_place() -> None:
    asked: list[tuple[tuple[int, int], float]] = []

    def constant(first: ComplexArray, _second: ComplexArray, window: tuple[int, int], looks: float) -> FloatArray:
        asked.append((window, looks))
        return np.full(first.shape, 0.25, np.float32)

    truth = label(FIRST, SECOND, WINDOW, 33.0, measure=Measure("constant", (0, 0), constant))
    assert asked == [(WINDOW, 33.0)]
    assert set(truth[np.isfinite(truth)]) == {np.float32(0.25)}
    assert np.isnan(truth[0]).all()


def test_pieces_without_data_have_no_looks() -> None:
    assert np.isnan(looks_of([np.zeros((40, 60), np.complex64)], WINDOW))
    assert looks_of([np.zeros((90, 240), np.complex64), FIRST], WINDOW) == pytest.approx(95, rel=0.05)


def test_noise_has_no_fringes() -> None:
    assert turns(FIRST[:, 130:], SECOND[:, 130:], WINDOW) is None
