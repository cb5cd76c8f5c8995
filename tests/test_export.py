"""Stage 1: pixels into the stack once, resumed after a stop, made again when their images change."""

from __future__ import annotations

import json
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from pipeline.cube import Cube, open_cube
from pipeline.errors import CohmapError
from pipeline.export import export, stack_name
from pipeline.passes import Pass, Slice, Track
from pipeline.plan import make_plan
from pipeline.sources import FloatArray, Query
from pipeline.storage import Folder
from tests.fakes import TRACK, Listener, SpeckleSource, make_region

REGION = make_region()


@pytest.fixture(params=["disk", "object storage"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(str(tmp_path)) if request.param == "disk" else Folder(f"memory://export-{tmp_path.name}")


def run(source: SpeckleSource, folder: Folder) -> Listener:
    listener = Listener()
    export(make_plan(REGION, source), source, folder, listener)
    return listener


def test_every_pass_and_tile_lands_in_the_stack(folder: Folder) -> None:
    source = SpeckleSource(REGION)
    assert run(source, folder).stages["export"] == (16, 0)
    stack = open_cube(folder, stack_name(TRACK), "time")
    assert dict(stack.sizes) == {"time": 4, "y": 128, "x": 128}
    assert bool(np.isfinite(stack.vv).all())


def test_a_second_run_reads_nothing(folder: Folder) -> None:
    run(SpeckleSource(REGION), folder)
    source = SpeckleSource(REGION)
    assert run(source, folder).stages["export"] == (16, 16)
    assert source.reads == []


def test_a_failed_run_keeps_what_it_had_and_the_next_one_goes_on(folder: Folder) -> None:
    with pytest.raises(CohmapError, match="network is gone"):
        run(SpeckleSource(REGION, fails_after=7), folder)
    source = SpeckleSource(REGION)
    total, resumed = run(source, folder).stages["export"]
    assert total == 16
    assert 0 < resumed <= 7
    assert len(source.reads) == total - resumed


def test_the_order_of_passes_does_not_matter(tmp_path: Path) -> None:
    sorted_days, shuffled = Folder(str(tmp_path / "a")), Folder(str(tmp_path / "b"))
    run(SpeckleSource(REGION, days=(0, 12, 24)), sorted_days)
    run(SpeckleSource(REGION, days=(24, 0, 12)), shuffled)
    one, two = (open_cube(f, stack_name(TRACK), "time").load() for f in (sorted_days, shuffled))
    assert one.equals(two)


def test_passes_that_come_later_are_added(folder: Folder) -> None:
    run(SpeckleSource(REGION, days=(12, 24)), folder)
    source = SpeckleSource(REGION, days=(0, 12, 24, 36))
    assert run(source, folder).stages["export"] == (16, 8)
    stack = open_cube(folder, stack_name(TRACK), "time")
    assert stack.sizes["time"] == 4
    assert bool(np.isfinite(stack.vv).all())


def test_a_tile_without_data_is_nan_and_no_error(folder: Folder) -> None:
    affine = REGION.grid.affine
    source = SpeckleSource(REGION, empty={(affine.c, affine.f)})
    run(source, folder)
    stack = Cube(folder, stack_name(TRACK))
    assert np.isnan(stack.read_tile("vv", 0, REGION.tiles[0])).all()
    assert run(source, folder).stages["export"] == (16, 16)


def test_the_stack_says_where_its_passes_come_from(folder: Folder) -> None:
    run(SpeckleSource(REGION), folder)
    entry = Cube(folder, stack_name(TRACK)).entries[0]
    assert entry["id"] == "S1A_20230104T171412"
    assert entry["assets"][0]["id"] == "scene-000"


def test_no_passes_says_where_it_looked() -> None:
    region = make_region(passes={"start": "2010-01-01", "end": "2010-02-01"})
    with pytest.raises(CohmapError, match="no passes found: source 'speckle' has none with VV"):
        make_plan(region, SpeckleSource(region))


def test_an_unknown_track_lists_those_there_are() -> None:
    region = make_region(passes={"relative_orbit": 99})
    with pytest.raises(CohmapError, match="ascending-015"):
        make_plan(region, SpeckleSource(region))


def test_a_single_pass_is_not_enough() -> None:
    with pytest.raises(CohmapError, match="only 1 pass"):
        make_plan(REGION, SpeckleSource(REGION, days=(0,)))


class TwoTracks(SpeckleSource):
    """Adds one lone pass of another track."""

    def search(self, query: Query) -> list[Slice]:
        """Both tracks' slices."""
        lone = SpeckleSource(self.region, days=(5,), track=Track("descending", 66))
        return super().search(query) + lone.search(query)


def test_a_track_without_pairs_is_left_out_with_a_note() -> None:
    plan = make_plan(REGION, TwoTracks(REGION))
    assert set(plan.passes) == {TRACK}
    assert "descending-066 has only 1 pass" in plan.notes[0]


# Sources that read several passes of a tile together


@dataclass
class ManyAtOnce(SpeckleSource):
    """Reads up to three passes of a tile together, and remembers which."""

    together: list[list[str]] = field(default_factory=list)

    def passes_at_once(self, window: GeoBox, bands: Sequence[str]) -> int:
        """Three of these tiles' passes fit."""
        assert window.shape == (64, 64)
        assert tuple(bands) == ("VV",)
        return 3

    def read_many(self, items: Sequence[Pass], window: GeoBox, bands: Sequence[str]) -> list[FloatArray]:
        """What each pass would give by itself."""
        self.together.append([item.id for item in items])
        return [self.read(item, window, bands) for item in items]


def test_passes_read_together_give_the_same_stack(tmp_path: Path) -> None:
    alone, together = Folder(str(tmp_path / "a")), Folder(str(tmp_path / "b"))
    run(SpeckleSource(REGION), alone)
    source = ManyAtOnce(REGION)
    assert run(source, together).stages["export"] == (16, 0)
    one, two = (open_cube(f, stack_name(TRACK), "time").load() for f in (alone, together))
    assert one.equals(two)
    assert [len(passes) for passes in source.together] == [2] * 8, "reads of one size, not three and one"


def test_every_pass_and_tile_read_together_is_recorded_once(tmp_path: Path) -> None:
    run(ManyAtOnce(REGION), Folder(str(tmp_path)))
    keys = [json.loads(line)["key"] for line in (tmp_path / "ledger/export.jsonl").read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 16


def test_a_failed_read_of_several_keeps_what_others_had(folder: Folder) -> None:
    with pytest.raises(CohmapError, match="network is gone"):
        run(ManyAtOnce(REGION, fails_after=9), folder)
    source = ManyAtOnce(REGION)
    total, resumed = run(source, folder).stages["export"]
    assert 0 < resumed <= 9
    assert sum(map(len, source.together)) == total - resumed


@dataclass
class Reprocessed(SpeckleSource):
    """Its second image was processed anew."""

    def search(self, query: Query) -> list[Slice]:
        """The second slice with a later time."""
        first, second, *others = super().search(query)
        return [first, replace(second, updated="2024-05-06T07:08:09Z"), *others]


def test_an_image_that_changed_is_read_again_and_said_so(folder: Folder) -> None:
    assert run(SpeckleSource(REGION), folder).notes == []
    source = Reprocessed(REGION)
    listener = run(source, folder)
    assert listener.stages["export"] == (16, 12)
    assert set(source.reads) == {"S1A_20230116T171412"}
    (note,) = listener.notes
    assert note.startswith("read again: 4 tiles of S1A_20230116T171412, whose images")
    assert Cube(folder, stack_name(TRACK)).entries[1]["assets"][0]["updated"] == "2024-05-06T07:08:09Z"
    assert run(Reprocessed(REGION), folder).notes == []


@dataclass
class Counted(ManyAtOnce):
    """Counts how many blocks of pixels are alive at once."""

    alive: int = 0
    most: int = 0

    def passes_at_once(self, window: GeoBox, bands: Sequence[str]) -> int:
        """All of them, whatever the window."""
        del window, bands
        return 4

    def read_many(self, items: Sequence[Pass], window: GeoBox, bands: Sequence[str]) -> list[FloatArray]:
        """Blocks of ones that say when they are gone."""
        blocks = [np.ones((len(bands), *window.shape), np.float32) for _ in items]
        self.alive += len(blocks)
        self.most = max(self.most, self.alive)
        for block in blocks:
            weakref.finalize(block, self._gone)
        return blocks

    def _gone(self) -> None:
        self.alive -= 1


def test_what_is_in_memory_does_not_grow_with_the_number_of_tiles(tmp_path: Path) -> None:
    region = make_region(area={"bbox": [11.0505, 48.0020, 11.0900, 48.0290]})
    assert len(region.tiles) >= 7 * 4
    source = Counted(region, requests=2)
    export(make_plan(region, source), source, Folder(str(tmp_path)), Listener())
    handed_out = source.requests + 2 + 1  # under way, waiting to be written, being written
    assert source.most <= 4 * handed_out
