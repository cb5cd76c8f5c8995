"""Cubes of xarray in Zarr or NetCDF, those that sarxarray reads among them: (time, azimuth, range) in any order.

A complex variable, or two real ones: real and imag as sarxarray takes them, i and q as SNAP calls them. Without a time
axis a file is one date, which its name or its variables' names tell (SNAP's .znap).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pipeline.errors import CohmapError
from pipeline.slc.dates import date_in, date_of_file, polarisation_in
from pipeline.slc.geotiff import as_complex
from pipeline.slc.image import ComplexArray, Image, Window

_TIME = ("time", "date", "dates", "epoch", "epochs", "t")
_LINES = ("azimuth", "y", "line", "lines", "row", "rows", "northing", "lat", "latitude")
_SAMPLES = ("range", "x", "sample", "samples", "column", "col", "cols", "easting", "lon", "longitude")
_REAL = re.compile(r"(?<![a-z])(real|re|i)(?![a-z])", re.IGNORECASE)
_IMAGINARY = {"real": "imag", "re": "im", "i": "q"}
_METRES = {"m", "metre", "metres", "meter", "meters"}


def images_of(path: Path) -> list[Image]:
    """Every date and polarisation of a cube.

    Raises
    ------
    CohmapError
        It can't be read, or has no complex variable along azimuth and range.
    """
    with _opened(path) as cube:
        parts = list(_complex_variables(cube))
        if not parts:
            held = ", ".join(f"{name} ({', '.join(map(str, cube[name].dims))})" for name in cube.data_vars)
            raise CohmapError(
                f"{path} has no complex variable, and no two called real and imag or i and q, along azimuth and range "
                f"(or y and x); it has {held or 'none'}"
            )
        return [image for names in parts for image in _images(path, cube, names)]


def _images(path: Path, cube: xr.Dataset, names: tuple[str, ...]) -> Iterator[Image]:
    first = cube[names[0]]
    lines, samples = (_dimension(first, known) for known in (_LINES, _SAMPLES))
    time = _dimension(first, _TIME)
    days = _days(cube, time) if time else [date_in(names[0]) or date_of_file(path)]
    told = polarisation_in(names[0]) or str(first.attrs.get("polarisation", first.attrs.get("polarization", "")))
    for number, day in enumerate(days):
        yield Image(
            str(path),
            day,
            told or polarisation_in(path.name),
            (first.sizes[lines], first.sizes[samples]),
            _spacing(cube, str(lines), str(samples)),
            _reader(path, names, {time: number} if time else {}, (str(lines), str(samples))),
        )


def _reader(
    path: Path, names: tuple[str, ...], place: dict[str, int], dims: tuple[str, str]
) -> Callable[[Window], ComplexArray]:
    def read(window: Window) -> ComplexArray:
        with _opened(path) as cube:
            parts = [
                cube[name].isel({**place, **dict(zip(dims, window, strict=True))}).transpose(*dims).to_numpy()
                for name in names
            ]
        return parts[0].astype(np.complex64, copy=False) if len(parts) == 1 else as_complex(*parts)

    return read


@contextmanager
def _opened(path: Path) -> Iterator[xr.Dataset]:
    settings: dict[str, Any] = {"chunks": None, "mask_and_scale": False}
    if path.is_dir():
        settings |= {"engine": "zarr", "consolidated": False}
    try:
        cube = xr.open_dataset(path, **settings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        more = "" if path.is_dir() else '; pip install "cohmap[slc]" brings what reads NetCDF 4'
        raise CohmapError(f"{path} can't be read as a cube ({reason}){more}") from None
    with cube:
        yield cube


def _complex_variables(cube: xr.Dataset) -> Iterator[tuple[str, ...]]:
    """Names of the complex variables, or of the real and imaginary parts where there is none."""
    images = [
        str(name)
        for name, array in cube.data_vars.items()
        if _dimension(array, _LINES)
        and _dimension(array, _SAMPLES)
        and array.ndim == 2 + bool(_dimension(array, _TIME))
    ]
    whole = [name for name in images if cube[name].dtype.kind == "c"]
    yield from ((name,) for name in whole)
    if not whole:
        for name in images:
            match = _REAL.search(name.replace("_", " "))
            if match:
                other = _IMAGINARY[match.group(1).lower()]
                partner = name[: match.start()] + other + name[match.end() :]
                if partner in images and cube[partner].sizes == cube[name].sizes:
                    yield name, partner


def _dimension(array: xr.DataArray, known: tuple[str, ...]) -> str:
    return next((str(dim) for dim in array.dims if str(dim).lower() in known), "")


def _days(cube: xr.Dataset, time: str) -> list[dt.date | None]:
    """Of a coordinate of times, or of texts or numbers like 20230331; None where it just counts."""
    if time not in cube.coords:
        return [None] * cube.sizes[time]
    values = cube[time].to_numpy()
    if values.dtype.kind == "M":
        return [date_in(str(np.datetime_as_string(value, "D"))) for value in values]
    return [date_in(str(value)) for value in values]


def _spacing(cube: xr.Dataset, *dims: Hashable) -> tuple[float, float] | None:
    """Metres between coordinates that say that they are metres."""
    steps = []
    for dim in dims:
        if dim not in cube.coords or str(cube[dim].attrs.get("units", "")) not in _METRES or cube.sizes[dim] < 2:
            return None
        steps.append(abs(float(cube[dim][1]) - float(cube[dim][0])))
    return (steps[0], steps[1]) if all(step > 0 for step in steps) else None
