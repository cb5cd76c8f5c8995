"""Random ground: its fields and layouts, its families of texture, and coherence that doesn't follow brightness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from models.simulate.families import FAMILIES, HELD_OUT_FAMILIES, TRAINING_FAMILIES, texture
from models.simulate.fields import FloatArray, dense, fractal_noise, patches, rotated, smooth_noise
from models.simulate.random_scene import HIGHEST, MOST_CONTEXTS, Scene, Tie, random_scene, regular_days

SHAPE = (96, 80)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 77])


def correlation(first: FloatArray, second: FloatArray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


@pytest.mark.parametrize("length", [1.0, 2.0, 4.0, 7.0, 20.0])
def test_smooth_noise_is_standard_and_as_smooth_as_asked_for(length: float) -> None:
    lag = round(2.0 * length)
    fields = [smooth_noise(generator(seed), (400, 420), length) for seed in range(6)]
    for field in fields:
        assert field.shape == (400, 420)
        assert field.dtype == np.float32
        assert field.mean() == pytest.approx(0.0, abs=1e-4)
        assert field.std() == pytest.approx(1.0, abs=1e-4)
    # white noise under a Gaussian of standard deviation s has the autocorrelation exp(-lag^2 / 4 s^2)
    expected = np.exp(-((lag / length) ** 2) / 4.0)
    assert np.mean([correlation(field[lag:], field[:-lag]) for field in fields]) == pytest.approx(expected, abs=0.08)
    across = np.mean([correlation(field[:, lag:], field[:, :-lag]) for field in fields])
    assert across == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("slope", [1.0, 2.0, 3.0])
def test_the_power_of_fractal_noise_falls_by_its_slope(slope: float) -> None:
    field = fractal_noise(generator(1), (256, 256), slope)
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    band = (frequency > 0.02) & (frequency < 0.4)
    fitted, _ = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)
    assert fitted == pytest.approx(-slope, abs=0.05)


def test_turned_coordinates_keep_their_lengths_and_stand_at_right_angles() -> None:
    along, across = rotated((5, 7), 0.3)
    down, right = (np.array([part[1, 0] - part[0, 0], part[0, 1] - part[0, 0]]) for part in (along, across))
    np.testing.assert_allclose([down @ down, right @ right, down @ right], [1.0, 1.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 96), (17, 40), (16, 16)])
def test_patches_are_numbered_from_0_and_cover_everything(shape: tuple[int, int]) -> None:
    drawn = [patches(generator(seed), shape) for seed in range(20)]
    assert all(labels.shape == shape and labels.min() == 0 for labels in drawn)
    assert max(int(labels.max()) for labels in drawn) > 3
    np.testing.assert_array_equal(drawn[4], patches(generator(4), shape))


def test_dense_labels_have_no_gaps() -> None:
    np.testing.assert_array_equal(dense(np.array([[7.0, -2.0], [7.0, 90.0]])), [[1, 0], [1, 2]])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_varies_brightness_about_the_covers_own(name: str) -> None:
    drawn = [texture(generator(seed), SHAPE, name) for seed in range(12)]
    for decibels in drawn:
        assert decibels.shape == SHAPE
        assert decibels.dtype == np.float32
        assert np.isfinite(decibels).all()
        assert abs(decibels.mean()) < 4.0
        assert decibels.std() < 8.0
    assert abs(np.mean(drawn)) < 2.0
    if name != "smooth":
        assert min(decibels.std() for decibels in drawn) > 0.1


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "smooth"])
def test_a_familys_drawing_follows_from_the_seed(name: str) -> None:
    one, again, other = (texture(generator(seed), SHAPE, name) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_families_held_out_are_none_of_those_trained_on() -> None:
    assert not set(TRAINING_FAMILIES) & set(HELD_OUT_FAMILIES)
    assert set(FAMILIES) == set(TRAINING_FAMILIES) | set(HELD_OUT_FAMILIES)


def test_a_scene_is_possible_ground() -> None:
    for seed in range(30):
        days = regular_days(generator(seed), seed % 5)
        scene = random_scene(generator(seed), (48, 64), days=days)
        assert len(scene.backscatter) == len(days)
        for power in scene.backscatter:
            assert power.dtype == np.float32
            assert np.isfinite(power).all()
            assert power.min() > 0.0
        for share in (scene.coherence, scene.lasting):
            assert share.dtype == np.float32
            assert share.min() >= 0.0
            assert share.max() <= 1.0
        assert scene.coherence.max() <= np.float32(HIGHEST)
        assert -30.0 <= 10.0 * np.log10(scene.noise) <= -20.0


def test_the_exponent_raises_the_same_coherence() -> None:
    plain, raised = (random_scene(generator(3), (48, 48), exponent=exponent) for exponent in (1.0, 3.0))
    np.testing.assert_allclose(raised.coherence, plain.coherence**3, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(raised.backscatter[0], plain.backscatter[0])


def flat(coherence: float, lasting: float, days: tuple[float, ...]) -> Scene:
    ground = np.ones((4, 4), np.float32)
    return Scene(coherence * ground, lasting * ground, (ground,) * len(days), days, 0.0)


def test_coherence_decays_to_what_lasts() -> None:
    # 0.4 of the coherence 0.7 lasts; the rest is 0.28 + 0.72 d with d = 0.42 / 0.72 over one step of 12 days
    scene = flat(0.7, 0.4, (0.0, 12.0, 24.0, -12.0, 6.0, 3600.0))
    for second, expected in ((1, 0.7), (2, 0.28 + 0.72 * (0.42 / 0.72) ** 2), (3, 0.7), (5, 0.28)):
        np.testing.assert_allclose(scene.coherence_between(0, second), expected, rtol=1e-5)
    np.testing.assert_allclose(scene.coherence_between(2, 3), 0.28 + 0.72 * (0.42 / 0.72) ** 3, rtol=1e-5)
    np.testing.assert_allclose(scene.coherence_between(0, 4), 0.28 + 0.72 * (0.42 / 0.72) ** 0.5, rtol=1e-5)
    np.testing.assert_array_equal(scene.coherence_between(1, 4), scene.coherence_between(4, 1))


def test_the_pair_has_its_coherence_whatever_lasts() -> None:
    for lasting in (0.0, 0.5, 1.0):
        np.testing.assert_allclose(flat(0.6, lasting, (0.0, 48.0)).coherence_between(0, 1), 0.6, rtol=1e-5)


def test_the_dates_coherences_belong_together() -> None:
    for seed in range(10):
        scene = random_scene(generator(seed), (16, 16), days=regular_days(generator(seed), 5))
        dates = range(len(scene.days))
        matrix = np.ones((16, 16, len(dates), len(dates)))
        for i in dates:
            for j in dates:
                if i != j:
                    matrix[..., i, j] = scene.coherence_between(i, j)
        assert np.linalg.eigvalsh(matrix).min() > -1e-5


def test_days_are_different_passes_of_one_orbit() -> None:
    for seed in range(60):
        days = regular_days(generator(seed), MOST_CONTEXTS)
        assert days[0] == 0.0
        assert days[1] in {6.0, 12.0, 18.0, 24.0, 36.0, 48.0, 180.0, 360.0}
        assert len(set(days)) == MOST_CONTEXTS + 2
        assert not np.mod(days, 6.0).any()


def described(tie: Tie, scenes: int = 120) -> tuple[list[FloatArray], list[FloatArray], list[FloatArray]]:
    """Local brightness, local texture and coherence of scenes, each less its mean."""
    described: tuple[list[FloatArray], list[FloatArray], list[FloatArray]] = ([], [], [])
    for seed in range(scenes):
        scene = random_scene(generator(seed), (72, 72), tie=tie)
        decibels = np.float32(10.0) * np.log10(scene.backscatter[0])
        brightness = ndimage.uniform_filter(decibels, 9)
        spread = np.sqrt(np.maximum(ndimage.uniform_filter(decibels**2, 9) - brightness**2, 0.0))
        images: list[FloatArray] = [brightness, spread, scene.coherence]
        for parts, image in zip(described, images, strict=True):
            sparse = ndimage.uniform_filter(image, 5)[::4, ::4]
            parts.append(sparse - sparse.mean())
    return described


def test_neither_brightness_nor_texture_tells_coherence() -> None:
    brightness, spread, coherence = described("independent")
    assert abs(correlation(np.stack(brightness), np.stack(coherence))) < 0.06
    assert abs(correlation(np.stack(spread), np.stack(coherence))) < 0.06


def test_tied_coherence_has_the_layout_of_the_covers() -> None:
    def within_scenes(tie: Tie) -> float:
        brightness, _, coherence = described(tie, scenes=60)
        varied = [(b, c) for b, c in zip(brightness, coherence, strict=True) if c.std() > 0.02]
        return float(np.mean([abs(correlation(b, c)) for b, c in varied]))

    assert within_scenes("tied") > 1.5 * within_scenes("independent")
