"""The network: what lies beyond the halo doesn't matter; and its weights on disk, whole or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.coherence.network import FORMAT, HALO, Block, CoherenceNetwork, Layout, Weights
from models.coherence.ranges import HIGHEST_LOG, LOWEST_LOG
from models.errors import ModelError
from tests.small_network import SMALL, shown, small_network, write_weights

REACH = 176
"""Pixels that the convolutions of `SMALL` reach, and the stem before them, rounded up to its lattice."""


@pytest.mark.parametrize("dates", [0, 2])
def test_it_gives_coherence_and_log_variance_within_their_limits(dates: int) -> None:
    with torch.no_grad():
        coherence, log_variance = small_network()(*shown(64, 96, dates=dates))
    assert coherence.shape == log_variance.shape == (1, 1, 64, 96)
    assert 0.0 <= coherence.min() < coherence.max() <= 1.0
    assert LOWEST_LOG <= log_variance.min() <= log_variance.max() <= HIGHEST_LOG


@pytest.mark.parametrize(("halo", "tolerance"), [(REACH, 1e-6), (HALO, 1e-5)])
@pytest.mark.parametrize(("top", "left"), [(192, 0), (0, 208), (0, 0)])
def test_a_tile_with_its_halo_equals_the_whole(top: int, left: int, halo: int, tolerance: float) -> None:
    network, side = small_network(), 64
    images, context, dates, spacing = shown(480 if top else side, 480 if left else side, dates=3)
    images[:, 0, top : top + 30, left + 20 : left + 50] = torch.nan
    assert top % SMALL.lattice == left % SMALL.lattice == halo % SMALL.lattice == 0
    rows, cols = (slice(max(begin - halo, 0), begin + side + halo) for begin in (top, left))
    inside = slice(top - rows.start, top - rows.start + side), slice(left - cols.start, left - cols.start + side)
    with torch.no_grad():
        whole = network(images, context, dates, spacing)
        tile = network(images[..., rows, cols], context[..., rows, cols], dates, spacing)
    for all_of_it, piece in zip(whole, tile, strict=True):
        expected = all_of_it[..., top : top + side, left : left + side]
        np.testing.assert_allclose(piece[(..., *inside)], expected, rtol=0, atol=tolerance)


def test_a_tile_off_the_lattice_differs() -> None:
    network = small_network()
    images, context, dates, spacing = shown(128, 128)
    with torch.no_grad():
        whole, _ = network(images, context, dates, spacing)
        aside, _ = network(images[..., 4:116, :], context[..., 4:116, :], dates, spacing)
    assert (aside - whole[..., 4:116, :])[..., 48:64, 48:64].abs().max() > 1e-4


def test_examples_of_a_batch_know_nothing_of_each_other() -> None:
    network = small_network()
    first, second = shown(48, 48, dates=3, seed=1), shown(48, 48, seed=2)
    with torch.no_grad():
        together, _ = network(*(torch.cat(pair) for pair in zip(first, second, strict=True)))
        alone = torch.cat([network(*each)[0] for each in (first, second)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_every_weight_is_learned() -> None:
    network = small_network().train()
    coherence, log_variance = network(*shown(64, 64, dates=3))
    (coherence.square().sum() + log_variance.square().sum()).backward()
    still = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not still


def test_a_block_begins_as_the_identity() -> None:
    image = torch.rand(1, 8, 16, 16)
    assert torch.equal(Block(8).eval()(image), image)


@pytest.mark.parametrize(
    ("layout", "lattice"),
    [(Layout(), 16), (Layout((4, 8), (1, 1), (1,)), 8), (Layout((4, 4, 4, 4), (1, 1, 1, 1), (1, 1, 1)), 32)],
)
def test_the_lattice_follows_from_the_levels(layout: Layout, lattice: int) -> None:
    assert layout.lattice == lattice
    coherence, _ = CoherenceNetwork(layout).eval()(*shown(lattice, 2 * lattice))
    assert coherence.shape[-2:] == (lattice, 2 * lattice)


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    network = small_network()
    Weights(SMALL, network.state_dict(), {"made": "here"}, 1.25).save(tmp_path / "w.safetensors")
    weights = Weights.load(tmp_path / "w.safetensors")
    assert (weights.layout, weights.card, weights.sigma_scale) == (SMALL, {"made": "here"}, 1.25)
    with torch.no_grad():
        for found, expected in zip(weights.network()(*shown(32, 32)), network(*shown(32, 32)), strict=True):
            assert torch.equal(found, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_weights(tmp_path / name, sigma_scale=1.1).read_bytes() for name in ("a", "a"))
    assert one == other


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_picture(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))


def a_pickle(path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [truncated, empty, a_picture, a_pickle, a_folder])
def test_what_is_no_safetensors_file_is_told(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = write_weights(tmp_path / "w.safetensors")
    damage(path)
    with pytest.raises(ModelError, match=r"w\.safetensors is no safetensors file \(.*\); convert or train it again"):
        Weights.load(path)


def header(**changed: Any) -> dict[str, str]:
    """The metadata of the small network with some of it changed."""
    layout = {"channels": [8, 12, 16], "encoder": [1, 1, 2], "decoder": [1, 1]}
    whole = {"format": FORMAT, "layout": layout, "sigma_scale": 1.0, "card": {}}
    return {"cohmap": json.dumps(whole | changed)}


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (None, "it was written by another program"),
        ({"format": "pt"}, "it was written by another program"),
        ({"cohmap": "{"}, "Expecting property name"),
        ({"cohmap": "[]"}, "indices"),
        (header(format="cohmap-coherence-0"), "format cohmap-coherence-0"),
        (header(layout={"channels": [8, 12, 99], "encoder": [1, 1, 2], "decoder": [1, 1]}), "loading state_dict"),
        (header(layout={"channels": [8, 12], "encoder": [1, 1, 2], "decoder": [1, 1]}), "zip"),
        (header(layout={"channels": [], "encoder": [], "decoder": []}), "index out of range"),
        (header(layout={"width": [8]}), "unexpected keyword"),
        (header(layout=[8, 12, 16]), "has no attribute"),
        (header(kind="transformer"), "kind transformer"),
        (header(kind="resunet"), "loading state_dict"),
        (header(sigma_scale=0.0), "sigma_scale 0.0"),
        (header(sigma_scale=float("nan")), "sigma_scale nan"),
        (header(sigma_scale="large"), "could not convert"),
    ],
)
def test_other_weights_are_refused_in_one_sentence(
    tmp_path: Path, metadata: dict[str, str] | None, reason: str
) -> None:
    path = tmp_path / "w.safetensors"
    save_file(load_file(write_weights(path)), path, metadata=metadata)
    with pytest.raises(ModelError, match="holds no coherence network of this version") as refused:
        Weights.load(path)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_weights_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there are no weights at .*; train them with `cohmap train`"):
        Weights.load(tmp_path / "none.safetensors")
