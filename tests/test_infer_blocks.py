"""Blocks of tiles: which tiles share one, and that a map is the same however the work was cut."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models.ahead import Maps
from models.estimator import Estimator
from pipeline import clusters, cube, infer_blocks
from pipeline import infer as stage
from pipeline.clusters import room_here, room_of
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
    """A client of a scheduler whose workers have these limits, and this much free on their GPUs."""

    def __init__(self, *limits: int | None, free: tuple[int | None, ...] = ()) -> None:
        self._limits, self._free = limits, free

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        assert n_workers == -1, "it would name five"
        return {"workers": {str(number): {"memory_limit": limit} for number, limit in enumerate(self._limits)}}

    def run(self, function: Callable[[], int | None]) -> dict[str, int | None]:
        assert function is clusters.free_on_gpu
        return {str(number): free for number, free in enumerate(self._free)}


@pytest.mark.parametrize(("limits", "room"), [((8, 3, 5), 3), ((8, None), 0), ((), 0)])
def test_of_other_machines_the_smallest_counts(limits: tuple[int | None, ...], room: int) -> None:
    assert room_of(Scheduler(*limits)) == room


@pytest.mark.parametrize(
    ("free", "room"), [((5, 9), 5), ((20, None), 8), ((None, None), 8)], ids=["GPUs", "one of two", "none"]
)
def test_of_other_machines_gpus_the_fullest_counts(free: tuple[int | None, ...], room: int) -> None:
    assert room_of(Scheduler(16, 8, free=free), "auto") == room
    assert room_of(Scheduler(16, 8, free=free), "cpu") == 8


@pytest.mark.parametrize(
    ("free", "dask_cuda", "device", "room"),
    [
        ((40, 24), True, "cuda", 24),
        ((99, 99), True, "auto", 60),
        ((40, 24), False, "cuda", 40 // 8),
        ((40, 24), True, "cpu", 120 // 8),
        ((), False, "auto", 120 // 8),
    ],
    ids=["the fullest GPU", "the machine's memory", "cores share the first", "on the CPU", "no GPU"],
)
def test_where_gpus_compute_blocks_must_fit_there(
    free: tuple[int, ...], device: str, room: int, monkeypatch: pytest.MonkeyPatch, *, dask_cuda: bool
) -> None:
    monkeypatch.setattr(clusters, "count_gpus", lambda: len(free))
    monkeypatch.setattr(clusters, "free_on_gpu", lambda number=0: free[number])
    monkeypatch.setattr(clusters, "_cuda_cluster", lambda: "its cluster" if dask_cuda else None)
    monkeypatch.setattr(clusters, "available_cores", lambda: 8)
    monkeypatch.setattr("distributed.system.memory_limit", lambda: 120)
    assert room_here(device) == room


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


class Ahead:
    """An estimator as on a GPU: begins, and computes when it is asked for."""

    queued = True

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self.halo = estimator.halo

    def begin(self, *images: Any, margin: int) -> Callable[[], Maps]:
        return partial(self._estimator.estimate, *images, margin=margin)


def test_maps_do_not_depend_on_being_begun_ahead(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = made(exported, tmp_path / "usual")
    here = infer_blocks._estimator
    monkeypatch.setattr(infer_blocks, "_estimator", lambda spec: Ahead(here(spec)))
    assert made(exported, tmp_path / "ahead") == usual


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
