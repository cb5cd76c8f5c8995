"""Bad input gets one sentence and exit code 2; what was written before stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rasterio.errors import NotGeoreferencedWarning

from pipeline import cli
from tests.archive_files import REGION, region_file, write_archive, write_tif
from tests.conftest import Command


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive"))


def require_sentence(cohmap: Command, region: Path, *parts: str, stage: str = "export") -> None:
    answer = cohmap(stage, str(region), "--output", str(region.parent / "out"))
    assert answer.code == 2
    assert answer.err.startswith("cohmap: ")
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    for part in parts:
        assert part in answer.err


def test_an_unknown_key(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, pairs="mood = 1")
    require_sentence(cohmap, region, "unknown key 'pairs.mood'", "did you mean 'mode'?")


def test_a_missing_region_file(cohmap: Command, tmp_path: Path) -> None:
    require_sentence(cohmap, tmp_path / "none.toml", "no region file")


@pytest.mark.parametrize("name", ["demoo", "Demo"])
def test_a_region_whose_name_is_nearly_right(cohmap: Command, name: str) -> None:
    answer = cohmap("plan", name)
    assert answer.code == 2
    assert f"no region called '{name}'; did you mean 'demo'?" in answer.err


def test_a_folder_where_a_region_file_should_be(cohmap: Command, tmp_path: Path) -> None:
    (tmp_path / "r.toml").mkdir()
    require_sentence(cohmap, tmp_path / "r.toml", "can't be read")


def test_bytes_that_are_no_text(cohmap: Command, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(bytes(range(256)))
    require_sentence(cohmap, tmp_path / "r.toml", "r.toml")


def test_a_missing_folder_of_images(cohmap: Command, tmp_path: Path) -> None:
    require_sentence(cohmap, region_file(tmp_path / "r.toml", tmp_path / "nowhere"), "nowhere", "does not exist")


def test_a_polygon_that_crosses_itself(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    bow = {"type": "Polygon", "coordinates": [[[11, 48], [11.1, 48.1], [11.1, 48], [11, 48.1], [11, 48]]]}
    (tmp_path / "bow.geojson").write_text(json.dumps(bow))
    region = region_file(tmp_path / "r.toml", archive, area='geojson = "bow.geojson"')
    require_sentence(cohmap, region, "bow.geojson", "Self-intersection")


def test_an_area_across_the_antimeridian(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, area="bbox = [179.9, -17.0, -179.9, -16.9]")
    require_sentence(cohmap, region, "antimeridian", "two regions")


def test_a_polygon_across_the_antimeridian(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    ring = [[179.9, -17], [-179.9, -17], [-179.9, -16.9], [179.9, -16.9], [179.9, -17]]
    (tmp_path / "fiji.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    region = region_file(tmp_path / "r.toml", archive, area='geojson = "fiji.geojson"')
    require_sentence(cohmap, region, "fiji.geojson", "antimeridian", "two regions")


def test_an_area_upside_down(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, area="bbox = [11.0, 48.1, 11.1, 48.0]")
    require_sentence(cohmap, region, "south lies north of north")


def test_an_area_without_extent(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, area="bbox = [11.0, 48.0, 11.0, 48.0]")
    require_sentence(cohmap, region, "no extent")


def test_an_empty_time_span(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, passes="start = 2023-03-01\nend = 2023-02-01")
    require_sentence(cohmap, region, "time span is empty")


def test_no_passes_in_the_time_span(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, passes="start = 2015-01-01\nend = 2015-02-01")
    require_sentence(cohmap, region, "no passes found", "2015-01-01")


def test_only_one_pass(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, passes="end = 2023-01-10")
    require_sentence(cohmap, region, "only 1 pass", "coherence needs two")


def test_an_unknown_relative_orbit(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, passes="relative_orbit = 77")
    require_sentence(cohmap, region, "77", "ascending-015")


def test_a_polarisation_that_is_not_there(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, passes='polarisations = ["VV", "VH"]')
    require_sentence(cohmap, region, "VH")


def test_images_in_other_units_than_declared(cohmap: Command, tmp_path: Path) -> None:
    images = write_archive(tmp_path / "images", days=(0, 12))
    name = sorted(images.glob("*.tif"))[1].name
    write_tif(images / name, np.full((128, 128), -12.5))
    require_sentence(cohmap, region_file(tmp_path / "r.toml", images), name, "linear")


def test_a_truncated_image(cohmap: Command, tmp_path: Path) -> None:
    images = write_archive(tmp_path / "images", days=(0, 12))
    broken = sorted(images.glob("*.tif"))[1]
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    require_sentence(cohmap, region_file(tmp_path / "r.toml", images), broken.name)


def test_an_unknown_estimator(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, estimator='name = "log-corelation"')
    require_sentence(cohmap, region, "log-correlation")


def test_a_window_without_a_calibration(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, estimator='name = "log-correlation"\nwindow = 4')
    require_sentence(cohmap, region, "window")


def test_an_output_that_can_not_be_written(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    (tmp_path / "out").write_text("a file")
    require_sentence(cohmap, region_file(tmp_path / "r.toml", archive), "can't be written")


def test_an_image_without_a_place_on_the_ground(cohmap: Command, tmp_path: Path) -> None:
    images = write_archive(tmp_path / "images", days=(0, 12))
    name = sorted(images.glob("*.tif"))[1].name
    with pytest.warns(NotGeoreferencedWarning):
        write_tif(images / name, np.ones((128, 128)), crs=None, transform=None)
    require_sentence(cohmap, region_file(tmp_path / "r.toml", images), name, "not georeferenced")


def test_a_map_before_its_pairs(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive)
    assert cohmap("export", str(region), "--output", str(tmp_path / "out")).code == 0
    require_sentence(cohmap, region, "run `cohmap infer` first", stage="mosaic")


@pytest.mark.parametrize("stage", ["infer", "mosaic", "report"])
def test_a_stage_before_its_time(cohmap: Command, tmp_path: Path, archive: Path, stage: str) -> None:
    require_sentence(cohmap, region_file(tmp_path / "r.toml", archive), "cohmap ", stage=stage)


def test_a_change_that_has_no_pairs_before_it_is_told_at_once(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive, change="event = 2023-01-25")
    require_sentence(cohmap, region, "[change]", "3 pairs before")


def test_no_scheduler_at_the_address(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive)
    assert cohmap("export", str(region), "--output", str(tmp_path / "out")).code == 0
    answer = cohmap("infer", str(region), "--output", str(tmp_path / "out"), "--scheduler", "nonsense")
    assert answer.code == 2
    assert "nonsense" in answer.err


def test_an_error_leaves_what_was_there(cohmap: Command, tmp_path: Path) -> None:
    images = write_archive(tmp_path / "images", days=(0, 12))
    region = region_file(tmp_path / "r.toml", images)
    assert cohmap("export", str(region), "--output", str(tmp_path / "out")).code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    region_file(region, images, passes="relative_orbit = 77")
    assert cohmap("export", str(region), "--output", str(tmp_path / "out")).code == 2
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_source_path_goes_with_an_archive_only(cohmap: Command, tmp_path: Path) -> None:
    answer = cohmap("plan", "demo", "--source-path", str(tmp_path), "--output", str(tmp_path / "out"))
    assert answer.code == 2
    assert "--source-path" in answer.err


def test_the_region_helper_really_makes_a_good_region(cohmap: Command, tmp_path: Path, archive: Path) -> None:
    region = region_file(tmp_path / "r.toml", archive)
    answer = cohmap("export", str(region), "--output", str(tmp_path / "out"))
    assert (answer.code, answer.err) == (0, "")
    assert REGION.name == "small"


@pytest.mark.parametrize("stage", ["export", "infer"])
def test_a_stack_that_something_else_damaged(cohmap: Command, tmp_path: Path, archive: Path, stage: str) -> None:
    region = region_file(tmp_path / "r.toml", archive)
    assert cohmap("export", str(region), "--output", str(tmp_path / "out")).code == 0
    (tmp_path / "out/stack/ascending-015.zarr/zarr.json").write_text("")
    require_sentence(cohmap, region, "ascending-015.zarr is damaged", "delete it", stage=stage)


def test_names_are_whole_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for listing in (cli.regions, cli.estimators):
        listing()
        assert "…" not in "".join(line.split(" ")[0] for line in capsys.readouterr().out.splitlines())
