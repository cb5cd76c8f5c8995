"""The pool of examples: shards on disk, made once, read by random access.

A shard is one array of halves of precision, shape (examples, 5, size, size): logarithms of reference and secondary
(NaN where power isn't positive), mean and standard deviation of further dates' logarithms, and the true coherence (NaN
where it isn't known). A JSON file beside it holds the number of further dates and the pixel spacing of each example,
and of real ones where they come from. Simulated pools and pools made from real SLC pairs have the same form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tokenize import TokenError  # what NumPy lets through of a garbled header

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.train.examples import Example, Origin

CHANNELS = 5


@dataclass(frozen=True)
class Shard:
    """Examples of one file; arrays aren't read before they are looked at."""

    arrays: npt.NDArray[np.float16]
    dates: tuple[int, ...]
    spacing: tuple[float, ...]
    origins: tuple[Origin | None, ...]


def shard_path(folder: Path, number: int) -> Path:
    """Where shard `number` lies."""
    return folder / f"shard-{number:05d}.npy"


def write_shard(path: Path, examples: Sequence[Example]) -> None:
    """Write examples; a reader meets the whole shard or none."""
    arrays = np.stack([np.concatenate([each.images, each.context, each.coherence[None]]) for each in examples])
    beside: dict[str, object] = {
        "dates": [each.dates for each in examples],
        "spacing": [each.spacing for each in examples],
    }
    if any(each.origin for each in examples):
        beside["origins"] = [asdict(each.origin) if each.origin else None for each in examples]
    path.with_suffix(".json").write_text(json.dumps(beside), encoding="utf-8")
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, arrays.astype(np.float16), allow_pickle=False)
    partial.replace(path)


class Pool:
    """The shards of a folder.

    Parameters
    ----------
    folder
        With `shard-*.npy`.
    shards
        How many of them to use, from the first; None: all.

    Raises
    ------
    ModelError
        There are none, or one of them is no shard, or of another size.
    """

    def __init__(self, folder: Path, shards: int | None = None) -> None:
        self._folder = folder
        self._paths: list[Path] = []
        self._places: list[tuple[Shard, int]] = []
        self.size = 0
        self.extend(shards)
        if not self._paths:
            raise ModelError(
                f"there are no examples (shard-*.npy) in {folder}; mend `pool`, or leave it out to simulate"
            )

    def extend(self, shards: int | None) -> None:
        """Take in what has come to the folder, up to so many shards in all; raises as the constructor does."""
        for path in sorted(self._folder.glob("shard-*.npy"))[len(self._paths) : shards]:
            shard = _open(path)
            side = shard.arrays.shape[-1]
            self.size = self.size or side
            if side != self.size:
                first = self._paths[0].name
                raise ModelError(f"{path} has examples of {side} pixels, {first} of {self.size}; keep one size")
            self._paths.append(path)
            self._places += [(shard, k) for k in range(len(shard.dates))]

    @property
    def shards(self) -> int:
        """How many there are."""
        return len(self._paths)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[np.float16], int, float]:
        """Arrays (5, size, size), number of further dates and pixel spacing in metres of one example."""
        shard, k = self._places[number]
        return shard.arrays[k], shard.dates[k], shard.spacing[k]

    def origin(self, number: int) -> Origin | None:
        """Where an example comes from; None for a simulated one."""
        shard, k = self._places[number]
        return shard.origins[k]


def _open(path: Path) -> Shard:
    try:
        # opened as an array and nothing else: `np.load` would take archives too
        arrays = np.lib.format.open_memmap(path, mode="r")
        beside = json.loads(path.with_suffix(".json").read_text("utf-8"))
        dates = tuple(int(number) for number in beside["dates"])
        spacing = tuple(float(number) for number in beside["spacing"])
        told = beside.get("origins", [None] * len(dates))  # shards of simulated scenes have none
        origins = tuple(Origin(**each) if each else None for each in told)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, TokenError) as error:
        raise ModelError(f"{path} is no shard of examples ({error}); delete it and make it again") from None
    if arrays.ndim != 4 or arrays.shape[1] != CHANNELS or arrays.shape[2] != arrays.shape[3] or arrays.dtype != np.half:
        raise ModelError(
            f"{path} has shape {arrays.shape} and type {arrays.dtype}; a shard has (examples, {CHANNELS}, size, size) "
            "and float16"
        )
    if {len(dates), len(spacing), len(origins)} != {len(arrays)}:
        raise ModelError(
            f"{path} has {len(arrays)} examples, its .json dates of {len(dates)}, spacings of {len(spacing)} and "
            f"origins of {len(origins)}; delete both"
        )
    return Shard(arrays, dates, spacing, origins)
