"""Bytes that change behind the ledger's back: found, removed, and made again as they were."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.archive_files import region_file, write_archive
from tests.conftest import Answer, Command
from tests.test_resume import results


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A region file, and the output of a small run beside it."""
    folder = tmp_path_factory.mktemp("verify")
    region = region_file(folder / "r.toml", write_archive(folder / "images", days=(0, 12, 24)))
    run = [sys.executable, "-m", "pipeline.cli", "run", str(region), "--output", str(folder / "out"), "--workers", "0"]
    subprocess.run(run, check=True, capture_output=True, cwd=Path(__file__).parent.parent)
    return folder


@pytest.fixture
def finished(cohmap: Command, once: Path, tmp_path: Path) -> Callable[..., Answer]:
    """Any further command on a copy of the run's output."""
    shutil.copytree(once / "out", tmp_path / "out")

    def command(name: str, *options: str) -> Answer:
        return cohmap(name, str(once / "r.toml"), "--output", str(tmp_path / "out"), *options)

    return command


def flip(path: Path, place: int) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def chunks(folder: Path, variable: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"*/{variable}/c/**/*") if path.is_file())


def test_what_was_damaged_is_found_removed_and_made_again(finished: Callable[..., Answer], tmp_path: Path) -> None:
    output = tmp_path / "out"
    before = results(output)
    assert "are what was written" in finished("verify").out
    image, header, torn = chunks(output / "stack", "vv")[1:4]
    flip(image, len(image.read_bytes()) // 2)
    flip(header, 1)
    torn.write_bytes(torn.read_bytes()[:100])
    flip(chunks(output / "pairs", "sigma_vv")[0], -1)
    product = min((output / "products/coherence").rglob("*.tif"))
    flip(product, product.stat().st_size // 2)
    answer = finished("verify")
    assert answer.code == 1
    assert "damaged and removed: 5 of " in answer.out
    assert not image.exists()
    assert finished("run", "--workers", "0").code == 0
    assert results(output) == before


def test_a_damaged_chunk_that_a_stage_meets_is_told_with_its_mend(
    finished: Callable[..., Answer], tmp_path: Path
) -> None:
    for path in chunks(tmp_path / "out/stack", "vv"):
        path.write_bytes(path.read_bytes()[:100])
    for path in chunks(tmp_path / "out/pairs", "coherence_vv"):
        path.unlink()
    answer = finished("infer", "--workers", "0")
    assert answer.code == 2
    assert "is damaged around r" in answer.err
    assert "`cohmap verify`" in answer.err
    assert answer.err.count("\n") == 1


def test_a_torn_ledger_costs_its_units_only(finished: Callable[..., Answer], tmp_path: Path) -> None:
    output = tmp_path / "out"
    before, ledger = results(output), output / "ledger/infer.jsonl"
    lines = ledger.read_bytes().split(b"\n")
    ledger.write_bytes(b"\n".join([b"\xff\x00 nothing that JSON knows", *lines[1:-2], lines[-2][:20]]))
    assert finished("run", "--workers", "0").code == 0
    assert results(output) == before


def test_nothing_to_verify(cohmap: Command, tmp_path: Path) -> None:
    answer = cohmap("verify", "demo", "--output", str(tmp_path / "none"))
    assert answer.code == 2
    assert "nothing is exported" in answer.err
