"""Input that means harm: refused with one sentence, before it costs memory, time or a file elsewhere."""

from __future__ import annotations

import pickle
import shutil
import struct
from pathlib import Path

import pytest
import rasterio
from affine import Affine

from models.errors import ModelError
from models.registry import get
from models.train.config import read_config
from pipeline.errors import CohmapError
from pipeline.report import write_report
from pipeline.sources.archive import files, rasters
from pipeline.sources.archive.scenes import platform_code
from pipeline.storage import Folder
from tests.conftest import Command
from tests.finished import finished_once, region_with_everything

PLACE = Affine(10, 0, 300_000, 0, -10, 4_000_000)


def empty_tif(path: Path, side: int, **profile: object) -> Path:
    """A header without pixels: a few hundred bytes, whatever size it claims."""
    header = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "float32", "crs": "EPSG:32611"}
    with rasterio.open(path, "w", transform=PLACE, SPARSE_OK="TRUE", compress="deflate", **header, **profile):
        pass
    return path


def refuse(cohmap: Command, *command: str) -> str:
    """The one sentence of a command that must fail."""
    answer = cohmap(*command)
    assert answer.code == 2
    assert answer.err.startswith("cohmap: ")
    assert answer.err.count("\n") == 1
    return answer.err


def test_a_small_file_that_claims_blocks_larger_than_the_memory(tmp_path: Path) -> None:
    bomb = empty_tif(tmp_path / "bomb.tif", 40_000, blockysize=40_000)
    assert bomb.stat().st_size < 1000
    with pytest.raises(CohmapError, match="blocks of 40000 x 40000 pixels, each of which has to be unpacked whole"):
        rasters.outline_of(str(bomb))


def test_a_file_that_claims_more_pixels_than_any_product(cohmap: Command, tmp_path: Path) -> None:
    vast = str(empty_tif(tmp_path / "vast.tif", 200_000, blockysize=16_384, blockxsize=16_384, tiled=True))
    said = refuse(cohmap, "estimate", vast, vast, "--output", str(tmp_path / "out.tif"))
    assert "200000 x 200000 pixels, more than any Sentinel-1 product" in said
    assert not (tmp_path / "out.tif").exists()


def test_a_vrt_in_the_clothes_of_a_geotiff_leads_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret.dat"
    secret.write_bytes(bytes(100))
    (tmp_path / "image.tif").write_text(
        '<VRTDataset rasterXSize="5" rasterYSize="5"><SRS>EPSG:32611</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform>'
        '<VRTRasterBand dataType="Float32" band="1" subClass="VRTRawRasterBand">'
        f"<SourceFilename>{secret}</SourceFilename></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(CohmapError, match="truncated or damaged"):
        rasters.outline_of(str(tmp_path / "image.tif"))


@pytest.mark.parametrize("name", ["../../../etc/s1", "S1A/../..", "s1a\n", "", "<b>", "." * 40])
def test_a_platform_that_would_name_files_elsewhere(name: str) -> None:
    if name.strip().lower() == "s1a":
        assert platform_code(name) == "S1A"
        return
    with pytest.raises(CohmapError, match=r"is no name of a satellite"):
        platform_code(name)


@pytest.mark.parametrize("href", ["/etc/passwd", "file:///etc/passwd", "FILE:/etc/passwd", "local:///etc/passwd"])
def test_a_stac_file_from_elsewhere_leads_to_no_file_of_this_machine(href: str) -> None:
    with pytest.raises(CohmapError, match="a file of this machine"):
        files.absolute(href, "s3://bucket/item.json")


@pytest.mark.parametrize(
    ("href", "base", "absolute"),
    [
        ("/data/a.tif", "https://host/stac/item.json", "https://host/data/a.tif"),
        ("/vsis3/bucket/a.tif", "s3://other/item.json", "/vsis3/bucket/a.tif"),
        ("/data/a.tif", "/archive/item.json", "/data/a.tif"),
        ("../up/a.tif", "s3://bucket/stac/item.json", "s3://bucket/up/a.tif"),
    ],
)
def test_addresses_that_stac_files_may_have(href: str, base: str, absolute: str) -> None:
    assert files.absolute(href, base) == absolute


def test_a_stac_file_leads_out_of_its_bucket_only_by_a_whole_address() -> None:
    with pytest.raises(CohmapError, match="out of its own bucket or server"):
        files.absolute("../../other/a.tif", "s3://bucket/stac/item.json")
    assert files.absolute("s3://other/a.tif", "s3://bucket/stac/item.json") == "s3://other/a.tif"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("x = " + "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("a." * 3000 + "b = 1", "nested too deeply"),
        ("# " + "x" * 2**20, "larger than 1 MiB"),
    ],
)
def test_a_region_file_that_is_no_region(cohmap: Command, tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "r.toml").write_text(content)
    assert reason in refuse(cohmap, "plan", str(tmp_path / "r.toml"))


def test_documents_nested_without_end(cohmap: Command, tmp_path: Path) -> None:
    deep = "[" * 200_000 + "]" * 200_000
    (tmp_path / "area.geojson").write_text(deep)
    (tmp_path / "stac.json").write_text(deep)
    (tmp_path / "train.toml").write_text(f"x = {deep}")
    (tmp_path / "r.toml").write_text('name = "r"\n[area]\ngeojson = "area.geojson"\n[source]\nkind = "simulated"\n')
    assert "can't be read as GeoJSON" in refuse(cohmap, "plan", str(tmp_path / "r.toml"))
    with pytest.raises(CohmapError, match="is not valid JSON"):
        files.read_json(str(tmp_path / "stac.json"))
    with pytest.raises(ModelError, match="is not valid TOML"):
        read_config(tmp_path / "train.toml")


@pytest.mark.parametrize(
    "content", [pickle.dumps({"weights": 1}), struct.pack("<Q", 2**40) + b"{}", b"", b"PK\x03\x04" + bytes(60)]
)
def test_weights_that_are_no_safetensors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="is no safetensors file"):
        get(str(tmp_path / "w.safetensors"))


def test_html_in_a_title_stays_text_in_the_report(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    script = "<script>alert(1)</script>"
    folder = Folder(str(shutil.copytree(str(finished_once(tmp_path_factory)), tmp_path / "copy")))
    write_report(region_with_everything(title=script), folder)
    page = folder.read_bytes("report.html").decode()
    assert script not in page
    assert "&lt;script&gt;alert(1)" in page
