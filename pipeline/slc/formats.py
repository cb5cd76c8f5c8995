"""Which format a file or folder is of: its first bytes or its layout tell, and its suffix only where these don't."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import CohmapError
from pipeline.slc import cslc, cube, geotiff, snap, zarray
from pipeline.slc.image import Image

_RASTERS, _HDF5 = (".tif", ".tiff", ".vrt", ".slc"), (".h5", ".hdf5", ".he5", ".nc", ".nc4")
_ZARR = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")


def images_at(path: Path) -> list[Image]:
    """The complex images of a file, of a Zarr store, or of all of them in a folder and those below it.

    Raises
    ------
    CohmapError
        There are none, or what is there can't be read as complex images.
    """
    if not path.exists():
        raise CohmapError(f"there is no SLC stack {path}; name files or a folder")
    if path.is_dir() and not is_zarr(path):
        return _below(path)
    if path.is_dir():
        return zarray.images_of(path) if zarray.is_array(path) else cube.images_of(path)
    return _of_file(path)


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return path.is_dir() and any((path / name).exists() for name in _ZARR)


def _of_file(path: Path) -> list[Image]:
    if path.suffix.lower() == ".dim":
        return snap.images_of(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise CohmapError(f"{path} can't be read: {error.strerror}") from None
    if start == b"\x89HDF\r\n\x1a\n":
        return cslc.images_of(path) or cube.images_of(path)
    return cube.images_of(path) if start.startswith(b"CDF") else geotiff.images_of(path)


def _below(folder: Path) -> list[Image]:
    found = _members(folder)
    if not found:
        raise CohmapError(
            f"folder {folder} holds no SLC: looked for {', '.join((*_RASTERS, *_HDF5))}, .dim, .zarr and .znap"
        )
    return [image for member in found for image in images_at(member)]


def _members(folder: Path) -> list[Path]:
    """Files and Zarr stores, by name; what belongs to a .dim or a store isn't looked into."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if is_zarr(path) or (path.is_file() and path.suffix.lower() in (*_RASTERS, *_HDF5, ".dim")):
            found.append(path)
        elif path.is_dir() and path.suffix.lower() != ".data":
            found += _members(path)
    return found
