"""What one task exports of a pass: a rectangle of the region's grid, and the files it is cut into."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.region import Tile

# Most pixels a side of a task: 164 km at 10 m. A larger one would lose more where it fails, many small ones wait
# longer in the queue than they compute.
MOST_PIXELS_A_SIDE = 16384

VALUE_BYTES = 4


@dataclass(frozen=True)
class Block:
    """A rectangle of the grid around the tiles of a pass, in one cell of a fixed lattice of such rectangles.

    Attributes
    ----------
    cell
        Row and column in the lattice.
    top, left, bottom, right
        Pixels of the grid; bottom and right are not included.
    tiles
        Those of the pass's tiles that lie in it, row by row.
    """

    cell: tuple[int, int]
    top: int
    left: int
    bottom: int
    right: int
    tiles: tuple[Tile, ...]

    @property
    def key(self) -> str:
        """Short name, e.g. ``b00-01``."""
        return f"b{self.cell[0]:02d}-{self.cell[1]:02d}"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.bottom - self.top, self.right - self.left

    def bytes(self, bands: int) -> int:
        """Size of its files before compression."""
        return math.prod(self.shape) * bands * VALUE_BYTES

    def parts(self, shard: int) -> Iterator[tuple[int, int, int, int]]:
        """Its files: first row and column in the block, height and width."""
        height, width = self.shape
        for row in range(0, height, shard):
            for col in range(0, width, shard):
                yield row, col, min(shard, height - row), min(shard, width - col)


def blocks_of(tiles: Iterable[Tile]) -> tuple[Block, ...]:
    """The tiles of a pass, gathered in blocks."""
    cells: dict[tuple[int, int], list[Tile]] = {}
    for tile in tiles:
        side = max(1, MOST_PIXELS_A_SIDE // tile.size)
        cells.setdefault((tile.row // side, tile.col // side), []).append(tile)
    return tuple(_around(cell, sorted(members)) for cell, members in sorted(cells.items()))


def _around(cell: tuple[int, int], tiles: list[Tile]) -> Block:
    return Block(
        cell,
        top=min(tile.rows.start for tile in tiles),
        left=min(tile.cols.start for tile in tiles),
        bottom=max(tile.rows.stop for tile in tiles),
        right=max(tile.cols.stop for tile in tiles),
        tiles=tuple(tiles),
    )
