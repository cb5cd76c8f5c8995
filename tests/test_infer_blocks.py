"""Blocks of tiles: which tiles share one, and that a map is the same however the work was cut."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import cube
from pipeline import infer as stage
from pipeline.clusters import room_of
from pipeline.compute import Pool
from pipeline.config import parse
from pipeline.export import export
from pipeline.infer import infer
from pipeline.infer_blocks import BlockTask, TileDone, block_of, estimate_block
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.progress import Silent
from pipeline.region import Region, Tile, read_area
from pipeline.room import GIB, block_side, recorded_side
from pipeline.sources.opening import open_source
from pipeline.storage import Folder

AREA = {"bbox": [11.0, 48.0, 11.012, 48.006]}
SETTINGS = {
    "name": "blocks",
    "area": AREA,
    "source": {"kind": "simulated", "passes": 4, "interval_days": 12, "event_after_pass": 0},
    "grid": {"tile": 64},
    "pairs": {"mode": "all", "max_days": 36},
    "estimator": {"name": "log-correlation", "coregister": False},
}


def region_of(settings: dict[str, Any]) -> Region:
    config = parse(settings, "the test")
    return Region(config, read_area(config.area, Path()))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    region = region_of(SETTINGS)
    source = open_source(region)
    export(make_plan(region, source), source, Folder(str(folder)), Silent())
    return folder


def made(folder: Path, out: Path) -> dict[str, str]:
    """Checksums of all maps, made in a copy of the exported folder."""
    if not out.exists():
        shutil.copytree(folder, out)
    region = region_of(SETTINGS)
    infer(region, Folder(str(out)), Pool(0), Silent(), "cpu")
    ledger = Ledger(Folder(str(out)), stage.STAGE)
    return {record["key"]: record["checksum"] for record in ledger}


def test_tiles_of_a_block_are_neighbours() -> None:
    shape = (5000, 5000)
    blocks = {block_of(Tile(row, col, 256, shape), side=1024) for row in range(4) for col in range(4)}
    assert blocks == {Tile(0, 0, 1024, shape)}
    assert block_of(Tile(4, 0, 256, shape), side=1024) == Tile(1, 0, 1024, shape)
    large = Tile(1, 2, 2048, shape)
    assert block_of(large, side=1024) == large


@pytest.mark.parametrize(
    ("gibibytes", "side"), [(12.0, 2048), (3.0, 2048), (2.9, 1536), (2.0, 1536), (1.0, 1024), (0.0, 1024)]
)
def test_blocks_are_as_large_as_a_workers_memory_allows(gibibytes: float, side: int) -> None:
    assert block_side(int(gibibytes * GIB)) == side


def test_a_pool_says_what_room_a_worker_has() -> None:
    with Pool(0) as alone, Pool(7) as together:
        assert alone.room() == together.room() > 0  # the bits must not depend on how many there are


class Scheduler:
    """A client of a scheduler whose workers have these limits."""

    def __init__(self, *limits: int | None) -> None:
        self._limits = limits

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        assert n_workers == -1, "it would name five"
        return {"workers": {str(number): {"memory_limit": limit} for number, limit in enumerate(self._limits)}}


@pytest.mark.parametrize(("limits", "room"), [((8, 3, 5), 3), ((8, None), 0), ((), 0)])
def test_of_other_machines_the_smallest_counts(limits: tuple[int | None, ...], room: int) -> None:
    assert room_of(Scheduler(*limits)) == room


class Roomy(Pool):
    """A pool of one, with as much memory as it is told."""

    def __init__(self, room: int) -> None:
        super().__init__(0)
        self._room = room

    def room(self) -> int:
        return self._room


def test_what_goes_on_with_less_memory_keeps_the_blocks_it_began_with(exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(exported, out)
    region = region_of(SETTINGS)
    for room, kept in ((2 * GIB, 1536), (GIB, 1536)):
        infer(region, Folder(str(out)), Roomy(room), Silent(), "cpu")
        (maps,) = (out / "pairs").glob("*.zarr")
        assert recorded_side(Folder(str(out)), f"pairs/{maps.name}") == kept


def test_maps_do_not_depend_on_how_many_pairs_are_done_at_once(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = made(exported, tmp_path / "together")
    assert len(together) > 6
    monkeypatch.setattr(stage, "PAIRS_AT_ONCE", 1)
    assert made(exported, tmp_path / "alone") == together


def test_what_is_left_of_a_block_gets_the_bits_it_would_have_had(exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = made(exported, out)
    lines = (out / "ledger" / "infer.jsonl").read_bytes().splitlines(keepends=True)
    (out / "ledger" / "infer.jsonl").write_bytes(b"".join(lines[::3]))  # a kill may lose any of them
    assert made(exported, out) == whole


def test_each_pass_of_a_block_is_read_once(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, str, int]] = []

    class Counting(cube.Cube):
        def read_tile(self, variable: str, index: int, tile: Tile, halo: int = 0) -> cube.FloatArray:
            read.append((len(tasks), variable, index))
            return super().read_tile(variable, index, tile, halo)

    tasks: list[BlockTask] = []

    def counted(task: BlockTask) -> list[TileDone]:
        tasks.append(task)
        return estimate_block(task)

    shutil.copytree(exported, tmp_path / "out")
    monkeypatch.setattr(cube, "Cube", Counting)
    monkeypatch.setattr(stage, "estimate_block", counted)
    made(exported, tmp_path / "out")
    assert len(read) == len(set(read))
    assert {len(task.pairs) for task in tasks} <= {1, 2, 3, 4}
    assert sum(len(task.pairs) for task in tasks) == 6  # one block, six pairs of four passes
