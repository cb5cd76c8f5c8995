"""The command line over Earth Engine: the same stack as from files, and one sentence where the door is shut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.archive_files import region_file, write_archive
from tests.conftest import Answer, Command
from tests.earthengine.conftest import StandIn
from tests.earthengine.scenes import opera_images


def chunks(output: Path) -> dict[str, bytes]:
    """The stack's pixels as they lie on disk."""
    variables = (output / "stack").glob("*.zarr/v*")
    return {str(f.relative_to(output)): f.read_bytes() for v in variables for f in v.rglob("*") if f.is_file()}


def export(cohmap: Command, folder: Path, images: Path, source: str, *options: str) -> Answer:
    folder.mkdir()
    region = region_file(
        folder / "r.toml", images, source=source, passes='polarisations = ["VV", "VH"]', pairs='mode = "chain"'
    )
    return cohmap("export", str(region), "--output", str(folder / "out"), *options)


def earthengine(standin: StandIn) -> str:
    return f'kind = "earthengine"\nurl = "{standin.server.url}"'


def test_files_and_earth_engine_give_the_same_stack(
    cohmap: Command, standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_archive(tmp_path / "images", days=(0, 12), bands=("VV", "VH"))
    standin.world.add(opera_images(images.glob("*.tif")))
    monkeypatch.setenv("COHMAP_EE_TOKEN", standin.world.token)
    files = f'kind = "archive"\npath = "{images}"\nlayout = "opera-rtc"'
    assert export(cohmap, tmp_path / "a", images, files).code == 0
    answer = export(cohmap, tmp_path / "b", images, earthengine(standin), "--project", standin.world.project)
    assert (answer.code, answer.err) == (0, "")
    from_files = chunks(tmp_path / "a/out")
    assert len(from_files) == 2 + 2 * 2 * 4  # metadata of two bands; two passes, two bands, four tiles
    assert chunks(tmp_path / "b/out") == from_files


def test_without_credentials_it_says_how_to_sign_in(cohmap: Command, standin: StandIn, tmp_path: Path) -> None:
    # a project of its own, because one process keeps the session it has already opened
    answer = export(cohmap, tmp_path / "a", tmp_path, earthengine(standin), "--project", "never-signed-in")
    assert answer.code == 2
    assert "earthengine authenticate" in answer.err
    assert answer.err.count("\n") == 1


def test_a_wrong_project_is_named(
    cohmap: Command, standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHMAP_EE_TOKEN", standin.world.token)
    answer = export(cohmap, tmp_path / "a", tmp_path, earthengine(standin), "--project", "somebody-elses")
    assert answer.code == 2
    assert "somebody-elses" in answer.err
    assert answer.err.count("\n") == 1
