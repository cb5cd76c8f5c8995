"""A second export from Earth Engine: images that changed are read again, images that are gone leave what was read."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path

import pytest
import xarray as xr

from pipeline.region import open_region
from pipeline.stacks import open_stacks
from pipeline.storage import Folder
from tests.archive_files import write_archive
from tests.conftest import Command
from tests.earthengine.conftest import StandIn
from tests.earthengine.images import Image
from tests.earthengine.scenes import opera_images
from tests.earthengine.test_command import chunks, earthengine, export


@dataclasses.dataclass
class Exported:
    """A finished export, and how to do it again."""

    standin: StandIn
    images: list[Image]
    folder: Path
    cohmap: Command

    def again(self) -> tuple[str, int]:
        """What the second run says, and how many requests for pixels it makes."""
        before = len(self.standin.world.requests("computePixels"))
        output = str(self.folder / "out")
        answer = self.cohmap(
            "export", str(self.folder / "r.toml"), "--output", output, "--project", self.standin.world.project
        )
        assert answer.code == 0, answer.err
        return answer.out + answer.err, len(self.standin.world.requests("computePixels")) - before


@pytest.fixture
def exported(cohmap: Command, standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exported:
    files = write_archive(tmp_path / "images", days=(0, 12, 24), bands=("VV", "VH"))
    images = opera_images(files.glob("*.tif"))
    standin.world.add(images)
    monkeypatch.setenv("COHMAP_EE_TOKEN", standin.world.token)
    answer = export(cohmap, tmp_path / "a", files, earthengine(standin), "--project", standin.world.project)
    assert answer.code == 0, answer.err
    return Exported(standin, images, tmp_path / "a", cohmap)


def test_three_passes_of_a_tile_take_one_request_and_three_lines_in_the_ledger(exported: Exported) -> None:
    assert len(exported.standin.world.requests("computePixels")) == 4
    lines = (exported.folder / "out/ledger/export.jsonl").read_text().splitlines()
    assert len({json.loads(line)["key"] for line in lines}) == len(lines) == 3 * 4


def test_an_asset_ingested_anew_between_two_runs_is_read_again(exported: Exported) -> None:
    old = exported.images[1]
    assert exported.again()[1] == 0
    exported.standin.world.add([dataclasses.replace(old, updated=old.updated + dt.timedelta(days=1))])
    said, requests = exported.again()
    assert "read again: 4 tiles of S1A_20230116T171412" in said
    assert requests == 4
    assert exported.again()[1] == 0


def test_a_pass_that_vanished_before_it_was_read_leaves_its_neighbours_a_pair(exported: Exported) -> None:
    gone, ledger = exported.images[1], exported.folder / "out/ledger/export.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(line for line in lines if "20230116T171412" not in line))
    exported.standin.world.vanish(gone.id)
    assert exported.again()[1] == 0
    stacks = open_stacks(open_region(str(exported.folder / "r.toml")), Folder(str(exported.folder / "out")))
    ((pair,),) = stacks.pairs.values()
    assert pair.days == 24


def test_a_pass_that_vanished_between_two_runs_leaves_what_was_read(exported: Exported) -> None:
    before = chunks(exported.folder / "out")
    exported.standin.world.vanish(exported.images[1].id)
    assert exported.again()[1] == 0
    assert chunks(exported.folder / "out") == before


# A month later


def files_of(output: Path) -> dict[Path, tuple[int, bytes]]:
    """Every chunk of the stack's pixels: when it was written, and what."""
    found = (output / "stack").glob("*.zarr/v*/c/*/*/*")
    return {path.relative_to(output): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_a_month_later_new_dates_are_appended_and_old_chunks_are_not_touched(exported: Exported) -> None:
    output = exported.folder / "out"
    before, ledger = files_of(output), (output / "ledger/export.jsonl").read_bytes()
    assert len(before) == 3 * 2 * 4
    later = write_archive(exported.folder / "later", days=(36, 48), bands=("VV", "VH"))
    exported.standin.world.add(opera_images(later.glob("*.tif")))
    said, requests = exported.again()
    assert "20 done, 12 of them resumed from an earlier run" in said
    assert requests == 4, "two new dates of four tiles, and nothing that was there"
    after = files_of(output)
    assert {path: after[path] for path in before} == before
    assert {path.parts[4] for path in after.keys() - before.keys()} == {"3", "4"}, "new dates follow the old ones"
    now = (output / "ledger/export.jsonl").read_bytes()
    assert now.startswith(ledger)
    assert len(now.splitlines()) - len(ledger.splitlines()) in {8, 9}, "a line for each new date and tile"
    stack = xr.open_zarr(output / "stack/ascending-015.zarr")
    assert [str(time)[:10] for time in stack.time.values] == [
        "2023-01-04", "2023-01-16", "2023-01-28", "2023-02-09", "2023-02-21"
    ]  # fmt: skip
    assert bool(stack.vv.notnull().all())


@pytest.mark.parametrize("grid", ['crs = "EPSG:32632"\ntile = 128', 'crs = "EPSG:32632"\ntile = 64\nspacing = 20'])
def test_another_grid_is_refused_in_one_sentence_and_nothing_is_touched(exported: Exported, grid: str) -> None:
    output, region = exported.folder / "out", exported.folder / "r.toml"
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    asked = len(exported.standin.world.requests("computePixels"))
    region.write_text(region.read_text().replace('crs = "EPSG:32632"\ntile = 64', grid))
    answer = exported.cohmap(
        "export", str(region), "--output", str(output), "--project", exported.standin.world.project
    )
    assert answer.code == 2
    assert "ascending-015.zarr is on another grid than the region now asks for; choose another --output" in answer.err
    assert answer.err.count("\n") == 1
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    assert len(exported.standin.world.requests("computePixels")) == asked
