"""CSLC-S1 of OPERA, and what COMPASS writes: one HDF5 file a burst and date, complex images on a map.

/data/VV (complex64, NaN outside the burst) with x_coordinates, y_coordinates, x_spacing, y_spacing, projection (an EPSG
code) and azimuth_carrier_phase; the time is in /identification/zero_doppler_start_time. Earlier versions had the same
below /science/SENTINEL1, the images in CSLC/grids. Flat-earth and topographic phase have been removed. After the
product specification (JPL D-108278) and COMPASS's own writer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from pipeline.errors import CohmapError
from pipeline.slc.dates import date_in, date_of_file
from pipeline.slc.image import POLARISATIONS, ComplexArray, FloatArray, Image, Window

_GRIDS = {"data": "identification", "science/SENTINEL1/CSLC/grids": "science/SENTINEL1/identification"}
"""Groups of images, each with the group that tells the time."""
_TIME, _CARRIER = "zero_doppler_start_time", "azimuth_carrier_phase"


def images_of(path: Path) -> list[Image]:
    """The polarisations of a file; none where it is laid out in another way.

    Raises
    ------
    CohmapError
        h5py is missing, the file is damaged, or an image isn't complex.
    """
    with _opened(path) as file:
        for grid, identification in _GRIDS.items():
            if grid not in file:
                continue
            group, images = file[grid], []
            when = _text(file, f"{identification}/{_TIME}")
            for name in POLARISATIONS:
                if name not in group or len(group[name].shape) != 2:
                    continue
                if group[name].dtype.kind != "c":
                    raise CohmapError(
                        f"/{grid}/{name} of {path} is {group[name].dtype}, not complex; give the CSLC itself"
                    )
                images.append(_image(path, f"{grid}/{name}", name, group, date_in(when) or date_of_file(path)))
            if images:
                return images
    return []


def _image(path: Path, address: str, polarisation: str, group: Any, day: dt.date | None) -> Image:
    lines, samples = (int(side) for side in group[polarisation].shape)
    has_carrier = _CARRIER in group and group[_CARRIER].shape == (lines, samples)
    return Image(
        str(path),
        day,
        polarisation,
        (lines, samples),
        _spacing(group),
        _complex_reader(path, address),
        _carrier_reader(path, f"{address.rsplit('/', 1)[0]}/{_CARRIER}") if has_carrier else None,
    )


def _complex_reader(path: Path, address: str) -> Callable[[Window], ComplexArray]:
    def read(window: Window) -> ComplexArray:
        with _opened(path) as file:
            return np.asarray(file[address][window], np.complex64)

    return read


def _carrier_reader(path: Path, address: str) -> Callable[[Window], FloatArray]:
    def read(window: Window) -> FloatArray:
        with _opened(path) as file:
            # radians run to thousands: whole turns go before precision does
            return np.remainder(np.asarray(file[address][window], np.float64), 2.0 * np.pi).astype(np.float32)

    return read


def _opened(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise CohmapError(f'reading {path} needs h5py; pip install "cohmap[slc]" brings it') from None
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise CohmapError(f"{path} can't be read as HDF5 ({str(error).splitlines()[0]}); fetch it again") from None


def _text(file: Any, address: str) -> str:
    if address not in file:
        return ""
    value = file[address][()]
    return value.decode() if isinstance(value, bytes) else str(value)


def _spacing(group: Any) -> tuple[float, float] | None:
    """Metres along y and x; None in degrees."""
    steps = [_step(group, axis) for axis in ("y", "x")]
    if "projection" in group:
        try:
            if CRS.from_user_input(int(group["projection"][()])).is_geographic:
                return None
        except (CRSError, TypeError, ValueError):
            return None
    return (steps[0], steps[1]) if all(step > 0 for step in steps) else None


def _step(group: Any, axis: str) -> float:
    if f"{axis}_spacing" in group:
        return abs(float(group[f"{axis}_spacing"][()]))
    for name in (f"{axis}_coordinates", axis):
        if name in group and len(group[name]) > 1:
            return abs(float(group[name][1]) - float(group[name][0]))
    return 0.0
