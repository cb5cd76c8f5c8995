"""From radar geometry to the map: nothing but what is said happens to the image on the way."""

from __future__ import annotations

import numpy as np
import pytest

from models.simulate.fields import FloatArray
from models.simulate.geometry import STEEPEST, Placement, Resampling, place, warp
from models.simulate.product import GRD_10M
from models.simulate.speckle import circular_gaussian, detect

SIZE, MARGIN = 160, 32
SIDE = SIZE + 2 * MARGIN
GEOCODED: list[Resampling] = ["nearest", "bilinear"]


def placed(resampling: Resampling, *, relief: bool = False, seed: int = 1) -> Placement:
    return place(np.random.default_rng(seed), SIZE, MARGIN, resampling, relief=relief)


def speckle(seed: int = 2) -> FloatArray:
    rows, cols = GRD_10M.samples
    return detect(circular_gaussian(np.random.default_rng(seed), (SIDE * rows, SIDE * cols)), GRD_10M)


def row_numbers() -> FloatArray:
    return np.repeat(np.arange(SIDE, dtype=np.float32)[:, np.newaxis], SIDE, axis=1)


def turn(placement: Placement) -> float:
    """Angle of the map in the radar image, radians."""
    rows = placement.rows
    return float(np.arctan2(rows[0, -1] - rows[0, 0], rows[-1, 0] - rows[0, 0]))


def test_what_is_not_resampled_is_a_piece_of_the_image() -> None:
    image = speckle()
    np.testing.assert_array_equal(placed("none").sample(image), image[MARGIN:-MARGIN, MARGIN:-MARGIN])


@pytest.mark.parametrize("resampling", GEOCODED)
def test_geocoding_keeps_the_mean_power(resampling: Resampling) -> None:
    image = speckle()
    placements = [placed(resampling, seed=seed) for seed in range(4)]
    assert max(abs(turn(placement)) for placement in placements) > 0.1
    for placement in placements:
        # what the turned map covers, near enough
        assert placement.sample(image).mean() == pytest.approx(image[MARGIN:-MARGIN, MARGIN:-MARGIN].mean(), rel=0.02)


def test_nearest_neighbour_invents_no_value_and_bilinear_averages() -> None:
    image = speckle()
    nearest, bilinear = (placed(resampling).sample(image) for resampling in GEOCODED)
    assert np.isin(nearest, image).all()
    assert nearest.var() == pytest.approx(image.var(), rel=0.05)
    assert bilinear.var() < 0.85 * nearest.var()


@pytest.mark.parametrize("relief", [False, True])
@pytest.mark.parametrize(("size", "margin"), [(16, 16), (64, 18), (256, 32), (512, 50)])
def test_the_map_never_leaves_the_radar_image(size: int, margin: int, relief: bool) -> None:  # noqa: FBT001
    for seed in range(6):
        placement = place(np.random.default_rng(seed), size, margin + 6 * relief, "bilinear", relief=relief)
        end = size + 2 * (margin + 6 * relief) - 1
        for places in (placement.rows, placement.cols):
            assert places.min() >= 1.0
            assert places.max() <= end - 1.0


def test_pixels_of_a_turned_map_are_as_far_apart_as_before() -> None:
    placement = placed("bilinear")
    down = np.hypot(np.diff(placement.rows, axis=0), np.diff(placement.cols, axis=0))
    right = np.hypot(np.diff(placement.rows, axis=1), np.diff(placement.cols, axis=1))
    np.testing.assert_allclose(down, 1.0, atol=1e-4)
    np.testing.assert_allclose(right, 1.0, atol=1e-4)


def test_a_displacement_in_the_radar_image_is_turned_onto_the_map() -> None:
    placement = placed("bilinear", seed=3)
    assert placement.angle == pytest.approx(turn(placement), abs=1e-4)
    down, right = placement.on_map(2.0, -1.0)
    # so many pixels down and right on the map are 2 rows down and 1 column left in the radar image
    assert down * (placement.rows[1, 0] - placement.rows[0, 0]) + right * (
        placement.rows[0, 1] - placement.rows[0, 0]
    ) == pytest.approx(2.0, abs=1e-3)
    assert down * (placement.cols[1, 0] - placement.cols[0, 0]) + right * (
        placement.cols[0, 1] - placement.cols[0, 0]
    ) == pytest.approx(-1.0, abs=1e-3)


def test_slopes_that_are_pressed_together_are_bright() -> None:
    placement = placed("none", relief=True)
    stretch = np.diff(placement.cols, axis=1) - 1.0
    slope = 1.0 / placement.shading - 1.0
    assert np.abs(slope).max() <= STEEPEST + 1e-6
    assert np.corrcoef(stretch.ravel(), slope[:, 1:].ravel())[0, 1] > 0.5
    np.testing.assert_array_equal(placed("none").shading, 1.0)


def test_an_image_that_begins_further_down_is_read_further_up() -> None:
    placement = placed("bilinear")
    np.testing.assert_allclose(
        placement.sample(row_numbers(), offset=(0.25, -0.5)), placement.rows - 0.25, rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("resampling", ["none", "bilinear"])
def test_a_moved_map_finds_its_pixels_further_down(resampling: Resampling) -> None:
    down, right = warp(np.random.default_rng(5), SIZE, 1.5)
    placement = placed(resampling)
    moved = placement.moved((down, right))
    np.testing.assert_allclose(moved.sample(row_numbers()), placement.rows + down, atol=2e-3)
    np.testing.assert_array_equal(moved.shading, placement.shading)
    assert placement.moved(None) is placement


def test_a_long_spline_leaves_speckle_as_it_is() -> None:
    image = speckle()
    still = placed("none")
    half = np.full((SIZE, SIZE), 0.5, np.float32)
    there = still.moved((half, half)).sample(image)
    assert there.min() >= 0.0
    assert there.mean() == pytest.approx(still.sample(image).mean(), rel=0.01)
    assert there.var() == pytest.approx(still.sample(image).var(), rel=0.05)


def test_truth_is_interpolated_linearly_however_products_are() -> None:
    ramp = row_numbers() / np.float32(SIDE)
    placement = placed("nearest")
    np.testing.assert_allclose(placement.sample(ramp, as_product=False), placement.rows / SIDE, atol=1e-5)
    assert not np.allclose(placement.sample(ramp), placement.rows / SIDE, atol=1e-4)


@pytest.mark.parametrize("size", [16, 100])
def test_a_warp_is_smooth_and_as_long_as_said(size: int) -> None:
    down, right = warp(np.random.default_rng(6), size, 1.2)
    assert down.dtype == right.dtype == np.float32
    assert np.hypot(down, right).max() == pytest.approx(1.2, rel=1e-5)
    assert max(np.abs(np.diff(part, axis=axis)).max() for part in (down, right) for axis in (0, 1)) < 0.5
