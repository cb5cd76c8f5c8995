"""How large the blocks are that a worker is given: larger ones waste less on halos, and take more memory.

The side follows from the machine, or from its GPUs where they compute, and not from how many workers are asked for, and
is kept with a track's pair maps: what goes on later, elsewhere or with less memory, is cut as what is there. Other
blocks change maps by rounding alone.
"""

from __future__ import annotations

from models.coherence.blocks import LARGEST, SIDE
from pipeline import cube
from pipeline.storage import Folder

GIB = 1 << 30
SIDES = ((LARGEST, 3 * GIB), (1536, 2 * GIB), (SIDE, 0))
"""Sides in pixels, and the memory a worker that each asks for; what workers take at most stands in docs/cluster.md."""
ATTRIBUTE = "block"
"""Of a track's pair maps: the side that they are made in."""


def block_side(room: int) -> int:
    """The largest side that fits.

    Parameters
    ----------
    room
        Bytes of memory that there are for a worker.
    """
    return next(side for side, wanted in SIDES if room >= wanted)


def recorded_side(folder: Folder, name: str) -> int | None:
    """The side that pair maps are made in, None where there are none yet."""
    if not folder.exists(f"{name}/zarr.json"):
        return None
    side = cube.Cube(folder, name).group.attrs.get(ATTRIBUTE)
    return side if isinstance(side, int) and side > 0 else None
