"""Zarr cubes on the region's grid: the stack of passes and the stack of pair maps, opened with plain xarray.

A cube is one Zarr v3 group with a growing first axis (time or pair) and chunks of one tile; which pass or pair a
position of that axis is, stands in the group's attributes with its provenance.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from odc.geo.geobox import GeoBox
from zarr.abc.store import Store
from zarr.codecs import BloscCodec

from pipeline.cube_draft import Draft
from pipeline.errors import CohmapError
from pipeline.region import Tile
from pipeline.storage import Folder, fsync

# xarray takes pandas with it, a second for every worker: only who makes a cube, or opens one for users, waits for it
if TYPE_CHECKING:
    import xarray as xr

FloatArray = npt.NDArray[np.float32]

# Speckle hardly packs: lz4 leaves 74 % of a pair map, zstd 72 % at a quarter of the speed (docs/decisions.md, 54).
COMPRESSOR = BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle")

EPOCH = "seconds since 1970-01-01T00:00:00"


@dataclass(frozen=True)
class Variable:
    """A data variable: its name and its CF attributes."""

    name: str
    attrs: Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """What a cube looks like.

    Attributes
    ----------
    axis
        Name of the growing axis, "time" or "pair".
    entries
        One JSON-like record a position, with at least "id"; kept in the group's attribute of the axis' plural.
    coords
        Numeric coordinates along the axis: name -> (values, CF attributes).
    """

    axis: str
    variables: tuple[Variable, ...]
    entries: tuple[Mapping[str, Any], ...]
    coords: Mapping[str, tuple[npt.NDArray[np.generic], Mapping[str, str]]]

    @property
    def listing(self) -> str:
        """Attribute that holds the entries."""
        return "passes" if self.axis == "time" else f"{self.axis}s"


class Cube:
    """An open cube; writes whole chunks, reads windows with halo."""

    def __init__(self, folder: Folder, name: str, mode: Literal["r", "r+"] = "r") -> None:
        self.folder, self.name = folder, name
        self.group = _open_group(folder, name, mode)
        self._arrays: dict[str, zarr.Array[Any]] = {}

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The records of the growing axis, in its order."""
        listing = self.group.attrs.get("passes", self.group.attrs.get("pairs", []))
        return list(listing)  # type: ignore[arg-type]

    def position(self, entry_id: str) -> int:
        """Where a pass or pair stands on the axis."""
        for index, entry in enumerate(self.entries):
            if entry["id"] == entry_id:
                return index
        raise CohmapError(f"{self.folder.address(self.name)} holds no {entry_id}; {_mend(self.name)}")

    def array(self, variable: str) -> zarr.Array[Any]:
        """One data variable; its metadata are read once, which costs more than a chunk of 128 x 128 pixels."""
        if variable in self._arrays:
            return self._arrays[variable]
        found = self.group.get(variable)
        if not isinstance(found, zarr.Array):
            there = ", ".join(sorted(k for k, a in self.group.arrays() if a.ndim == 3))
            where = self.folder.address(self.name)
            raise CohmapError(f"{where} has no '{variable}', it has {there or 'nothing yet'}; {_mend(self.name)}")
        self._arrays[variable] = found
        return found

    def chunk_name(self, variable: str, index: int, tile: Tile) -> str:
        """The chunk's file, relative to the folder."""
        key = self.array(variable).metadata.encode_chunk_key((index, tile.row, tile.col))
        return f"{self.name}/{variable}/{key}"

    def write_tile(self, variable: str, index: int, tile: Tile, values: FloatArray) -> None:
        """Write one tile of one position: exactly one chunk, whole, and on disk when this returns."""
        self.write_tiles(variable, [index], tile, [values])

    def write_tiles(self, variable: str, indices: Sequence[int], tile: Tile, values: Sequence[FloatArray]) -> None:
        """Write one tile of several positions: a chunk each, on disk when this returns.

        Neighbouring positions are given to Zarr together, which for small tiles takes a third of the time.
        """
        # an all-NaN tile is written too: its chunk is the proof that the tile was looked at
        array = self.array(variable).with_config({"write_empty_chunks": True})
        first, last = indices[0], indices[-1]
        if list(indices) == list(range(first, last + 1)):
            array[first : last + 1, tile.rows, tile.cols] = values[0][None] if first == last else np.stack(values)
        else:
            for index, each in zip(indices, values, strict=True):
                array[index, tile.rows, tile.cols] = each
        if self.folder.local:
            for index in indices:
                fsync(self.folder.local / self.chunk_name(variable, index, tile))

    def read_tile(self, variable: str, index: int, tile: Tile, halo: int = 0) -> FloatArray:
        """One tile of one position with a margin; NaN beyond the grid's edge."""
        array = self.array(variable)
        height, width = array.shape[1:]
        rows, cols = tile.rows, tile.cols
        top, bottom = max(rows.start - halo, 0), min(rows.stop + halo, height)
        left, right = max(cols.start - halo, 0), min(cols.stop + halo, width)
        try:
            inside = np.asarray(array[index, top:bottom, left:right], dtype=np.float32)
        except (ValueError, RuntimeError) as error:  # what the codecs say of bytes that are not what they wrote
            raise CohmapError(
                f"{self.folder.address(self.name)} is damaged around {tile.key} of {variable} "
                f"({str(error).splitlines()[0]}); `cohmap verify` finds what is, then run again"
            ) from None
        if not halo:
            return inside
        padding = (
            (top - (rows.start - halo), rows.stop + halo - bottom),
            (left - (cols.start - halo), cols.stop + halo - right),
        )
        return np.pad(inside, padding, constant_values=np.nan)


class Chunks:
    """Which chunks of a cube are there, for tiles asked for one position after the other.

    A position's chunks are listed when it is first asked for, and forgotten at the next: a question for every chunk
    would take minutes on a disk, and hours on object storage.
    """

    def __init__(self, opened: Cube) -> None:
        self._cube, self._index = opened, -1
        self._found: dict[str, npt.NDArray[np.bool_]] = {}

    def has_tile(self, variables: Sequence[str], index: int, tile: Tile) -> bool:
        """Whether the tile's chunks of every variable are there."""
        if index != self._index:
            self._index, self._found = index, {}
        return all(self._there(variable)[tile.row, tile.col] for variable in variables)

    def _there(self, variable: str) -> npt.NDArray[np.bool_]:
        """By row and column of the tile, whether its chunk is there."""
        if variable not in self._found:
            array = self._cube.array(variable)
            found = np.zeros(array.cdata_shape[1:], dtype=np.bool_)
            above = self._cube.chunk_name(variable, self._index, Tile(0, 0, 1, (1, 1))).removesuffix("/0/0")
            for name in self._cube.folder.names_below(above):
                row, _, col = name.partition("/")
                # not what a killed run left beside them
                if row.isdecimal() and col.isdecimal() and int(row) < found.shape[0] and int(col) < found.shape[1]:
                    found[int(row), int(col)] = True
            self._found[variable] = found
        return self._found[variable]


def _open_group(folder: Folder, name: str, mode: Literal["r", "r+", "a"], draft: Store | None = None) -> zarr.Group:
    store = folder.zarr(name) if draft is None else draft
    try:
        return zarr.open_group(store, mode=mode, zarr_format=3, use_consolidated=False)
    except FileNotFoundError:
        raise CohmapError(f"there is no {folder.address(name)}; {_mend(name)}") from None
    except ValueError as error:
        raise CohmapError(f"{folder.address(name)} is damaged ({error}); delete it and run again") from None


def _mend(name: str) -> str:
    stage = "infer" if name.startswith("pairs/") else "export"
    return f"run `cohmap {stage}` first"


def ensure(folder: Folder, name: str, grid: GeoBox, tile: int, layout: Layout, attrs: Mapping[str, Any]) -> Cube:
    """Create a cube, or grow it to hold every entry; entries that are there keep their place.

    A kill at any moment leaves the cube that was, or the new one: see `pipeline.cube_draft`.

    Raises
    ------
    CohmapError
        The cube is there on another grid.
    """
    draft = Draft(folder, name)
    group = _open_group(folder, name, "a", draft.store)
    require_grid(group, folder.address(name), grid, tile)
    if "grid" not in group.attrs:
        group.attrs["grid"] = describe_grid(grid, tile)
    _write_coordinates(group, grid)
    there = {str(e["id"]): e for e in group.attrs.get(layout.listing, [])}  # type: ignore[union-attr, index, call-overload]
    wanted = {str(e["id"]): e for e in layout.entries}
    merged = there | wanted  # keeps the old order, takes the new provenance
    order = {entry_id: position for position, entry_id in enumerate(wanted)}
    for variable in layout.variables:
        _ensure_variable(group, variable, len(merged), grid, tile, layout.axis)
    for coord, (values, coord_attrs) in layout.coords.items():
        old = np.asarray(group[coord][:]) if coord in group else values[:0]  # type: ignore[index]
        grown = [
            values[order[entry_id]] if entry_id in order else old[position] for position, entry_id in enumerate(merged)
        ]
        _set_array(group, coord, np.asarray(grown, dtype=values.dtype), (layout.axis,), coord_attrs)
    # named here, they are coordinates for plain xarray too, and rioxarray finds the CRS
    coordinates = " ".join(sorted({"spatial_ref", *layout.coords}))
    group.attrs.update({**attrs, "coordinates": coordinates, layout.listing: list(merged.values())})
    with warnings.catch_warnings():
        # Plain xarray warns where there is no consolidated metadata, zarr where there is: the reader's peace wins.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(draft.store)
    draft.publish()
    return Cube(folder, name, mode="r+")


def require_grid(group: zarr.Group, where: str, grid: GeoBox, tile: int) -> None:
    """Refuse a cube that lies on another grid."""
    stored = group.attrs.get("grid")
    if stored is not None and stored != describe_grid(grid, tile):
        raise CohmapError(
            f"{where} is on another grid than the region now asks for; choose another --output, "
            "or delete it to start over"
        )


def describe_grid(grid: GeoBox, tile: int) -> dict[str, Any]:
    """CRS, transform, shape and tile size as JSON can say them."""
    return {
        "crs": str(grid.crs),
        "transform": list(grid.affine)[:6],
        "shape": list(grid.shape),
        "tile": tile,
    }


def _write_coordinates(group: zarr.Group, grid: GeoBox) -> None:
    if all(name in group for name in ("y", "x", "spatial_ref")):
        return
    from odc.geo.xr import xr_coords

    coords = xr_coords(grid)
    for axis in ("y", "x"):
        if axis not in group:
            attrs = {
                "standard_name": f"projection_{axis}_coordinate",
                "long_name": f"{axis} coordinate of projection",
                "units": "m",
                "axis": axis.upper(),
            }
            _set_array(group, axis, coords[axis].to_numpy().astype(np.float64), (axis,), attrs)
    if "spatial_ref" not in group:
        reference = coords["spatial_ref"]
        crs = {key: value for key, value in reference.attrs.items() if isinstance(value, str | float | int)}
        _set_array(group, "spatial_ref", np.asarray(reference.to_numpy(), dtype=np.int32), (), crs)


def _set_array(
    group: zarr.Group,
    name: str,
    values: npt.NDArray[np.generic],
    dims: tuple[str, ...],
    attrs: Mapping[str, Any],
) -> None:
    if name not in group:
        group.create_array(
            name,
            shape=values.shape,
            chunks=tuple(max(n, 1024) for n in values.shape),
            dtype=values.dtype,
            dimension_names=dims,
            attributes=dict(attrs),
        )
    array = group[name]
    assert isinstance(array, zarr.Array)  # noqa: S101 - for the type checker: this module made it
    if array.shape != values.shape:
        array.resize(values.shape)
    array[...] = values


def _ensure_variable(group: zarr.Group, variable: Variable, length: int, grid: GeoBox, tile: int, axis: str) -> None:
    shape = (length, *grid.shape)
    if variable.name not in group:
        group.create_array(
            variable.name,
            shape=shape,
            chunks=(1, tile, tile),
            dtype=np.float32,
            fill_value=math.nan,
            compressors=COMPRESSOR,
            dimension_names=(axis, "y", "x"),
            attributes={"grid_mapping": "spatial_ref", "_FillValue": _NAN, **variable.attrs},
        )
        return
    array = group[variable.name]
    assert isinstance(array, zarr.Array)  # noqa: S101 - for the type checker: this module made it
    if array.shape != shape:
        array.resize(shape)


# how xarray writes a float32 NaN fill value in Zarr attributes (base64 of the little-endian double)
_NAN = "AAAAAAAA+H8="


def open_cube(folder: Folder, name: str, axis: str) -> xr.Dataset:
    """The cube as a chunked xarray dataset, sorted along its growing axis; rioxarray and odc-geo know its CRS."""
    if not folder.exists(f"{name}/zarr.json"):
        raise CohmapError(f"there is no {folder.address(name)}; {_mend(name)}")
    import rioxarray  # noqa: F401 - gives the dataset its .rio
    import xarray as xr

    dataset: xr.Dataset = xr.open_zarr(folder.zarr(name), consolidated=True, decode_coords="all")
    return dataset.sortby(axis) if axis in dataset.coords else dataset
