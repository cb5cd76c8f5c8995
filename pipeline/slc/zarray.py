"""A Zarr array by itself, without names for its axes: (lines, samples), or (dates, lines, samples)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from pipeline.errors import CohmapError
from pipeline.slc.dates import date_of_file, polarisation_in
from pipeline.slc.image import ComplexArray, Image, Window


def is_array(path: Path) -> bool:
    """Whether a folder is a Zarr array, of version 2 or 3, and not a group."""
    if (path / ".zarray").is_file():
        return True
    try:
        return bool(json.loads((path / "zarr.json").read_text("utf-8"))["node_type"] == "array")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def images_of(path: Path) -> list[Image]:
    """Its image, whose name tells the date; or its images, whose dates nothing tells.

    Raises
    ------
    CohmapError
        It can't be read, isn't complex, or has other axes.
    """
    array = _opened(path)
    if array.ndim not in {2, 3} or array.dtype.kind != "c":
        raise CohmapError(
            f"{path} is an array of {array.ndim} axes and {array.dtype}; give complex (lines, samples), or (dates, "
            "lines, samples)"
        )
    single = array.ndim == 2
    lines, samples = (int(side) for side in array.shape[-2:])
    return [
        Image(
            str(path),
            date_of_file(path) if single else None,
            polarisation_in(path.name),
            (lines, samples),
            None,
            _reader(path, None if single else number),
        )
        for number in range(1 if single else array.shape[0])
    ]


def _opened(path: Path) -> Any:
    try:
        return zarr.open_array(path, mode="r")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CohmapError(f"{path} can't be read as a Zarr array ({str(error).splitlines()[0]})") from None


def _reader(path: Path, number: int | None) -> Callable[[Window], ComplexArray]:
    def read(window: Window) -> ComplexArray:
        place = window if number is None else (number, *window)
        return np.asarray(_opened(path)[place], np.complex64)

    return read
