"""The command answers at once where there is nothing to compute: what stages need is loaded by stages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"dask", "distributed", "matplotlib", "pandas", "rasterio", "scipy", "torch", "xarray", "zarr"}


def run(code: str) -> tuple[str, set[str]]:
    """What a new process prints, and the packages that it has loaded at its end."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    *said, loaded = done.stdout.splitlines()
    return "\n".join(said), set(loaded.split())


@pytest.mark.parametrize("option", ["--help", "--version", "infer --help"])
def test_help_waits_for_no_library_of_the_stages(option: str) -> None:
    code = f"""
import sys
from pipeline.cli import main
sys.argv = ["cohmap", *{option.split()}]
try:
    main()
except SystemExit as end:
    assert not end.code
"""
    said, loaded = run(code)
    assert "cohmap" in said
    assert "typer" in loaded
    assert not HEAVY & loaded


def test_a_worker_reads_and_writes_tiles_without_pandas() -> None:
    _, loaded = run("import pipeline.infer_blocks, pipeline.mosaic, pipeline.register")
    assert "zarr" in loaded
    assert not {"pandas", "xarray"} & loaded
