"""Imported weights on the user's disk: one safetensors file each, with all it takes to run it.

They lie in ``$COHMAP_WEIGHTS``, or in ``cohmap/weights`` below ``$XDG_CACHE_HOME``, which is ``~/.cache`` where it
isn't set. Safetensors holds numbers and text only: nothing in such a file can run. Light to import; PyTorch is loaded
with the tensors.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.decibels import DecibelRange
from models.errors import ModelError

if TYPE_CHECKING:
    import torch

SUFFIX = ".safetensors"
FORMAT = 1
"""Of the metadata below; raised when an older cohmap could no longer read it."""
_KEY = "cohmap"
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class Record:
    """What is kept with the tensors, as text in the file's metadata.

    Attributes
    ----------
    channels
        Of each level of the network.
    scale
        Input range.
    patch, stride
        Of the published inference, in pixels.
    origin
        Where the weights come from.
    config
        The whole config.yaml they came with.
    """

    channels: tuple[int, ...]
    scale: DecibelRange
    patch: int
    stride: int
    origin: str
    config: str


@dataclass(frozen=True)
class Weights:
    """Tensors with their record.

    Attributes
    ----------
    digest
        Changes whenever the tensors, the network or its input range do.
    """

    state: dict[str, torch.Tensor]
    record: Record
    digest: str


def folder() -> Path:
    """Where imported weights lie."""
    given = os.environ.get("COHMAP_WEIGHTS")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cohmap" / "weights"


def path_of(name: str) -> Path:
    """Where the weights of this name lie, or would.

    Raises
    ------
    ModelError
        It is no name.
    """
    if not NAME.fullmatch(name):
        raise ModelError(f"'{name}' is no name for weights; take lower-case letters, digits and dashes")
    return folder() / f"{name}{SUFFIX}"


def names() -> list[str]:
    """Names of all imported weights."""
    found = (path.name.removesuffix(SUFFIX) for path in folder().glob(f"*{SUFFIX}"))
    return sorted(name for name in found if NAME.fullmatch(name))


def save(name: str, state: Mapping[str, torch.Tensor], record: Record) -> Path:
    """Write weights whole or not at all; those of the same name are replaced.

    Raises
    ------
    ModelError
        It is no name, or the folder can't be written.
    """
    from safetensors.torch import save as to_bytes

    target = path_of(name)
    # one key: safetensors writes several in no fixed order, and the same import should give the same bytes
    content = to_bytes(dict(state), {_KEY: json.dumps({"format": FORMAT, **asdict(record)})})
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise ModelError(
            f"weights can't be written to {target.parent} ({error.strerror}); name another folder in COHMAP_WEIGHTS"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return target


def load(name: str) -> Weights:
    """Read imported weights.

    Raises
    ------
    ModelError
        There are none of this name, or the file is damaged.
    """
    from safetensors.torch import load as from_bytes

    path = path_of(name)
    record = read_record(name)
    try:
        state = from_bytes(path.read_bytes())
        return Weights(state, record, _digest(state, record))
    except Exception as error:  # noqa: BLE001 - safetensors raises a class of its own, and others for odd tensors
        raise _damaged(path, str(error)) from None


def read_record(name: str) -> Record:
    """What is kept with imported weights; reads the file's header only.

    Raises
    ------
    ModelError
        There are none of this name, or the file is damaged.
    """
    path = path_of(name)
    if not path.is_file():
        raise ModelError(f"there are no weights called '{name}' in {folder()}")
    try:
        content = _metadata(path)
        return Record(
            channels=tuple(int(channels) for channels in content["channels"]),
            scale=DecibelRange(**content["scale"]),
            patch=int(content["patch"]),
            stride=int(content["stride"]),
            origin=str(content["origin"]),
            config=str(content["config"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise _damaged(path, reason) from None


def _metadata(path: Path) -> dict[str, Any]:
    """Our part of the file's header: its length in eight bytes, then JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError("it is no safetensors file, or cut short")
        header = json.loads(file.read(length))
    content: dict[str, Any] = json.loads(header["__metadata__"][_KEY])
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']}, where this cohmap reads {FORMAT}")
    return content


def _damaged(path: Path, reason: str) -> ModelError:
    return ModelError(f"weights {path} can't be used ({reason}); delete them and import or fetch them again")


def _digest(state: Mapping[str, torch.Tensor], record: Record) -> str:
    numbers = hashlib.sha256(json.dumps([record.channels, asdict(record.scale)]).encode())
    for name, tensor in sorted(state.items()):
        numbers.update(name.encode())
        numbers.update(tensor.contiguous().numpy().tobytes())
    return numbers.hexdigest()[:8]
