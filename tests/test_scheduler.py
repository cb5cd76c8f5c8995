"""A local cluster, and a scheduler with workers started apart, make the very maps that one process makes."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archive_files import region_file, write_archive

ROOT = Path(__file__).parent.parent


def cohmap(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def maps(output: Path) -> dict[str, bytes]:
    files = (path for name in ("pairs", "products") for path in (output / name).rglob("*") if path.is_file())
    return {str(path.relative_to(output)): path.read_bytes() for path in files}


@contextlib.contextmanager
def scheduler_with_workers(folder: Path, workers: int) -> Iterator[str]:
    """A scheduler and its workers as three processes, as their user starts them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    port = address.rpartition(":")[2]
    commands = [[*dask, "--host", "127.0.0.1", "--port", port, "--no-dashboard", "--dashboard-address", ":0"]]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    commands += [[*worker, "--no-nanny", "--local-directory", str(folder / f"worker-{n}")] for n in range(workers)]
    with contextlib.ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.kill)
        from distributed import Client

        with Client(address, timeout=30) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address


SBATCH = """#!/bin/sh
cp "$1" "$JOBS/script"  # the file is gone in a moment
setsid sh "$JOBS/script" > "$JOBS/log" 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for job in "$@"; do kill -- "-$job" && echo "$job" >> "$JOBS/cancelled"; done
"""


@contextlib.contextmanager
def slurm_cluster(folder: Path, *, processes: int) -> Iterator[str]:
    """The recipe of docs/cluster.md where `sbatch` starts jobs on this machine; ended as its user ends it."""
    page = (ROOT / "docs" / "cluster.md").read_text()
    (recipe,) = re.findall(r"```python\n(from dask_jobqueue.*?)```", page, flags=re.DOTALL)
    fewer, changed = re.subn(r"(cores|processes)=\d+", rf"\1={processes}", recipe)
    assert changed == 2
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    there = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "JOBS": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", fewer], cwd=folder, env=there, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        from distributed import Client

        with Client(address, timeout=30) as client:
            client.wait_for_workers(processes, timeout=60)
        yield address
    finally:
        with process, contextlib.ExitStack() as stack:
            stack.callback(process.kill)
            process.communicate("\n", timeout=60)


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scheduler")
    images = write_archive(folder / "images", days=(0, 12, 24))
    return region_file(folder / "r.toml", images, estimator="")


@pytest.fixture(scope="module")
def alone(region: Path) -> dict[str, bytes]:
    output = region.parent / "alone"
    cohmap("run", str(region), "--output", str(output), "--workers", "0", "--quiet")
    return maps(output)


def test_a_local_cluster_makes_the_same_maps(region: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    cohmap("run", str(region), "--output", str(tmp_path / "out"), "--workers", "2", "--quiet")
    assert maps(tmp_path / "out") == alone


def test_a_scheduler_by_address_makes_the_same_maps(region: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    with scheduler_with_workers(tmp_path, workers=2) as address:
        cohmap("run", str(region), "--output", str(tmp_path / "out"), "--scheduler", address, "--quiet")
    assert maps(tmp_path / "out") == alone


def test_the_recipe_for_slurm_makes_the_same_maps(region: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    with slurm_cluster(tmp_path, processes=2) as address:
        cohmap("run", str(region), "--output", str(tmp_path / "out"), "--scheduler", address, "--quiet")
    assert maps(tmp_path / "out") == alone
    assert (tmp_path / "cancelled").read_text()
