"""The pool of examples: shards on disk, made once, read by random access.

A shard is one array of halves of precision, shape (examples, 5, size, size): logarithms of reference and secondary
(NaN where power isn't positive), mean and standard deviation of further dates' logarithms, and the true coherence.
A JSON file beside it holds the number of further dates and the pixel spacing of each example. Simulated pools and pools
made from real SLC pairs have the same form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tokenize import TokenError  # what NumPy lets through of a garbled header

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.train.examples import Example, simulated_example

CHANNELS = 5


@dataclass(frozen=True)
class Shard:
    """Examples of one file; arrays aren't read before they are looked at."""

    arrays: npt.NDArray[np.float16]
    dates: tuple[int, ...]
    spacing: tuple[float, ...]


def shard_path(folder: Path, number: int) -> Path:
    """Where shard `number` lies."""
    return folder / f"shard-{number:05d}.npy"


def write_shard(path: Path, examples: Sequence[Example]) -> None:
    """Write examples; a reader meets the whole shard or none."""
    arrays = np.stack([np.concatenate([each.images, each.context, each.coherence[None]]) for each in examples])
    beside = {"dates": [each.dates for each in examples], "spacing": [each.spacing for each in examples]}
    path.with_suffix(".json").write_text(json.dumps(beside), encoding="utf-8")
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, arrays.astype(np.float16), allow_pickle=False)
    partial.replace(path)


def make_shard(folder: Path, number: int, *, seed: int, count: int, size: int) -> None:
    """Simulate examples number * count and on."""
    import torch

    torch.set_num_threads(1)
    write_shard(shard_path(folder, number), [simulated_example(seed, number * count + k, size) for k in range(count)])


def simulate_pool(folder: Path, shards: int, *, seed: int, count: int, size: int, workers: int) -> Iterator[int]:
    """Simulate the shards that aren't there yet, and say how many there are after each.

    Raises
    ------
    ModelError
        The folder holds a pool made in another way.
    """
    made_by = {"seed": seed, "examples_per_shard": count, "size": size, "made_by": "models.train.examples"}
    _claim(folder, made_by)
    missing = [number for number in range(shards) if not shard_path(folder, number).exists()]
    done = shards - len(missing)
    yield done
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        jobs = [executor.submit(make_shard, folder, number, seed=seed, count=count, size=size) for number in missing]
        try:
            for job in as_completed(jobs):
                job.result()
                done += 1
                yield done
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise


def _claim(folder: Path, made_by: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "pool.json"
    if not manifest.exists() and not any(folder.glob("shard-*.npy")):
        partial = manifest.with_suffix(".partial")
        partial.write_text(json.dumps(made_by, indent=2), encoding="utf-8")
        partial.replace(manifest)
        return
    try:
        same = manifest.exists() and json.loads(manifest.read_text(encoding="utf-8")) == made_by
    except ValueError as error:
        raise ModelError(f"{manifest} is damaged ({error}); delete {folder} to simulate again") from None
    if not same:
        raise ModelError(f"{folder} holds examples made in another way; name another `pool`, or delete it")


class Pool:
    """Every shard of a folder.

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
        paths = sorted(folder.glob("shard-*.npy"))[:shards]
        if not paths:
            raise ModelError(
                f"there are no examples (shard-*.npy) in {folder}; mend `pool`, or leave it out to simulate"
            )
        self._shards = [_open(path) for path in paths]
        self._places = [(shard, k) for shard in self._shards for k in range(len(shard.dates))]
        self.size = self._shards[0].arrays.shape[-1]
        for path, shard in zip(paths, self._shards, strict=True):
            side = shard.arrays.shape[-1]
            if side != self.size:
                raise ModelError(f"{path} has examples of {side} pixels, {paths[0].name} of {self.size}; keep one size")

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[np.float16], int, float]:
        """Arrays (5, size, size), number of further dates and pixel spacing in metres of one example."""
        shard, k = self._places[number]
        return shard.arrays[k], shard.dates[k], shard.spacing[k]


def _open(path: Path) -> Shard:
    try:
        # opened as an array and nothing else: `np.load` would take archives too
        arrays = np.lib.format.open_memmap(path, mode="r")
        beside = json.loads(path.with_suffix(".json").read_text("utf-8"))
        dates = tuple(int(number) for number in beside["dates"])
        spacing = tuple(float(number) for number in beside["spacing"])
    except (OSError, ValueError, KeyError, TypeError, TokenError) as error:
        raise ModelError(f"{path} is no shard of examples ({error}); delete it and make it again") from None
    if arrays.ndim != 4 or arrays.shape[1] != CHANNELS or arrays.shape[2] != arrays.shape[3] or arrays.dtype != np.half:
        raise ModelError(
            f"{path} has shape {arrays.shape} and type {arrays.dtype}; a shard has (examples, {CHANNELS}, size, size) "
            "and float16"
        )
    if {len(dates), len(spacing)} != {len(arrays)}:
        raise ModelError(
            f"{path} has {len(arrays)} examples, its .json dates of {len(dates)} and spacings of {len(spacing)}; "
            "delete both"
        )
    return Shard(arrays, dates, spacing)
