"""What isn't kept need not be computed: the same maps, with less work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models import registry
from models.coherence.blocks import blocks
from models.coherence.graphs import trunk_graph
from models.coherence.learned import LearnedEstimator
from models.coherence.network import CoherenceNetwork, Layout, Weights, build
from models.coherence.residual_unet import HALO
from models.coherence.trim import WHOLE, Sides, around, cut_off, plan_cuts
from models.errors import ModelError
from models.estimator import FloatArray, within
from models.runtimes.choice import EXACT, is_installed, open_runner
from models.runtimes.graph import ENTRANCE, Graph
from models.runtimes.published import published_graph
from tests.keras_files import every_path_open, random_network
from tests.small_network import SMALL, shown, small_network, write_weights

ALL = Sides(True, True, True, True)
LAYOUTS = [SMALL, Layout((8,), (2,), ()), Layout((8, 12, 16, 20), (1, 2, 1, 1), (1, 0, 1))]


def speckle(count: int, height: int, width: int) -> list[FloatArray]:
    rng = np.random.default_rng(3)
    return [rng.gamma(4.4, 0.05 / 4.4, (height, width)).astype(np.float32) for _ in range(count)]


def network_of(layout: Layout) -> CoherenceNetwork:
    """A network whose blocks aren't the identity, as fresh ones are, with a halo that is on its lattice."""
    network = build("speckle-unet", layout).eval()
    assert isinstance(network, CoherenceNetwork)
    generator = torch.Generator().manual_seed(2)
    for name, weight in network.named_parameters():
        if name.endswith("norm.weight"):
            weight.data.uniform_(0.3, 0.7, generator=generator)
    network.halo = -(-network.halo // network.lattice) * network.lattice
    return network


def test_fine_levels_need_a_few_cells_and_coarse_ones_nearly_all() -> None:
    cuts = plan_cuts(encoder=(1, 2, 2), decoder=(1, 1), margin=36)
    # Counted by hand from the end. One block (2 cells) on the finest level: 2 cells of the next, which is 4 of its own.
    # One block more there: 4, hence 3 of the coarsest; and 4 more for the two blocks on it: 7 of the 9 there are.
    assert cuts.leaving == 4
    assert cuts.skips == (32, 12)  # of 36 and of 18
    assert cuts.entering == (0, 0, 2)
    assert cuts.coarse == (4, 4)  # from 6 to 2, from 7 to 3


def test_the_published_layout_needs_a_cell_more_for_each_convolution_after_an_enlargement() -> None:
    cuts = random_network().cuts(144)
    # Around what is kept the decoder needs 3 cells of the finest level (a block and the 2x2 convolution), hence 2 of
    # the next; with 3 more there 3, then 4, then 4 of the coarsest. Up the encoder: 4 + 2 = 6, 14, 30, 62, 126 of 144.
    assert cuts.entering == (16, 0, 0, 2, 1)
    assert cuts.coarse == (4, 5, 4, 2)  # from 6 to 2, from 8 to 3, from 8 to 4, from 6 to 4
    assert cuts.skips == (124, 58, 24, 6)
    assert cuts.leaving == 4


@pytest.mark.parametrize(
    ("kept", "sides", "rest"),
    [
        ((slice(16, 48), slice(16, 40)), ALL, (slice(0, 32), slice(0, 24))),
        ((slice(0, 48), slice(16, 50)), Sides(bottom=True, left=True), (slice(0, 48), slice(0, 34))),
        ((slice(15, 49), slice(17, 41)), Sides(left=True, right=False), (slice(15, 49), slice(1, 25))),
        ((slice(0, 64), slice(0, 56)), WHOLE, (slice(0, 64), slice(0, 56))),
    ],
)
def test_a_side_is_cut_where_a_whole_halo_lies_beside_what_is_kept(
    kept: tuple[slice, slice], sides: Sides, rest: tuple[slice, slice]
) -> None:
    assert around(kept, (64, 56), 16) == (sides, rest)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_of_the_margin_is_gone_in_the_end(layout: Layout) -> None:
    network = network_of(layout)
    features = network.features(*shown(2 * network.halo + 64, 2 * network.halo + 96))
    with torch.inference_mode():
        assert network.trunk(features, ALL).shape[-2:] == (16, 24)


@pytest.mark.parametrize("sides", [ALL, Sides(top=True, right=True), Sides(bottom=True), Sides()])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_kept_is_what_it_was(layout: Layout, sides: Sides) -> None:
    network = network_of(layout)
    margin = network.halo // 4
    features = network.features(*shown(2 * network.halo + 64, 2 * network.halo + 32, dates=2))
    with torch.inference_mode():
        whole = network.trunk(features)
        torch.testing.assert_close(
            network.trunk(features, sides), cut_off(whole, sides.times(margin)), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("sides", [ALL, Sides(top=True, right=True), Sides(bottom=True), WHOLE])
def test_of_the_published_layout_what_is_kept_is_what_it_was(sides: Sides) -> None:
    network = every_path_open()  # no weights could let more through
    images = torch.rand(1, 1, 2 * HALO + 32, 2 * HALO + 16, dtype=torch.float64)
    with torch.inference_mode():
        expected = cut_off(network.heads(images), sides.times(HALO))
        torch.testing.assert_close(network.heads(images, sides, HALO), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("runtime", EXACT)
@pytest.mark.parametrize("sides", [ALL, Sides(top=True, right=True)])
def test_every_runtime_cuts_the_published_layout_alike(runtime: str, sides: Sides) -> None:
    if not is_installed(runtime):
        pytest.skip(f"{runtime} is not installed")
    network = random_network()
    images = torch.rand(1, 2, 2 * HALO + 16, 2 * HALO + 32)
    with torch.inference_mode():
        found = open_runner(runtime, published_graph(network, sides, HALO))(images)
        np.testing.assert_allclose(found, network.heads(images, sides, HALO), rtol=0, atol=1e-5)
        np.testing.assert_allclose(found, cut_off(network.heads(images), sides.times(HALO)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("cut", [(3, 3, 5, 5), (2, 0, 0, 0), (0, 4, 1, 1), (0, 0, 7, 0), (1, 2, 0, 3)])
@pytest.mark.parametrize("channels", [8, 3])
def test_a_crop_in_onnx_runtime_takes_away_what_it_says_and_changes_nothing(
    channels: int, cut: tuple[int, int, int, int]
) -> None:
    graph = Graph(channels)
    graph.crop(ENTRANCE, cut)
    image = torch.rand(1, channels, 12, 14)
    np.testing.assert_array_equal(open_runner("onnxruntime", graph)(image), cut_off(image, cut))


@pytest.mark.parametrize("runtime", EXACT)
@pytest.mark.parametrize("sides", [ALL, Sides(left=True)])
def test_every_runtime_cuts_alike(runtime: str, sides: Sides) -> None:
    if not is_installed(runtime):
        pytest.skip(f"{runtime} is not installed")
    network = small_network()
    features = network.features(*shown(2 * network.halo + 64, 2 * network.halo + 32))
    with torch.inference_mode():
        expected = network.trunk(features, sides)
        found = open_runner(runtime, trunk_graph(network, sides))(features)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("small", (384, 362)), ("small", (349, 337)), ("published", (301, 289)), ("log-correlation", (61, 53))],
)
def test_maps_lack_the_margin_and_are_otherwise_the_same(tmp_path: Path, name: str, shape: tuple[int, int]) -> None:
    path = tmp_path / "published.safetensors"
    if name == "small":
        path = write_weights(tmp_path / "small.safetensors")
    else:
        Weights(SMALL, build("resunet", SMALL).state_dict(), kind="resunet").save(path)
    estimator = (
        registry.get(name, device="cpu")
        if name == "log-correlation"
        else LearnedEstimator(name, path, spacing=10.0, device="cpu")
    )
    reference, secondary, *context = speckle(2 + min(estimator.context, 2), *shape)
    middle = shape[0] // 2
    reference[middle : middle + 20, middle - 5 : middle + 30] = np.nan
    secondary[:middle, :middle] = 0.0
    for margin in (estimator.halo, 16):
        whole = estimator.estimate(reference, secondary, context)
        kept = estimator.estimate(reference, secondary, context, margin=margin)
        for one, two in zip(whole, kept, strict=True):
            assert two.shape == (shape[0] - 2 * margin, shape[1] - 2 * margin)
            np.testing.assert_allclose(two, within(one, margin), rtol=0, atol=1e-5)


def test_blocks_cover_what_is_within_the_margin_once() -> None:
    seen = np.zeros((205, 70), int)
    for inner, outer, cut in blocks((205, 70), halo=16, side=32, margin=16):
        seen[inner] += 1
        assert np.arange(205)[outer[0]][cut[0]].tolist() == np.arange(205)[inner[0]].tolist()
        assert outer[0].start % 16 == 0
    assert (within(seen, 16) == 1).all()
    assert seen.sum() == within(seen, 16).size


@pytest.mark.parametrize("name", ["speckle-unet", "log-correlation"])
@pytest.mark.parametrize("margin", [20, -1])
def test_a_margin_that_leaves_nothing_is_refused(name: str, margin: int) -> None:
    reference, secondary = speckle(2, 40, 64)
    with pytest.raises(
        ModelError, match=rf"a margin of {margin} pixels leaves nothing of an image of shape \(40, 64\)"
    ):
        registry.get(name, device="cpu").estimate(reference, secondary, margin=margin)
