import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models import calibrate, registry
from models.coherence.classical import ClassicalEstimator, look_up
from models.coherence.statistic import Axis
from models.coherence.tables import FOLDER, find_table, provenance, windows
from models.simulate.pair import product_for
from models.simulate.random_scene import random_scene

NAMES = [info.name for info in registry.available() if info.windows]
PLANE = (Axis(-0.3, 1.0, 5), Axis(-3.0, 1.0, 4))


def test_shipped_tables_are_small_and_tell_how_they_were_made() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) < 200_000
    for name in NAMES:
        made = provenance(name)
        assert made["command"].startswith("python -m models.calibrate ")
        assert made["seed"] == calibrate.SEED


@pytest.mark.parametrize("spacing", [10.0, 20.0, 30.0])
@pytest.mark.parametrize("name", NAMES)
def test_tables_are_of_todays_products_and_in_range(name: str, spacing: float) -> None:
    product = product_for(spacing)
    for window in windows(name):
        table = find_table(name, window, "calibrated", spacing)
        assert table.product == product.name
        assert table.speckle.looks == pytest.approx(product.looks_equivalent, abs=2e-3), (
            "the simulator's product has changed since; run python -m models.calibrate"
        )
        assert table.estimate is not None
        for values in (table.estimate, table.sigma):
            assert values.min() >= 0.0
            assert values.max() <= 1.0
        if table.estimate.ndim == 1:
            assert (np.diff(table.estimate) >= 0.0).all()
        assert 0.0 < table.floor[0] < 0.35


@pytest.mark.parametrize("mode", ["raw", "inverted", "calibrated"])
@pytest.mark.parametrize("spacing", [10.0, 30.0])
def test_the_floor_is_what_a_fresh_sea_comes_out_at(mode: str, spacing: float) -> None:
    estimator = registry.get("log-correlation", mode=mode, spacing=spacing)
    assert isinstance(estimator, ClassicalEstimator)
    sea = calibrate.draw_flat(0.0, 256, product_for(spacing), np.random.default_rng(99))
    coherence, _ = estimator.estimate(sea.reference, sea.secondary)
    assert float(coherence.mean()) == pytest.approx(estimator.floor[0], abs=0.02)
    assert float(coherence.std()) == pytest.approx(estimator.floor[1], abs=0.03)


@pytest.mark.parametrize("gamma", [0.4, 0.6, 0.8])
@pytest.mark.parametrize("name", [info.name for info in registry.available() if "inverted" in info.modes])
def test_inversion_takes_the_bias_of_homogeneous_ground_away(name: str, gamma: float) -> None:
    estimator = registry.get(name, mode="inverted", window=21)
    pair = calibrate.draw_flat(gamma, 256, product_for(10.0), np.random.default_rng(98))
    assert float(estimator.estimate(pair.reference, pair.secondary)[0].mean()) == pytest.approx(gamma, abs=0.05)


def test_inversion_turns_a_forward_curve_round() -> None:
    levels = np.linspace(0.0, 1.0, 11)
    found = calibrate.invert(levels, 0.1 + 0.8 * levels**2, np.array([-1.0, 0.1, 0.3, 0.9, 2.0]))
    np.testing.assert_allclose(found, [0.0, 0.0, 0.5, 1.0, 1.0], atol=1e-12)


def test_a_mean_over_pixels_is_exact_at_the_nodes() -> None:
    rng = np.random.default_rng(7)
    measured = rng.uniform(-1.0, 1.5, (2, 500))
    counts = calibrate.Counts.empty(PLANE)
    counts.add(PLANE, measured, rng.uniform(0.0, 1.0, 500))
    table = rng.uniform(0.0, 1.0, (5, 4))
    looked_up = look_up(torch.from_numpy(table), PLANE, torch.from_numpy(measured)).mean()
    assert float((counts.sums[0] * table).sum() / 500) == pytest.approx(float(looked_up))


def test_regression_never_falls_and_errors_are_about_it() -> None:
    axes = (Axis(0.0, 1.0, 11),)
    rng = np.random.default_rng(8)
    statistic = rng.uniform(0.0, 0.8, 100_000)
    gamma = np.clip(statistic + rng.normal(0.0, 0.1, statistic.size), 0.0, 1.0)
    counts = calibrate.Counts.empty(axes)
    counts.add(axes, statistic[np.newaxis], gamma)
    estimate = calibrate.regress(counts)
    assert (np.diff(estimate) >= 0.0).all()
    np.testing.assert_allclose(estimate[2:8], np.arange(2, 8) / 10.0, atol=0.01)
    assert estimate[-1] == pytest.approx(estimate[8])
    assert calibrate.error(counts, estimate)[4] == pytest.approx(np.hypot(0.1, 0.04), abs=0.01)


def test_look_up_ends_at_the_tables_ends() -> None:
    axis = Axis(0.0, 1.0, 3)
    table = torch.tensor([0.1, 0.2, 0.8], dtype=torch.float64)
    places = torch.tensor([[-5.0, 0.25, 0.5, 1.0, 7.0]], dtype=torch.float64)
    np.testing.assert_allclose(look_up(table, [axis], places).numpy(), [0.1, 0.15, 0.2, 0.8, 0.8])


def test_calibration_follows_from_its_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "PRODUCTS", calibrate.PRODUCTS[:1])
    monkeypatch.setattr(calibrate, "WINDOWS", (5, 21))
    monkeypatch.setattr(calibrate, "PLANE_WINDOWS", (21,))
    runs = []
    for run in ("once", "again"):
        paths = calibrate.calibrate(tmp_path / run, scenes=1, size=48, seed=5)
        assert {path.stem for path in paths} == set(NAMES)
        runs.append([json.loads(path.read_text(encoding="utf-8"))["products"] for path in paths])
    assert runs[0] == runs[1]


def test_scenes_repeat_from_their_seed_and_stay_physical() -> None:
    for seed in range(12):
        scene, same = (random_scene(np.random.default_rng(seed), (64, 48)) for _ in range(2))
        assert np.array_equal(scene.coherence, same.coherence)
        assert scene.coherence.min() >= 0.0
        assert scene.coherence.max() <= 0.98
        assert all(power.min() > 0.0 and np.isfinite(power).all() for power in scene.backscatter)
