"""From a region's settings to its source: what is relative counts from the region file."""

from __future__ import annotations

from pathlib import Path

from pipeline.region import open_region
from pipeline.sources.archive import ArchiveSource
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.opening import open_source
from pipeline.sources.simulated import SimulatedSource


def write_region(folder: Path, source: str) -> str:
    path = folder / "here.toml"
    path.write_text(f'name = "here"\n[area]\nbbox = [11.05, 48.0, 11.06, 48.01]\n[source]\n{source}\n')
    return str(path)


def test_each_kind_opens_its_source(tmp_path: Path) -> None:
    assert isinstance(open_source(open_region(write_region(tmp_path, 'kind = "simulated"'))), SimulatedSource)


def test_an_archive_beside_the_region_file(tmp_path: Path) -> None:
    region = open_region(write_region(tmp_path, 'kind = "archive"\npath = "rasters"\nlayout = "opera-rtc"'))
    source = open_source(region)
    assert isinstance(source, ArchiveSource)
    assert source.settings.path == str(tmp_path / "rasters")


def test_a_service_accounts_key_beside_the_region_file(tmp_path: Path) -> None:
    region = open_region(write_region(tmp_path, 'kind = "earthengine"\nservice_account_key = "key.json"'))
    source = open_source(region, project="mine")
    assert isinstance(source, EarthEngineSource)
    assert source.settings.service_account_key == str(tmp_path / "key.json")
