"""SNAP's BEAM-DIMAP: a .dim file of XML, and beside it a .data folder with one ENVI raster a band.

Real and imaginary parts are bands of their own, i_VV_slv1_31Mar2023 and q_VV_slv1_31Mar2023; the headers say how their
numbers are stored (float32, most significant byte first, as a rule). Layout after SNAP's own writer of the format,
snap-core's package dataio.dimap.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from pipeline.errors import CohmapError
from pipeline.slc.dates import date_in, date_of_file, polarisation_in
from pipeline.slc.geotiff import as_complex, opened, read_band
from pipeline.slc.image import ComplexArray, Image, Window

_UNKNOWN = 99999.0
"""What SNAP writes for a number that it doesn't have."""


def images_of(path: Path) -> list[Image]:
    """The pairs of i and q bands of a product.

    Raises
    ------
    CohmapError
        It is no BEAM-DIMAP, has no such bands, or lacks a band's file.
    """
    try:
        product = ET.parse(path).getroot()  # noqa: S314 - a file of the user's own; expat bounds expansion
    except (ET.ParseError, OSError) as error:
        raise CohmapError(f"{path} is no BEAM-DIMAP product ({error}); save it from SNAP again") from None
    rasters = _rasters(path, product)
    spacing, day = _spacing(product), _first_line(product)
    images = []
    for name, real in rasters.items():
        imaginary = rasters.get(f"q{name[1:]}")
        if not name.startswith("i_") or imaginary is None:
            continue
        with opened(real) as raster:
            shape = (int(raster.height), int(raster.width))
        images.append(
            Image(
                str(path),
                date_in(name) or day or date_of_file(path),
                polarisation_in(name),
                shape,
                spacing,
                _reader(real, imaginary),
            )
        )
    if not images:
        raise CohmapError(
            f"{path} has no pair of bands i_... and q_..., so no complex image; bands: {', '.join(rasters) or 'none'}"
        )
    return images


def _reader(real: Path, imaginary: Path) -> Callable[[Window], ComplexArray]:
    return lambda window: as_complex(read_band(real, 1, window), read_band(imaginary, 1, window))


def _rasters(path: Path, product: ET.Element) -> dict[str, Path]:
    """Band names with their rasters; virtual bands have none."""
    files = {}
    for entry in product.iterfind("Data_Access/Data_File"):
        place = entry.find("DATA_FILE_PATH")
        header = path.parent / (place.get("href", "") if place is not None else "")
        files[entry.findtext("BAND_INDEX", "")] = header.with_suffix(".img")
    named = {
        entry.findtext("BAND_NAME", ""): files[entry.findtext("BAND_INDEX", "")]
        for entry in product.iterfind("Image_Interpretation/Spectral_Band_Info")
        if entry.findtext("BAND_INDEX", "") in files
    }
    for name, raster in named.items():
        if name[:2] in {"i_", "q_"} and not (raster.exists() and raster.with_suffix(".hdr").exists()):
            raise CohmapError(
                f"{path} names band {name}, but {raster} or its .hdr is missing; keep .dim and .data together"
            )
    return named


def _attribute(product: ET.Element, name: str) -> str:
    """Of the reference image; those of the others lie below Slave_Metadata."""
    elements = product.iterfind(".//MDElem[@name='Abstracted_Metadata']/MDATTR")
    return next((entry.text or "" for entry in elements if entry.get("name") == name), "")


def _number(product: ET.Element, name: str) -> float:
    try:
        value = float(_attribute(product, name))
    except ValueError:
        return math.nan
    return math.nan if value >= _UNKNOWN else value


def _first_line(product: ET.Element) -> dt.date | None:
    return date_in(_attribute(product, "first_line_time"))


def _spacing(product: ET.Element) -> tuple[float, float] | None:
    """Metres along azimuth and ground range; range is slant, unless the flag says otherwise."""
    azimuth, across = _number(product, "azimuth_spacing"), _number(product, "range_spacing")
    if _attribute(product, "srgr_flag").strip() not in {"1", "1.0"}:
        middle = 0.5 * (_number(product, "incidence_near") + _number(product, "incidence_far"))
        across /= math.sin(math.radians(middle)) if middle > 0 else math.nan
    return (azimuth, across) if azimuth > 0 and across > 0 else None
