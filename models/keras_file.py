"""Weight files of Keras: which layers they hold, and their numbers, read with h5py alone.

Two styles are in use. ``.weights.h5`` of Keras 3 numbers layers by their class, in the order of the model
(``layers/conv2d_7/vars/0``); early releases of Keras 3 lose the names given to layers, later ones note them in an
attribute. ``.h5`` of Keras 2, and whole models that Keras 3 saves as ``.h5``, go by names and list them in the order of
the model (attribute ``layer_names``).

Layers are found by order and shape in both, never by the numbers in given names: those depend on which models were
built before in the same session and on which convolution of a block was written first.

PyTorch is not imported, so that a process made for one file starts quickly.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ModelError

Shape = tuple[int, ...]
Arrays = dict[str, dict[str, npt.NDArray[np.float32]]]

CONVOLUTION = ("kernel", "bias")
NORMALISATION = ("gamma", "beta", "moving_mean", "moving_variance")
_KINDS = (CONVOLUTION, NORMALISATION)


@dataclass(frozen=True)
class Slot:
    """A layer of the network that waits for its weights.

    Attributes
    ----------
    name
        What the network calls it.
    shapes
        Shapes of its variables by what Keras calls them, those of `CONVOLUTION` or of `NORMALISATION`; a kernel is
        (height, width, entering, leaving).
    """

    name: str
    shapes: Mapping[str, Shape]

    @property
    def shape(self) -> Shape:
        """Shape of its first variable, which tells kinds and sizes of layers apart."""
        return next(iter(self.shapes.values()))


@dataclass(frozen=True)
class _Layer:
    """A layer of the file that has weights: h5py datasets by what Keras calls them."""

    name: str
    variables: Mapping[str, Any]

    @property
    def shape(self) -> Shape:
        """As `Slot.shape`."""
        return tuple(next(iter(self.variables.values())).shape)


def read_layers(path: str | Path, slots: Sequence[Slot], named: Sequence[str] = ()) -> Arrays:
    """Weights for every layer of a network, from a weight file of either style.

    Parameters
    ----------
    path
        ``.weights.h5`` or ``.h5``.
    slots
        The network's layers, in the order of the model.
    named
        Names of layers of one shape, in the order of the model, that go by their names where the file knows them.

    Returns
    -------
    Arrays
        By the slot's name and by what Keras calls the variable.

    Raises
    ------
    ModelError
        h5py is missing, the file can't be read as HDF5, its layers are not those of the network, or its numbers are
        no weights (not finite, a negative variance).
    """
    try:
        import h5py
    except ImportError:
        raise ModelError("reading Keras weights needs h5py; `pip install 'cohmap[keras]'` brings it") from None
    _require_hdf5(Path(path))
    try:
        with h5py.File(path, "r") as file:
            layers = list(_listed(file) or _numbered(file, h5py.Dataset))
            return _read(slots, _assigned(slots, layers, named))
    except ModelError as error:
        raise ModelError(f"{path} does not hold the published network: {_short(error)}") from None
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        # whatever h5py raises where the file's structure is broken
        raise ModelError(f"{path} is damaged ({_short(error)}); download it again") from None


def _short(error: Exception) -> str:
    """One line, whatever names the file gives to its layers, and however many."""
    return textwrap.shorten(str(error), 300, placeholder=" …")


def _require_hdf5(path: Path) -> None:
    try:
        with path.open("rb") as file:
            begins = file.read(8)
    except OSError as error:
        raise ModelError(f"weight file {path} can't be read: {error.strerror}") from None
    if begins.startswith(b"PK\x03\x04"):
        raise ModelError(f"{path} is a zip archive, not HDF5; if it is a .keras model, unpack its model.weights.h5")
    if begins != b"\x89HDF\r\n\x1a\n":
        raise ModelError(f"{path} is no HDF5 file (it begins with {begins!r}); give the .weights.h5 or .h5 of Keras")


def _listed(file: Any) -> list[_Layer]:
    """Layers of a file that lists their names in order; none where it doesn't."""
    root = file.get("model_weights", file)
    layers: dict[str, dict[str, Any]] = {}
    for name in _texts(root.attrs.get("layer_names", ())):
        for variable in _texts(root[name].attrs.get("weight_names", ())):
            # a model inside the model is one layer here, with its own layers' names before the variables'
            owner, _, last = variable.rpartition("/")
            layers.setdefault(f"{name}/{owner}", {})[last.partition(":")[0]] = root[name][variable]
    return [_known(name.rpartition("/")[2], variables) for name, variables in layers.items()]


def _texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _numbered(file: Any, dataset: type) -> Iterator[_Layer]:
    """Layers of a file that numbers them by class, in the order of the model."""
    found: dict[str, list[tuple[int, _Layer]]] = {}

    def visit(path: str, group: Any) -> None:
        parts = path.split("/")
        if parts[-1] != "vars" or isinstance(group, dataset) or not len(group) or "optimizer" in parts:
            return
        layer_path = "/".join(parts[:-1])
        kind, _, number = layer_path.rpartition("_")
        if not number.isdecimal():
            kind, number = layer_path, "0"  # the first of its class has no number
        keys = sorted(group, key=int)
        names = next((kind for kind in _KINDS if len(kind) == len(keys)), keys)
        variables = {name: group[key] for name, key in zip(names, keys, strict=True)}
        layer = _known(str(group.attrs.get("name", parts[-2])), variables)
        found.setdefault(kind, []).append((int(number), layer))

    file.visititems(visit)
    if len(found) > 2:
        # numbers order the layers of one class only: layers of several can't be put into the model's order
        kinds = ", ".join(sorted(found))
        raise ModelError(f"its layers are {kinds}, where only conv2d and batch_normalization were expected")
    for layers in found.values():
        yield from (layer for _, layer in sorted(layers, key=lambda entry: entry[0]))


def _known(name: str, variables: Mapping[str, Any]) -> _Layer:
    """A layer with its variables in a fixed order, once it is sure that it is of one of the two kinds."""
    for names in _KINDS:
        if set(names) == set(variables):
            return _Layer(name, {name: variables[name] for name in names})
    raise ModelError(
        f"layer '{name}' holds {', '.join(variables)}, where convolutions and batch normalisations were expected"
    )


def _assigned(slots: Sequence[Slot], layers: Sequence[_Layer], named: Sequence[str]) -> list[_Layer]:
    """A layer of the file for each of the network's, by shape, and by order among those of one shape."""
    if not layers:
        raise ModelError("it has no layers with weights in a style of Keras")
    waiting: dict[Shape, list[_Layer]] = {}
    for layer in layers:
        waiting.setdefault(layer.shape, []).append(layer)
    expected = {shape: len(list(group)) for shape, group in itertools.groupby(sorted(slot.shape for slot in slots))}
    for shape in sorted({*expected, *waiting}):
        there, wanted = waiting.get(shape, []), expected.get(shape, 0)
        if len(there) != wanted:
            names = f" ({', '.join(layer.name for layer in there)})" if there else ""
            raise ModelError(f"it has {len(there)} {_words(shape)}{names} where {wanted} were expected")
    _order_by_name(waiting, named)
    return [waiting[slot.shape].pop(0) for slot in slots]


def _order_by_name(waiting: Mapping[Shape, list[_Layer]], named: Sequence[str]) -> None:
    """Put layers that have these names in their order: where shapes are alike, nothing else tells them apart."""
    for layers in waiting.values():
        if {layer.name for layer in layers} == set(named):
            layers.sort(key=lambda layer: named.index(layer.name))


def _words(shape: Shape) -> str:
    match shape:
        case (channels,):
            return f"batch normalisations of {channels} channels"
        case height, width, entering, leaving:
            return f"convolutions {height}x{width} from {entering} to {leaving} channels"
        case _:
            return f"layers of shape {shape}"


def _read(slots: Sequence[Slot], layers: Sequence[_Layer]) -> Arrays:
    return {
        slot.name: {variable: _values(layer, variable, shape) for variable, shape in slot.shapes.items()}
        for slot, layer in zip(slots, layers, strict=True)
    }


def _values(layer: _Layer, variable: str, shape: Shape) -> npt.NDArray[np.float32]:
    """A variable's numbers, read once its shape is known to be right: a file may declare any size."""
    dataset = layer.variables[variable]
    if tuple(dataset.shape) != shape or dataset.dtype.kind != "f":
        raise ModelError(
            f"{variable} of layer '{layer.name}' is {dataset.dtype} of shape {tuple(dataset.shape)}, "
            f"where floating point of shape {shape} was expected"
        )
    with np.errstate(over="ignore"):  # what overflows is not finite, and refused below
        values: npt.NDArray[np.float32] = np.asarray(dataset[()], np.float32)
    if not np.isfinite(values).all():
        raise ModelError(f"{variable} of layer '{layer.name}' holds numbers that are not finite")
    if variable == "moving_variance" and (values < 0).any():
        raise ModelError(f"moving_variance of layer '{layer.name}' is negative")
    return values
