"""Tiles: the windows of the grid that everything is read, computed and written in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

TOGETHER = 4096
"""Tiles that are looked at together where all of them at once would take memory."""


@dataclass(frozen=True, order=True)
class Tile:
    """One chunk-aligned window of the grid."""

    row: int
    col: int
    size: int
    grid_shape: tuple[int, int]

    @property
    def key(self) -> str:
        """Short name, e.g. ``r003c012``."""
        return tile_key(self.row, self.col)

    @property
    def rows(self) -> slice:
        """Rows of the grid that the tile covers."""
        return slice(self.row * self.size, min((self.row + 1) * self.size, self.grid_shape[0]))

    @property
    def cols(self) -> slice:
        """Columns of the grid that the tile covers."""
        return slice(self.col * self.size, min((self.col + 1) * self.size, self.grid_shape[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start


def tile_key(row: int, col: int) -> str:
    """The name of the tile at a row and column of tiles."""
    return f"r{row:03d}c{col:03d}"


class Tiles(Sequence[Tile]):
    """Many tiles of one grid, in an order: eight bytes each, and a `Tile` only when it is asked for.

    Attributes
    ----------
    rows, cols
        Row and column of each, counted in tiles.
    """

    def __init__(
        self, rows: npt.NDArray[np.int32], cols: npt.NDArray[np.int32], size: int, grid_shape: tuple[int, int]
    ) -> None:
        self.rows, self.cols = rows, cols
        self._size, self._grid_shape = size, grid_shape

    @classmethod
    def of_grid(cls, size: int, grid_shape: tuple[int, int]) -> Tiles:
        """All tiles of a grid, row by row."""
        height, width = (-(-length // size) for length in grid_shape)
        every = np.arange(height * width, dtype=np.int32)
        return cls(every // width, every % width, size, grid_shape)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Tile: ...

    @overload
    def __getitem__(self, index: slice) -> Tiles: ...

    def __getitem__(self, index: int | slice) -> Tile | Tiles:
        if isinstance(index, slice):
            return Tiles(self.rows[index], self.cols[index], self._size, self._grid_shape)
        return Tile(int(self.rows[index]), int(self.cols[index]), self._size, self._grid_shape)

    def __iter__(self) -> Iterator[Tile]:
        for some in self.pieces():
            for row, col in zip(some.rows.tolist(), some.cols.tolist(), strict=True):
                yield Tile(row, col, self._size, self._grid_shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tiles):
            return NotImplemented
        mine, theirs = (self._size, self._grid_shape), (other._size, other._grid_shape)
        return mine == theirs and np.array_equal(self.rows, other.rows) and np.array_equal(self.cols, other.cols)

    def __hash__(self) -> int:
        return hash((self._size, self._grid_shape, self.rows.tobytes(), self.cols.tobytes()))

    def pieces(self) -> Iterator[Tiles]:
        """The tiles in order, `TOGETHER` at a time."""
        for begin in range(0, len(self), TOGETHER):
            yield self[begin : begin + TOGETHER]

    def select(self, wanted: npt.NDArray[np.bool_]) -> Tiles:
        """Those of the tiles that are marked, in the same order."""
        return Tiles(self.rows[wanted], self.cols[wanted], self._size, self._grid_shape)

    def edges(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First pixel row and the one after the last, of each tile; the same of columns. Shapes (tiles, 2)."""
        numbers = zip((self.rows, self.cols), self._grid_shape, strict=True)
        rows, cols = (
            np.stack([first := each.astype(np.int64) * self._size, np.minimum(first + self._size, length)], axis=1)
            for each, length in numbers
        )
        return rows, cols
