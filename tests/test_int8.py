"""Eight bits: nearly the same maps, under a version of their own, wherever they are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import registry
from models.coherence.graphs import trunk_graph
from models.coherence.learned import LearnedEstimator
from models.coherence.network import Weights, build
from models.coherence.trim import Sides
from models.errors import ModelError
from models.estimator import FloatArray, within
from models.runtimes.choice import INT8, is_installed
from models.runtimes.int8 import quantised_bytes
from models.simulate.draw import Recipe, draw
from tests.small_network import SMALL, shipped_network, small_network

pytestmark = pytest.mark.skipif(not is_installed(INT8), reason="onnx is not installed")


@pytest.fixture(scope="module")
def rounded() -> LearnedEstimator:
    return shipped_network(INT8)


@pytest.fixture(scope="module")
def scene() -> tuple[list[FloatArray], FloatArray]:
    """A simulated pair with two further dates, and its true coherence."""
    sample = draw(Recipe(size=416, contexts=2), 650_001, 0)
    return [sample.reference, sample.secondary, *sample.context], sample.coherence


def test_maps_are_as_good_and_not_the_same(
    rounded: LearnedEstimator, scene: tuple[list[FloatArray], FloatArray]
) -> None:
    (reference, secondary, *context), truth = scene
    exact = registry.get(device="cpu", runtime="torch")
    errors = []
    for estimator in (exact, rounded):
        coherence, _ = estimator.estimate(reference, secondary, context)
        errors.append(float(np.sqrt(np.nanmean((coherence - truth) ** 2))))
    assert errors[0] != errors[1]
    assert errors[1] == pytest.approx(errors[0], abs=2e-3)


def test_its_version_says_so(rounded: LearnedEstimator) -> None:
    exact = registry.get(device="cpu", runtime="torch")
    assert rounded.version == f"{exact.version}-int8"
    assert rounded.runtime == INT8


def test_a_cut_graph_rounds_as_the_whole_one(
    rounded: LearnedEstimator, scene: tuple[list[FloatArray], FloatArray]
) -> None:
    (reference, secondary, *context), _ = scene
    whole = rounded.estimate(reference, secondary, context)
    kept = rounded.estimate(reference, secondary, context, margin=rounded.halo)
    for one, two in zip(whole, kept, strict=True):
        np.testing.assert_allclose(two, within(one, rounded.halo), rtol=0, atol=2e-2)  # steps of 8 bits may fall apart
        assert np.abs(two - within(one, rounded.halo)).mean() < 1e-4


def test_weights_become_bytes() -> None:
    graph = trunk_graph(small_network(), Sides(True, True, True, True))
    names = ["features", *(layer.name + end for layer in graph.layers for end in ("", "_linear"))]
    whole = quantised_bytes(trunk_graph(small_network()), dict.fromkeys(names, (-1.0, 1.0)))
    threes = [layer for layer in graph.layers if layer.weight is not None and layer.weight.shape[2:] == (3, 3)]
    assert threes
    for layer in threes:
        assert layer.weight is not None
        assert layer.weight.tobytes() not in whole


def test_other_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.safetensors"
    Weights(SMALL, build("resunet", SMALL).state_dict(), kind="resunet").save(path)
    published = LearnedEstimator("published", path, spacing=10.0, device="cpu", runtime=INT8)
    with pytest.raises(ModelError, match="knows no other networks than the default one's kind; choose runtime 'auto'"):
        published.estimate(np.ones((32, 32), np.float32), np.ones((32, 32), np.float32))
