"""Blocks of tiles: which tiles share one, and that a map is the same however the work was cut."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.coherence.blocks import SIDE
from pipeline import cube
from pipeline import infer as stage
from pipeline.compute import Pool
from pipeline.config import parse
from pipeline.export import export
from pipeline.infer import infer
from pipeline.infer_blocks import BlockTask, TileDone, block_of, estimate_block
from pipeline.ledger import Ledger
from pipeline.plan import make_plan
from pipeline.progress import Silent
from pipeline.region import Region, Tile, read_area
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


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    config = parse(SETTINGS, "the test")
    region = Region(config, read_area(config.area, Path()))
    source = open_source(region)
    export(make_plan(region, source), source, Folder(str(folder)), Silent())
    return folder


def made(folder: Path, out: Path) -> dict[str, str]:
    """Checksums of all maps, made in a copy of the exported folder."""
    if not out.exists():
        shutil.copytree(folder, out)
    config = parse(SETTINGS, "the test")
    region = Region(config, read_area(config.area, Path()))
    infer(region, Folder(str(out)), Pool(0), Silent(), "cpu")
    ledger = Ledger(Folder(str(out)), stage.STAGE)
    return {record["key"]: record["checksum"] for record in ledger}


def test_tiles_of_a_block_are_neighbours() -> None:
    shape = (5000, 5000)
    per_side = SIDE // 256
    blocks = {block_of(Tile(row, col, 256, shape)) for row in range(per_side) for col in range(per_side)}
    assert blocks == {Tile(0, 0, SIDE, shape)}
    assert block_of(Tile(per_side, 0, 256, shape)) == Tile(1, 0, SIDE, shape)
    large = Tile(1, 2, 2 * SIDE, shape)
    assert block_of(large) == large


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
