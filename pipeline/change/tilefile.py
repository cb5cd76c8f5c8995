"""Results of one tile on disk, below ``change/``: written whole or not at all, read for maps and for the next pass."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.region import Tile
from pipeline.storage import Folder


def tile_name(name: str, tile: Tile) -> str:
    """The file of one tile, relative to the output folder."""
    return f"change/{name}/{tile.key}.npz"


def write_tile(
    folder: Folder, name: str, tile: Tile, arrays: Mapping[str, npt.NDArray[np.generic]], *, packed: bool = True
) -> None:
    """Write a tile's arrays; not `packed` where they are noisy numbers, of which packing takes off little and long."""
    stream = io.BytesIO()
    write = np.savez_compressed if packed else np.savez
    write(stream, allow_pickle=False, **dict(arrays))
    folder.write_bytes(tile_name(name, tile), stream.getvalue())


def read_tile(
    folder: Folder, name: str, tile: Tile, wanted: Sequence[str] | None = None
) -> dict[str, npt.NDArray[np.generic]]:
    """A tile's arrays, or those of them that are wanted."""
    with np.load(io.BytesIO(folder.read_bytes(tile_name(name, tile))), allow_pickle=False) as stored:
        return {key: stored[key] for key in wanted or stored.files}
