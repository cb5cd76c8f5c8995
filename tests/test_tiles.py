"""Many tiles, kept as two arrays: what they give is what a tuple of tiles would give."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from shapely.geometry import Point, box

from pipeline.config import parse
from pipeline.region import Region
from pipeline.tiles import TOGETHER, Tile, Tiles

SHAPE = (1000, 1500)


@pytest.fixture(scope="module")
def tiles() -> Tiles:
    return Tiles.of_grid(256, SHAPE)


def test_tiles_of_a_grid_come_row_by_row(tiles: Tiles) -> None:
    assert list(tiles) == [Tile(row, col, 256, SHAPE) for row in range(4) for col in range(6)]
    assert (len(tiles), tiles[7], tiles[-1]) == (24, Tile(1, 1, 256, SHAPE), Tile(3, 5, 256, SHAPE))
    assert list(tiles[22:]) == [Tile(3, 4, 256, SHAPE), Tile(3, 5, 256, SHAPE)]
    with pytest.raises(IndexError):
        tiles[24]


def test_edges_are_those_of_each_tile(tiles: Tiles) -> None:
    rows, cols = tiles.edges()
    assert [tuple(edges) for edges in rows.tolist()] == [(tile.rows.start, tile.rows.stop) for tile in tiles]
    assert [tuple(edges) for edges in cols.tolist()] == [(tile.cols.start, tile.cols.stop) for tile in tiles]


def test_marked_tiles_keep_their_order_and_can_be_copied(tiles: Tiles) -> None:
    some = tiles.select(np.arange(24) % 5 == 0)
    assert list(some) == list(tiles)[::5]
    assert copy.deepcopy(some) == some
    assert some != tiles
    assert len({some, tiles, tiles[:]}) == 2


def test_more_tiles_than_are_looked_at_together_are_all_looked_at() -> None:
    settings = {
        "name": "wide",
        "area": {"bbox": [11.0, 47.7, 11.6, 48.3]},
        "grid": {"tile": 64},
        "source": {"kind": "simulated"},
    }
    region = Region(parse(settings, "the test"), box(11.0, 47.7, 11.6, 48.3))
    assert len(region.tiles) > TOGETHER
    last = region.tiles[-1]
    there, nowhere = region.outlines([last])[0].centroid, Point(0, 0)
    touched = region.touched_by([there, nowhere], region.tiles)
    assert [list(region.tiles.select(each)) for each in touched] == [[last], []]
