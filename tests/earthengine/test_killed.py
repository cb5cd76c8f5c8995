"""An export from Earth Engine, killed (SIGKILL) at random moments, ends with the very bytes of an unbroken one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.archive_files import region_file, write_archive
from tests.earthengine.conftest import StandIn
from tests.earthengine.scenes import opera_images
from tests.earthengine.test_command import chunks, earthengine

ROOT = Path(__file__).resolve().parents[2]
NEVER = 10**6


def export(standin: StandIn, region: Path, output: Path, stage: str, count: int) -> bool:
    """Export in a process of its own; whether it was killed on the way."""
    options = [str(region), "--output", str(output), "--project", standin.world.project]
    done = subprocess.run(
        [sys.executable, "-m", "tests.earthengine.killed", stage, str(count), "export", *options],
        cwd=ROOT,
        env=os.environ | {"COHMAP_EE_TOKEN": standin.world.token},
        check=False,
        capture_output=True,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode != 0


@pytest.mark.slow  # a kill takes a process of its own; tests/test_resume.py kills at chosen moments
@pytest.mark.parametrize("kills", [3, 50])
def test_an_export_killed_at_random_moments_ends_as_an_unbroken_one(
    standin: StandIn, tmp_path: Path, kills: int
) -> None:
    images = write_archive(tmp_path / "images", days=(0, 12, 24), bands=("VV", "VH"))
    standin.world.add(opera_images(images.glob("*.tif")))
    region = region_file(
        tmp_path / "r.toml",
        images,
        source=f"{earthengine(standin)}\nrequests = 2",
        passes='polarisations = ["VV", "VH"]',
        pairs='mode = "chain"',
    )
    export(standin, region, tmp_path / "unbroken", "fsync", NEVER)
    whole = chunks(tmp_path / "unbroken")
    undisturbed = len(standin.world.requests("computePixels"))
    rng = random.Random(1)
    left, runs = kills, 0
    while left:  # an export that ends before it is killed begins anew in another folder
        runs += 1
        output = tmp_path / f"out{runs}"
        while left and export(standin, region, output, rng.choice(["export", "fsync"]), rng.randint(1, 40)):
            left -= 1
        export(standin, region, output, "fsync", NEVER)
        assert chunks(output) == whole
        assert not list(output.rglob("*.partial"))
    # all that is lost at a kill is what was under way: two requests, and two more that wait to be written
    assert len(standin.world.requests("computePixels")) <= undisturbed * (runs + 1) + 4 * kills
