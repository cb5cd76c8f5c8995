"""Small stacks of complex images, each written as its own software lays it out."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
import zarr
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

ComplexArray = npt.NDArray[np.complex64]
Images = dict[dt.date, ComplexArray]

DAYS = tuple(dt.date(2023, 3, 7) + dt.timedelta(days=12 * k) for k in range(3))
SHAPE = (70, 90)
SPACING = (13.9, 3.5)


def images(shape: tuple[int, int] = SHAPE, *, gamma: float = 0.8, days: tuple[dt.date, ...] = DAYS) -> Images:
    """Circular-Gaussian samples whose coherence is `gamma` for every pair, 0 in the right half."""
    rng = np.random.default_rng(11)

    def drawn() -> npt.NDArray[np.complex128]:
        return rng.normal(size=(*shape, 2)).view(np.complex128)[..., 0] * 30.0

    common = drawn()
    common[:, shape[1] // 2 :] = 0.0
    found = {day: np.sqrt(gamma) * common + np.sqrt(1.0 - gamma * (common != 0)) * drawn() for day in days}
    return {day: image.astype(np.complex64) for day, image in found.items()}


def write_geotiffs(folder: Path, stack: Images, *, crs: str | None = None, name: str = "slc_{}_VV.tif") -> Path:
    """One a date; with a CRS, on a map with pixels of 5 m across and 10 m along."""
    folder.mkdir(parents=True, exist_ok=True)
    place: dict[str, Any] = {"crs": crs, "transform": Affine(5.0, 0.0, 6e5, 0.0, -10.0, 5.8e6)} if crs else {}
    for day, image in stack.items():
        write_geotiff(folder / name.format(f"{day:%Y%m%d}"), image[np.newaxis], **place)
    return folder


def write_geotiff(path: Path, bands: npt.NDArray[Any], names: tuple[str, ...] = (), **profile: Any) -> Path:
    count, height, width = bands.shape
    settings = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype, **profile}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **settings) as file:
            file.write(bands)
            if names:
                file.descriptions = names
    return path


def write_cslcs(folder: Path, stack: Images, *, dataset: str = "data/VV", carrier: bool = True) -> Path:
    """As OPERA's CSLC-S1 are: the day in a dataset and not where the name would give another first."""
    folder.mkdir(parents=True, exist_ok=True)
    grid, _, _ = dataset.rpartition("/")
    identification = "identification" if grid == "data" else "science/SENTINEL1/identification"
    for number, (day, image) in enumerate(stack.items()):
        with h5py.File(folder / f"t088_185684_iw2_{number}.h5", "w") as file:
            file[dataset] = image
            rows, cols = image.shape
            file[f"{grid}/x_coordinates"] = 6e5 + 5.0 * np.arange(cols)
            file[f"{grid}/y_coordinates"] = 5.8e6 - 10.0 * np.arange(rows)
            file[f"{grid}/x_spacing"], file[f"{grid}/y_spacing"] = 5.0, -10.0
            file[f"{grid}/projection"] = np.int32(32631)
            file[f"{identification}/zero_doppler_start_time"] = f"{day} 05:50:35.812250"
            if carrier:
                file[f"{grid}/azimuth_carrier_phase"] = np.full(image.shape, 1000.0 * np.pi + 1.0)
    return folder


def write_sarxarray(path: Path, stack: Images, *, zarr_format: Any = 2) -> Path:
    """Real and imaginary parts along (azimuth, range, time), which sarxarray.from_dataset takes."""
    parts_cube(stack).to_zarr(path, zarr_format=zarr_format, consolidated=False)
    return path


def parts_cube(stack: Images) -> xr.Dataset:
    cube = np.stack(list(stack.values()), axis=-1)
    dims = ("azimuth", "range", "time")
    days = np.array([np.datetime64(day, "ns") for day in stack])
    return xr.Dataset({"real": (dims, cube.real), "imag": (dims, cube.imag)}, coords={"time": days})


def complex_cube(stack: Images) -> xr.Dataset:
    """One complex variable along (time, y, x) of a map in metres, amplitude beside it."""
    cube = np.stack(list(stack.values()))
    dims, metres = ("time", "y", "x"), {"units": "m"}
    rows, cols = cube.shape[1:]
    return xr.Dataset(
        {"complex": (dims, cube), "amplitude": (dims, np.abs(cube))},
        coords={
            "time": [int(f"{day:%Y%m%d}") for day in stack],
            "y": ("y", 5.8e6 - 10.0 * np.arange(rows), metres),
            "x": ("x", 6e5 + 5.0 * np.arange(cols), metres),
        },
    )


def write_znaps(folder: Path, stack: Images) -> Path:
    """As SNAP writes Zarr: a store a date, i and q by polarisation and day."""
    for day, image in stack.items():
        name = f"VV_{day:%d%b%Y}"
        parts = {f"i_{name}": image.real.astype(">f4"), f"q_{name}": image.imag.astype(">f4")}
        cube = xr.Dataset({key: (("y", "x"), part) for key, part in parts.items()})
        cube["elevation"] = (("y", "x"), np.zeros(image.shape, np.float32))
        cube.to_zarr(folder / f"{day:%Y%m%d}-coreg.znap", zarr_format=2, consolidated=False)
    return folder


def write_zarray(path: Path, stack: Images) -> Path:
    cube = np.stack(list(stack.values()))
    zarr.create_array(path, shape=cube.shape, dtype=cube.dtype)[:] = cube
    return path


_HEADER = """ENVI
description = {{Sentinel-1 IW SLC - Unit: real}}
samples = {cols}
lines = {rows}
bands = 1
header offset = 0
file type = ENVI Standard
data type = 4
interleave = bsq
byte order = 1
band names = {{ {name} }}
data gain values = {{1.0}}
data offset values = {{0.0}}
"""


def write_dimap(path: Path, stack: Images) -> Path:
    """A coregistered stack in one .dim: bands i and q of every date, most significant byte first, and a virtual one."""
    folder = path.with_suffix(".data")
    folder.mkdir(parents=True)
    bands: list[str] = []
    files: list[str] = []
    for number, (day, image) in enumerate(stack.items()):
        rows, cols = image.shape
        place = "mst" if number == 0 else f"slv{number}"
        for letter, part in (("i", image.real), ("q", image.imag)):
            name, index = f"{letter}_IW3_VV_{place}_{day:%d%b%Y}", len(files)
            part.astype(">f4").tofile(folder / f"{name}.img")
            (folder / f"{name}.hdr").write_text(_HEADER.format(cols=cols, rows=rows, name=name))
            files.append(
                f'<Data_File><DATA_FILE_PATH href="{folder.name}/{name}.hdr" />'
                f"<BAND_INDEX>{index}</BAND_INDEX></Data_File>"
            )
            bands.append(
                f"<Spectral_Band_Info><BAND_INDEX>{index}</BAND_INDEX><BAND_NAME>{name}</BAND_NAME></Spectral_Band_Info>"
            )
    bands.append(
        f"<Spectral_Band_Info><BAND_INDEX>{len(files)}</BAND_INDEX><BAND_NAME>Intensity_IW3_VV</BAND_NAME>"
        "<VIRTUAL_BAND>true</VIRTUAL_BAND></Spectral_Band_Info>"
    )
    attributes = {
        "first_line_time": f"{next(iter(stack)):%d-%b-%Y} 05:50:35.812250".upper(),
        "range_spacing": "2.329562",
        "azimuth_spacing": "13.9",
        "incidence_near": "41.22",
        "incidence_far": "46.02",
        "srgr_flag": "0",
    }
    told = "".join(f'<MDATTR name="{key}" type="ascii">{value}</MDATTR>' for key, value in attributes.items())
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<Dimap_Document name="stack.dim">'
        f"<Data_Access>{''.join(files)}</Data_Access><Image_Interpretation>{''.join(bands)}</Image_Interpretation>"
        f'<Dataset_Sources><MDElem name="metadata"><MDElem name="Abstracted_Metadata">{told}</MDElem></MDElem>'
        "</Dataset_Sources></Dimap_Document>"
    )
    return path
