"""Weight files of Keras, in every style it writes, and files that are something else."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from models.errors import ModelError
from models.keras_weights import in_own_process, read_keras
from models.resunet import CHANNELS, ResidualUNet
from tests.keras_files import SMALL, Layer, keras_layers, random_network, write_listed, write_numbered

Write = Callable[[Path, list[Layer]], Path]

STYLES: dict[str, Write] = {
    "Keras 3 .weights.h5": write_numbered,
    "Keras 3 .weights.h5 without names": lambda path, layers: write_numbered(path, layers, names=False),
    "Keras 2 .weights.h5": lambda path, layers: write_numbered(
        path, layers, names=False, root="_layer_checkpoint_dependencies"
    ),
    "Keras 2 .h5": write_listed,
    "Keras 3 whole model .h5": lambda path, layers: write_listed(path, layers, whole_model=True),
}


def here(path: Path) -> dict[str, torch.Tensor]:
    """Read a file of the small network in this process, which is quicker."""
    return read_keras(path, SMALL, isolated=False)


def assert_same(found: dict[str, torch.Tensor], network: ResidualUNet) -> None:
    expected = network.state_dict()
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("write", STYLES.values(), ids=STYLES)
def test_every_weight_lands_in_its_place(tmp_path: Path, write: Write) -> None:
    network = random_network()
    path = write(tmp_path / "model.h5", keras_layers(network))
    assert_same(here(path), network)


@pytest.mark.parametrize("write", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("shortcut_first", [True, False])
def test_names_may_be_numbered_on_and_blocks_be_written_in_another_order(
    tmp_path: Path,
    write: Write,
    shortcut_first: bool,  # noqa: FBT001
) -> None:
    network = random_network()
    layers = keras_layers(network, offset=9, shortcut_first=shortcut_first)
    assert_same(here(write(tmp_path / "model.h5", layers)), network)


@pytest.mark.parametrize("write", [write_numbered, write_listed])
def test_heads_go_by_their_names_where_there_are_any(tmp_path: Path, write: Write) -> None:
    network = random_network()
    *others, mean, log_variance = keras_layers(network)
    assert_same(here(write(tmp_path / "model.h5", [*others, log_variance, mean])), network)


def test_an_optimizers_state_is_no_layer(tmp_path: Path) -> None:
    network = random_network()
    path = write_numbered(tmp_path / "model.weights.h5", keras_layers(network))
    with h5py.File(path, "a") as file:
        file["optimizer/vars/0"] = np.zeros(3)
    assert_same(here(path), network)


def test_the_imported_network_answers_as_the_one_it_came_from(tmp_path: Path) -> None:
    network, imported = random_network(channels=CHANNELS), ResidualUNet().eval()
    path = write_numbered(tmp_path / "model.weights.h5", keras_layers(network))
    imported.load_state_dict(read_keras(path, isolated=False))
    images = torch.rand(1, 2, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for found, expected in zip(imported(images), network(images), strict=True):
            assert expected.std() > 0.01
            assert torch.equal(found, expected)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        here(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


Change = Callable[[list[Layer]], object]

MISTAKES: dict[str, tuple[Change, str]] = {
    "another width": (
        lambda layers: layers.__setitem__(0, ("conv2d_1", {"kernel": np.zeros((3, 3, 2, 5)), "bias": np.zeros(5)})),
        "0 convolutions 3x3 from 2 to 3 channels where 1 were expected",
    ),
    "a layer too few": (lambda layers: layers.pop(), "1 convolutions 1x1 from 3 to 1 channels (mean) where 2 were"),
    "a layer too many": (
        lambda layers: layers.append(("extra", {"kernel": np.zeros((5, 5, 1, 1)), "bias": np.zeros(1)})),
        "1 convolutions 5x5 from 1 to 1 channels (extra) where 0 were expected",
    ),
    "a normalisation too few": (lambda layers: layers.pop(1), "3 batch normalisations of 3 channels (batch_"),
    "a dense layer": (
        lambda layers: layers.append(("dense", {"kernel": np.zeros((7, 9)), "bias": np.zeros(9)})),
        "1 layers of shape (7, 9) (dense) where 0 were expected",
    ),
    "no bias": (
        lambda layers: layers.__setitem__(0, ("conv2d_1", {"kernel": np.zeros((3, 3, 2, 3))})),
        "layer 'conv2d_1' holds ",
    ),
    "a bias of another length": (
        lambda layers: layers[0][1].update(bias=np.zeros(4, np.float32)),
        "bias of layer 'conv2d_1' is float32 of shape (4,), where floating point of shape (3,) was expected",
    ),
    "whole numbers": (
        lambda layers: layers[0][1].update(bias=np.zeros(3, np.int32)),
        "bias of layer 'conv2d_1' is int32 of shape (3,)",
    ),
    "NaN": (
        lambda layers: layers[0][1].update(bias=np.full(3, np.nan)),
        "bias of layer 'conv2d_1' holds numbers that are not finite",
    ),
    "numbers too large for a float": (
        lambda layers: layers[0][1].update(bias=np.full(3, 1e300)),
        "bias of layer 'conv2d_1' holds numbers that are not finite",
    ),
    "a negative variance": (
        lambda layers: layers[1][1].update(moving_variance=np.full(3, -1.0)),
        "moving_variance of layer 'batch_normalization' is negative",
    ),
}


@pytest.mark.parametrize("write", [write_numbered, write_listed])
@pytest.mark.parametrize(("change", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_file_that_is_not_the_published_network_is_refused(
    tmp_path: Path, change: Change, sentence: str, write: Write
) -> None:
    layers = keras_layers(random_network())
    change(layers)
    said = refusal(write(tmp_path / "model.h5", layers))
    assert "does not hold the published network" in said
    assert sentence in said


def test_layers_within_layers_have_no_known_order(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        for block in ("encoder", "decoder"):
            for kind, number in (("conv2d", 2), ("batch_normalization", 4)):
                for variable in range(number):
                    file[f"layers/{block}/{kind}/vars/{variable}"] = np.zeros(3)
    assert "its layers are layers/decoder/batch_normalization, layers/decoder/conv2d, " in refusal(path)


def a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1.0, 2.0]}))


def a_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"")


def a_git_lfs_pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def an_empty_hdf5_file(path: Path) -> None:
    h5py.File(path, "w").close()


def numbered_by_letters(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["layers/conv2d/vars/kernel"] = np.zeros(3)


def names_that_lead_nowhere(path: Path) -> None:
    write_listed(path, keras_layers(random_network()))
    with h5py.File(path, "a") as file:
        del file["conv2d_5"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (a_pickle, "is no HDF5 file (it begins with b'\\x80"),
        (a_zip, "is a zip archive, not HDF5; if it is a .keras model, unpack its model.weights.h5"),
        (a_git_lfs_pointer, "is no HDF5 file (it begins with b'version '"),
        (Path.touch, "is no HDF5 file"),
        (Path.mkdir, "can't be read: Is a directory"),
        (lambda _: None, "can't be read: No such file or directory"),
        (an_empty_hdf5_file, "it has no layers with weights in a style of Keras"),
        (numbered_by_letters, "is damaged"),
        (names_that_lead_nowhere, "is damaged"),
    ],
)
def test_a_file_that_is_something_else_is_told_in_one_sentence(
    tmp_path: Path, make: Callable[[Path], None], sentence: str
) -> None:
    path = tmp_path / "model.weights.h5"
    make(path)
    assert sentence in refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("write", [write_numbered, write_listed])
def test_a_truncated_file_is_damaged(tmp_path: Path, write: Write, share: float) -> None:
    path = write(tmp_path / "model.h5", keras_layers(random_network()))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "is damaged" in refusal(path)


def test_it_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    network = random_network()
    path = write_numbered(tmp_path / "model.weights.h5", keras_layers(network))
    assert_same(read_keras(path, SMALL), network)
    a_pickle(path)
    with pytest.raises(ModelError, match=r"model\.weights\.h5 is no HDF5 file"):
        read_keras(path, SMALL)


def test_a_crash_of_the_hdf5_library_is_told_in_one_sentence() -> None:
    with pytest.raises(ModelError, match=r"^bad\.h5 is damaged: the HDF5 library crashed over it"):
        in_own_process("bad.h5", os._exit, 1)
