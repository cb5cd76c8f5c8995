"""A region file that changed since the last run: no stage mixes old results into new ones, or labels them as new."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.archive_files import region_file, write_archive
from tests.conftest import Command


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, a region file and its mosaicked output."""
    from typer.testing import CliRunner

    from pipeline.cli import app

    folder = tmp_path_factory.mktemp("finished")
    region = region_file(folder / "r.toml", write_archive(folder / "images", days=(0, 12, 24), bands=("VV", "VH")))
    for stage in ("export", "infer", "mosaic"):
        workers = [] if stage == "export" else ["--workers", "0"]
        done = CliRunner().invoke(app, [stage, str(region), "--output", str(folder / "out"), *workers])
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def refuse(cohmap: Command, folder: Path, stage: str, *parts: str) -> None:
    """The stage ends with one sentence and leaves every file as it was."""
    output = folder / "out"
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    workers = [] if stage in {"export", "report"} else ["--workers", "0"]
    answer = cohmap(stage, str(folder / "r.toml"), "--output", str(output), *workers)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    for part in parts:
        assert part in answer.err
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("stage", ["mosaic", "report"])
@pytest.mark.parametrize(
    "settings",
    [
        {"estimator": 'name = "log-correlation"\ncoregister = false\nwindow = 9'},
        {"estimator": 'name = "log-moments"\ncoregister = false'},
        {"estimator": 'name = "log-correlation"'},
        {"passes": 'polarisations = ["VV", "VH"]'},
    ],
)
def test_maps_of_other_settings_are_not_passed_off_as_these(
    cohmap: Command, copy: Path, settings: dict[str, str], stage: str
) -> None:
    region_file(copy / "r.toml", copy / "images", **settings)
    refuse(cohmap, copy, stage, "was made with other settings", "run `cohmap infer` first")


@pytest.mark.parametrize("stage", ["export", "infer", "mosaic", "report"])
def test_another_grid_needs_another_folder(cohmap: Command, copy: Path, stage: str) -> None:
    region_file(copy / "r.toml", copy / "images", grid='crs = "EPSG:32632"\ntile = 64\nanchor = [5.0, 5.0]')
    refuse(cohmap, copy, stage, "is on another grid", "choose another --output")


@pytest.mark.parametrize("stage", ["plan", "export", "infer", "mosaic", "report"])
def test_another_region_needs_another_folder(cohmap: Command, copy: Path, stage: str) -> None:
    text = (copy / "r.toml").read_text()
    (copy / "r.toml").write_text(text.replace('name = "small"', 'name = "other"', 1))
    refuse(cohmap, copy, stage, "holds region 'small'", "not 'other'")


def test_another_source_needs_another_folder(cohmap: Command, copy: Path) -> None:
    region_file(copy / "r.toml", copy / "images", source='kind = "simulated"')
    refuse(cohmap, copy, "export", "from source 'archive'", "choose another --output")


def test_the_settings_of_before_find_everything_done(cohmap: Command, copy: Path) -> None:
    region_file(copy / "r.toml", copy / "images")
    answer = cohmap("mosaic", str(copy / "r.toml"), "--output", str(copy / "out"), "--workers", "0")
    assert answer.code == 0
    assert "mosaic    3 done, 3 of them resumed" in answer.out
