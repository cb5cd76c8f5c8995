"""Which pairs are tested against which; areas that meet at borders; points of the user's own."""

from __future__ import annotations

import datetime as dt
import io
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
import shapely

from pipeline.change.design import design
from pipeline.change.points import places, read_points
from pipeline.change.polygons import Area, burn, find_areas, join_areas, packed, unpacked
from pipeline.change.settings import Change
from pipeline.change.vectors import write_geojson
from pipeline.config import Pairs
from pipeline.errors import CohmapError
from pipeline.passes import Pair, Track, make_pairs
from tests.fakes import make_region

TRACK = Track("ascending", 15)
T0 = dt.datetime(2023, 1, 8, 17, tzinfo=dt.UTC)


def pairs(count: int, max_days: int = 24) -> tuple[Pair, ...]:
    passes = [(f"p{n}", T0 + dt.timedelta(days=12 * n)) for n in range(count)]
    return tuple(make_pairs(TRACK, passes, Pairs(mode="all", max_days=max_days)))


def day(number: int) -> dt.date:
    return (T0 + dt.timedelta(days=number)).date()


def test_an_event_splits_the_pairs_of_the_shortest_baseline() -> None:
    made = design(pairs(8), Change(event=day(54)))
    assert {pair.days for pair in (*made.normal, *made.tested, *made.after)} == {12}
    assert [pair.secondary for pair in made.normal] == ["p1", "p2", "p3", "p4"]
    assert [(pair.reference, pair.secondary) for pair in made.tested] == [("p4", "p5")]
    assert [pair.reference for pair in made.after] == ["p5", "p6"]
    (test,) = made.tests
    assert made.visits[test.target.image].id == "p5"
    assert [made.visits[n].id for n in test.target.others] == ["p0", "p1", "p2", "p3", "p4"]


def test_gaps_between_normal_dates_are_tested_as_if_they_were_events() -> None:
    made = design(pairs(8), Change(event=day(54)))
    (group,) = made.nulls
    assert [made.visits[target.image].id for target in group] == ["p1", "p2", "p3", "p4"]
    for target in group:
        (one,) = target.baselines[0]
        ends = {made.pairs[one.pair].reference, made.pairs[one.pair].secondary}
        others = [made.pairs[n] for n in one.normal]
        assert one.pair not in one.normal
        # at either end two pairs share no pass with the tested one, and they are enough
        if ends & {"p0", "p4"}:
            assert not [pair for pair in others if ends & {pair.reference, pair.secondary}]


def test_a_baseline_period_tests_every_later_pass_by_all_pairs_that_end_at_it() -> None:
    made = design(pairs(8), Change(baseline_period=(day(0), day(49))))
    assert [test.visit.id for test in made.tests] == ["p5", "p6", "p7"]
    tested = [[made.pairs[one.pair].days for like in t.target.baselines for one in like] for t in made.tests]
    assert tested == [[12, 24]] * 3
    normal = {n for t in made.tests for like in t.target.baselines for one in like for n in one.normal}
    assert {made.pairs[n].secondary for n in normal} == {"p1", "p2", "p3", "p4"}


def test_too_few_normal_pairs_are_no_ground_to_judge() -> None:
    with pytest.raises(CohmapError, match="3 pairs before"):
        design(pairs(4), Change(event=day(30)))


def areas_of(
    changed: np.ndarray[tuple[int, int], np.dtype[np.bool_]], least: float = 0, *, dropped_at_once: bool = True
) -> list[Area]:
    """Areas of a map of 128 x 128 pixels, found in its four tiles."""
    region = make_region()
    value = np.arange(changed.size, dtype=np.float32).reshape(changed.shape)
    found: list[Area] = []
    for tile in region.tiles:
        here = np.s_[tile.rows, tile.cols]
        dates = np.full(tile.shape, 1 + tile.col, np.int32)
        at_once = least if dropped_at_once else 0.0
        window, values = region.window(tile), {"score": value[here]}
        found += find_areas(changed[here], window, values, {"date": dates}, least_pixels=at_once)
    return join_areas(found, least)


def test_an_area_across_tiles_is_one_and_holds_all_its_pixels() -> None:
    changed = np.zeros((128, 128), np.bool_)
    changed[60:70, 50:75] = True
    changed[64:66, 60:62] = False  # a hole
    (area,) = areas_of(changed)
    assert area.pixels == changed.sum()
    assert area.outline.area == 100 * changed.sum()
    assert area.greatest("score") == 69 * 128 + 74
    assert area.commonest("date") == 1
    region = make_region()
    (sent,) = unpacked(packed([area.outline]))  # as a worker gets it
    for tile in region.tiles:
        assert np.array_equal(burn([sent], region.window(tile)) == 1, changed[tile.rows, tile.cols])


def test_areas_that_meet_at_a_corner_are_two_and_small_ones_are_dropped() -> None:
    changed = np.zeros((128, 128), np.bool_)
    changed[60:64, 60:64] = changed[64:68, 64:68] = True  # they meet where four tiles do
    changed[100, 100] = True
    assert [area.pixels for area in areas_of(changed)] == [16, 16, 1]
    assert [area.pixels for area in areas_of(changed, least=2)] == [16, 16]
    assert areas_of(np.zeros((128, 128), np.bool_)) == []


def test_what_a_tile_drops_at_once_would_have_been_dropped_when_joined() -> None:
    changed = np.random.default_rng(3).random((128, 128)) < 0.4
    early, late = (areas_of(changed, least=6, dropped_at_once=at_once) for at_once in (True, False))
    assert len(early) > 50
    assert early == late


class Row(dict[str, object]):
    """Attributes that can be watched: a plain dict can't be."""


class Pages(io.StringIO):
    """A file that knows how many rows were made, and how many of them were kept, whenever it is written to."""

    def __init__(self, rows: list[weakref.ref[Row]]) -> None:
        super().__init__()
        self.rows, self.seen = rows, list[tuple[int, int]]()

    def write(self, text: str) -> int:
        self.seen.append((len(self.rows), sum(row() is not None for row in self.rows)))
        return super().write(text)


def test_polygons_are_written_one_by_one_and_let_go() -> None:
    rows: list[weakref.ref[Row]] = []

    def row(number: int) -> Row:
        made = Row(id=number + 1, score=np.nan if number == 1 else 0.5)
        rows.append(weakref.ref(made))
        return made

    grid, pages = make_region().grid, Pages(rows)
    left, _, _, top = grid.boundingbox.bbox
    outlines = [shapely.box(left + 20 * n, top - 10, left + 20 * n + 10, top) for n in range(5)]
    write_geojson(pages, outlines, row, grid)
    assert [made for made, _ in pages.seen[1:-1:2]] == [1, 2, 3, 4, 5]  # none is made before the last one is written
    assert max(kept for _, kept in pages.seen) == 1
    features = json.loads(pages.getvalue())["features"]
    assert [feature["id"] for feature in features] == [1, 2, 3, 4, 5]
    assert [feature["properties"]["score"] for feature in features] == [0.5, None, 0.5, 0.5, 0.5]


def test_points_come_from_csv_or_geojson(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("name,lon,lat\nMill,11.057,48.006\n")
    assert read_points(table) == [("Mill", 11.057, 48.006)]
    collection = tmp_path / "p.geojson"
    collection.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"name": "Mill"}, '
        '"geometry": {"type": "Point", "coordinates": [11.057, 48.006]}}]}'
    )
    (place,) = places(make_region(), collection)
    assert place.name == "Mill"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,x,y\nMill,1,2\n", "holds no points in degrees"),
        ("", "holds no points in degrees"),
        ("{]", "holds no points in degrees"),
        ("name,lon,lat\nMill,48.006,11.057\n", "outside region 'small'"),
    ],
)
def test_points_that_cannot_be_read_are_told_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "p.csv"
    table.write_text(text)
    with pytest.raises(CohmapError, match=words):
        places(make_region(), table)


def test_a_file_of_points_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match="there is no such file"):
        places(make_region(), tmp_path / "none.csv")
