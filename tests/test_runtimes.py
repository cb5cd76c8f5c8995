"""Runtimes: the same network gives the same numbers in all of them, and a wrong choice is one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models import registry
from models.coherence.graphs import trunk_graph
from models.coherence.learned import LearnedEstimator
from models.coherence.network import CoherenceNetwork, Layout, Weights, build
from models.coherence.published import PublishedNetwork
from models.errors import ModelError
from models.estimator import FloatArray
from models.runtimes.choice import AUTOMATIC, EXACT, NEEDS, is_installed, open_runner, resolve_runtime
from models.runtimes.graph import Graph
from models.runtimes.ncnn_net import layers_text
from models.runtimes.onnx_model import onnx_bytes
from tests.keras_files import random_network
from tests.small_network import shown, small_network, write_weights

CPU = torch.device("cpu")
TOLERANCE = 1e-5
"""Largest difference of coherence and sigma from PyTorch's, stated in docs/estimators.md."""


def needs(runtime: str) -> str:
    if not is_installed(runtime):
        pytest.skip(f"{runtime} is not installed")
    return runtime


def speckle(count: int, height: int, width: int) -> list[FloatArray]:
    rng = np.random.default_rng(5)
    return [rng.gamma(4.4, 0.05 / 4.4, (height, width)).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("runtime", EXACT)
@pytest.mark.parametrize("dates", [0, 3])
def test_the_shipped_weights_give_the_same_maps_everywhere(runtime: str, dates: int) -> None:
    reference, secondary, *context = speckle(2 + dates, 149, 200)
    reference[:40, 100:] = np.nan
    usual = registry.get(device="cpu", runtime="torch").estimate(reference, secondary, context)
    other = registry.get(device="cpu", runtime=needs(runtime)).estimate(reference, secondary, context)
    for one, two in zip(usual, other, strict=True):
        np.testing.assert_array_equal(np.isnan(one), np.isnan(two))
        np.testing.assert_allclose(two, one, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("runtime", EXACT)
def test_the_published_layout_gives_the_same_numbers_everywhere(runtime: str) -> None:
    published = PublishedNetwork().eval()
    published.network.load_state_dict(random_network(channels=(32, 64, 128, 256, 512)).state_dict())
    run = open_runner(needs(runtime), trunk_graph(published))
    with torch.inference_mode():
        features = published.features(*shown(64, 96))
        for found, expected in zip(
            published.answer(run(features)), published.answer(published.trunk(features)), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("runtime", EXACT)
@pytest.mark.parametrize("layout", [Layout((8,), (2,), ()), Layout((8, 12, 16, 20), (1, 2, 1, 1), (1, 0, 1))])
def test_other_sizes_of_network_will_do(runtime: str, layout: Layout) -> None:
    network = build("speckle-unet", layout).eval()
    assert isinstance(network, CoherenceNetwork)
    run = open_runner(needs(runtime), trunk_graph(network))
    with torch.inference_mode():
        features = network.features(*shown(64, 96, dates=2))
        np.testing.assert_allclose(run(features), network.trunk(features), rtol=0, atol=1e-4)


@pytest.mark.parametrize("runtime", EXACT)
def test_a_tile_with_its_halo_equals_the_whole(runtime: str) -> None:
    estimator = registry.get(device="cpu", runtime=needs(runtime))
    reference, secondary, *context = speckle(4, 480, 48)
    reference[230:250, 10:20] = np.nan
    whole = estimator.estimate(reference, secondary, context)
    window = slice(208 - estimator.halo, 272 + estimator.halo)
    tile = estimator.estimate(reference[window], secondary[window], [date[window] for date in context])
    for all_of_it, piece in zip(whole, tile, strict=True):
        inside = piece[estimator.halo : -estimator.halo]
        np.testing.assert_allclose(inside, all_of_it[208:272], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("runtime", EXACT)
def test_the_same_images_give_the_same_bits(runtime: str, tmp_path: Path) -> None:
    path = write_weights(tmp_path / "small.safetensors")
    first, again = (LearnedEstimator("small", path, spacing=10.0, runtime=needs(runtime)) for _ in range(2))
    reference, secondary = speckle(2, 96, 80)
    expected = first.estimate(reference, secondary)
    first.estimate(reference[:64, :64], secondary[:64, :64])  # another size in between leaves nothing behind
    for estimator in (first, again):
        for one, two in zip(estimator.estimate(reference, secondary), expected, strict=True):
            np.testing.assert_array_equal(one, two)


def test_auto_takes_the_first_that_is_installed() -> None:
    there = [name for name in AUTOMATIC if is_installed(name)]
    assert resolve_runtime("auto", CPU) == (there[0] if there else "torch")
    assert resolve_runtime("auto", torch.device("cuda")) == "torch"
    assert registry.get(device="cpu", runtime="torch").runtime == "torch"
    assert registry.get("log-moments", runtime="onnxruntime").runtime == "torch"  # a window has no use for it


def test_the_runtime_is_no_part_of_the_version(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "small.safetensors")
    versions = {LearnedEstimator("small", path, spacing=10.0, runtime=each).version for each in ("auto", "torch")}
    assert len(versions) == 1


@pytest.mark.parametrize(
    ("name", "device", "sentence"),
    [
        (
            "abacus",
            "cpu",
            r"unknown runtime 'abacus'; choose one of auto, torch, onnxruntime, openvino, ncnn, onnxruntime-int8",
        ),
        ("ncnn", "cuda", r"runtime 'ncnn' computes on the CPU; choose device 'cpu', or runtime 'auto'"),
    ],
)
def test_a_runtime_that_will_not_do_is_told(name: str, device: str, sentence: str) -> None:
    if name in NEEDS:
        needs(name)
    with pytest.raises(ModelError, match=sentence):
        resolve_runtime(name, torch.device(device))


def test_a_runtime_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEEDS, "openvino", ("no_such_package",))
    sentence = r"runtime 'openvino' is not installed; `pip install no_such_package` brings it, or choose runtime 'auto'"
    with pytest.raises(ModelError, match=sentence):
        resolve_runtime("openvino", CPU)
    with pytest.raises(ModelError, match=sentence):  # told before anything is spent
        registry.check(runtime="openvino")


def test_a_graph_says_which_layers_there_are() -> None:
    text = layers_text(trunk_graph(small_network())).splitlines()
    layers, blobs = (int(number) for number in text[1].split())
    assert layers == len(text) - 2
    made = [name for line in text[2:] for name in _leaving(line)]
    assert len(made) == len(set(made)) == blobs
    assert not any(line.startswith("BatchNorm") for line in text)  # all are folded in


def _leaving(line: str) -> list[str]:
    _, _, entering, leaving, *names = line.split()
    return names[int(entering) : int(entering) + int(leaving)]


def test_an_onnx_model_says_its_opset_and_holds_the_weights() -> None:
    graph = trunk_graph(small_network())
    content = onnx_bytes(graph)
    for layer in graph.layers:
        assert layer.name.encode() in content
        assert layer.weight is None or layer.weight.tobytes() in content
    assert content == onnx_bytes(graph)


def test_a_normalisation_before_a_padded_convolution_is_not_folded() -> None:
    graph = Graph(4)
    with pytest.raises(ValueError, match="can't be folded"):
        graph.conv("features", nn.Conv2d(4, 4, 3, padding=1), first=nn.BatchNorm2d(4))


def test_weights_on_disk_are_what_every_runtime_gets(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "small.safetensors")
    network = Weights.load(path).network()
    enter = trunk_graph(network).layers[0]
    assert enter.weight is not None
    assert isinstance(network, CoherenceNetwork)
    assert network.scale.running_var is not None
    spread = (network.scale.running_var + network.scale.eps).sqrt()
    channels = network.stem.channels
    assert not enter.weight[:, channels:].any()  # what enters is filled up with empty channels
    unfolded = torch.from_numpy(enter.weight)[:, :channels, 0, 0] * spread
    torch.testing.assert_close(unfolded, network.enter.weight.detach()[:, :, 0, 0])
