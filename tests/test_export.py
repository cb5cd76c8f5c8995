"""Stage 1: pixels into the stack once, resumed after a stop, made again when their images change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.cube import Cube, open_cube
from pipeline.errors import CohmapError
from pipeline.export import export, stack_name
from pipeline.passes import Slice, Track
from pipeline.plan import make_plan
from pipeline.sources import Query
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
