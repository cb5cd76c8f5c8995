"""Complex rasters that GDAL reads: GeoTIFF above all, also VRT and ENVI as ISCE writes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from pipeline.errors import CohmapError
from pipeline.slc.dates import date_in, date_of_file, polarisation_in
from pipeline.slc.image import ComplexArray, Image, Window


def images_of(path: Path) -> list[Image]:
    """The bands of a raster: one a date, or one a file whose name has the date.

    Raises
    ------
    CohmapError
        GDAL can't read it, or its bands aren't complex.
    """
    with opened(path) as raster:
        real = sorted({str(kind) for kind in raster.dtypes if not str(kind).startswith("complex")})
        if real:
            raise CohmapError(
                f"{path} holds {', '.join(real)}, not complex numbers; the phase is what is measured: give the SLC"
            )
        spacing, shape = _spacing(raster), (int(raster.height), int(raster.width))
        names = [str(name or "") for name in raster.descriptions]
    return [
        Image(
            str(path),
            date_in(name) or date_of_file(path),
            polarisation_in(name) or polarisation_in(path.name),
            shape,
            spacing,
            _reader(path, number + 1),
        )
        for number, name in enumerate(names)
    ]


def _reader(path: Path, band: int) -> Callable[[Window], ComplexArray]:
    def read(window: Window) -> ComplexArray:
        image: ComplexArray = read_band(path, band, window).astype(np.complex64, copy=False)
        return image

    return read


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A raster, open; images in radar geometry have no georeference, and GDAL needn't say so.

    Raises
    ------
    CohmapError
        It can't be read, now or within the block.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as raster:
                yield raster
    except RasterioError as error:
        raise CohmapError(f"{path} can't be read as a raster ({str(error).splitlines()[0]})") from None


def read_band(path: Path, band: int, window: Window) -> Any:
    """A window of a band, as its numbers are."""
    lines, samples = window
    with opened(path) as raster:
        return raster.read(
            band, window=RasterWindow.from_slices((lines.start, lines.stop), (samples.start, samples.stop))
        )


def _spacing(raster: Any) -> tuple[float, float] | None:
    """Metres of a map's pixels; None in radar geometry and in degrees."""
    if raster.crs is None or not raster.crs.is_projected:
        return None
    metres = float(raster.crs.linear_units_factor[1])
    return abs(float(raster.transform.e)) * metres, abs(float(raster.transform.a)) * metres


def as_complex(real: Any, imaginary: Any) -> ComplexArray:
    """One complex image from two real ones of any type and byte order."""
    joined = np.empty(real.shape, np.complex64)
    joined.real, joined.imag = real, imaginary
    return joined
