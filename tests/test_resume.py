"""A killed run resumes, says so, and ends with the very bytes of an unbroken one; nothing is ever half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio
import xarray as xr

from tests.archive_files import region_file, write_archive
from tests.conftest import Command

ROOT = Path(__file__).parent.parent
RESULTS = ("stack", "pairs", "products", "catalog")


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    archive = write_archive(folder / "images", days=(0, 12, 24, 36, 48))
    return region_file(folder / "small.toml", archive, change="event = 2023-02-15")


def results(output: Path) -> dict[str, bytes]:
    files = (path for name in RESULTS for path in (output / name).rglob("*") if path.is_file())
    return {str(path.relative_to(output)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def unbroken(region: Path) -> dict[str, bytes]:
    output = region.parent / "unbroken"
    subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "run", str(region), "--output", str(output), "--workers", "0"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return results(output)


def run_and_die(stage: str, count: int, region: Path, output: Path) -> None:
    arguments = ["run", str(region), "--output", str(output), "--workers", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.killed", stage, str(count), *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def require_whole(output: Path) -> None:
    """Everything under its final name can be read to the end."""
    for path in output.rglob("*.tif"):
        with rasterio.open(path) as dataset:
            dataset.read()
    for root in output.glob("*/*.zarr/zarr.json"):  # written last: without it there is no cube yet
        dataset = xr.open_zarr(root.parent).load()
        assert dataset.sizes["x"] == 128


@pytest.mark.parametrize(
    ("stage", "count"),
    [("export", 9), ("infer", 6), ("mosaic", 3), ("change", 1), ("fsync", 30), ("fsync", 45), ("fsync", 75)],
)
def test_a_killed_run_ends_as_an_unbroken_one(
    cohmap: Command, region: Path, unbroken: dict[str, bytes], tmp_path: Path, stage: str, count: int
) -> None:
    output = tmp_path / "out"
    run_and_die(stage, count, region, output)
    require_whole(output)
    answer = cohmap("run", str(region), "--output", str(output), "--workers", "0")
    assert (answer.code, answer.err) == (0, "")
    assert "resumed from an earlier run" in answer.out
    assert results(output) == unbroken
    assert not list(output.rglob("*.partial"))
