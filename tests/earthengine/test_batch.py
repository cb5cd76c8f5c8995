"""Batch export, through the real client: tasks write files to a bucket, and the stack is that of interactive export."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path

import fsspec
import numpy as np
import pytest
import rasterio
from affine import Affine

from pipeline.errors import CohmapError
from tests.earthengine.batch import BUCKET, Bench
from tests.earthengine.faults import Fault, Spoil
from tests.earthengine.graph import function_names
from tests.earthengine.images import Image, PixelGrid, sentinel1
from tests.earthengine.scenes import START, speckle
from tests.earthengine.terrain import elevation
from tests.earthengine.world import S1

HOLE = (slice(40, 60), slice(90, 190))


def asked(bench: Bench) -> int:
    """How often a task was asked for, repeats included."""
    return len(bench.standin.world.requests("image:export"))


# The same stack


def test_what_is_sent_names_the_grid_and_the_files(bench: Bench) -> None:
    bench.export()
    body, other = bench.tasks.bodies()
    options = body["fileExportOptions"]
    assert options["cloudStorageDestination"]["bucket"] == BUCKET
    assert options["cloudStorageDestination"]["filenamePrefix"].startswith("cohmap/small/S1A_20230104T171412/b00-00-")
    assert options["geoTiffOptions"] == {
        "cloudOptimized": True,
        "noData": {"floatValue": -9999},
        "tileDimensions": {"width": 4096, "height": 4096},
    }
    assert body["maxPixels"] == {"value": str(128 * 128)}
    assert {"Image.reproject", "Image.clipToBoundsAndScale"} <= function_names(body["expression"])
    assert body["requestId"] != other["requestId"]
    assert len(body["requestId"]) <= 60
    assert len(body["description"]) <= 100
    with rasterio.open(bench.files[0]) as raster:
        assert (raster.shape, raster.nodata, raster.descriptions) == ((128, 128), -9999, ("VV", "VH"))


def hills(bench: Bench) -> Image:
    """An elevation model of 30 m pixels around the images."""
    native = bench.images[0].bands["VV"].native
    assert native is not None
    corner = native.transform * Affine.translation(-30, -30) * Affine.scale(3)
    return elevation(
        "USGS/SRTMGL1_003",
        lambda x, y: 40 * np.sin(x / 90) * np.cos(y / 110),
        grid=PixelGrid(native.crs, corner, 70, 70),
    )


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ('resampling = "bilinear"', 'radiometry = "terrain-volume"', 'dem = "USGS/SRTMGL1_003"'),
    ],
    ids=["as delivered", "slopes taken out"],
)
def test_the_stack_is_that_of_interactive_export(bench: Bench, lines: tuple[str, ...]) -> None:
    bench.passes += "\nangle = true"
    bench.area = "bbox = [11.0505, 48.0080, 11.0560, 48.0105]"  # one tile
    bench.standin.world.add([hills(bench)])
    bench.export(*lines)
    assert not bench.standin.world.requests("computePixels")
    bench.export(*lines, mode="interactive", output="other")
    assert bench.standin.world.requests("computePixels")
    assert bench.pixels() == bench.pixels("other")
    assert bench.provenance() == bench.provenance("other")

    def lines_of(output: str) -> dict[str, object]:
        return {line["key"]: line for line in bench.ledger("export", output)}

    assert lines_of("out") == lines_of("other")


def test_overlapping_slices_holes_and_several_files_are_the_same_either_way(bench: Bench) -> None:
    native = bench.images[0].bands["VV"].native
    assert native is not None
    bench.standin.world.clear()
    for day in (0, 12):
        for number, left in enumerate((-20, 150)):  # the second begins within the first
            corner = native.transform * Affine.translation(left + 0.3, 5.3)
            bands = {
                name: speckle(PixelGrid(native.crs, corner, 200, 400), 10 * day + 2 * number + index, hole=HOLE)
                for index, name in enumerate(("VV", "VH"))
            }
            start = START + dt.timedelta(days=day, seconds=25 * number)
            bench.standin.world.add([sentinel1(f"{S1}/D{day}N{number}", bands, start, data_take=day)])
    bench.area = "bbox = [11.0505, 48.0065, 11.0920, 48.0105]"  # one row of five tiles
    bench.export("shard = 256")
    names = {path.name[-len("-0000000000-0000000000.tif") :] for path in bench.files}
    assert names == {"-0000000000-0000000000.tif", "-0000000000-0000000256.tif"}
    assert len(bench.files) == 2 * 2
    bench.export(mode="interactive", output="other")
    assert bench.pixels() == bench.pixels("other")
    assert 0.2 < np.mean([line["valid"] for line in bench.ledger("export")]) < 0.9


def test_a_bucket_that_is_no_folder_is_read_by_ranges(bench: Bench) -> None:
    elsewhere = fsspec.filesystem("memory")
    elsewhere.makedirs("/a-bucket", exist_ok=True)
    spoil(bench, lambda path: elsewhere.put(str(path), f"/a-bucket/{path.relative_to(bench.bucket)}"), times=99)
    bench.export(mount="memory://a-bucket")
    bench.export(mode="interactive", output="other")
    assert bench.pixels() == bench.pixels("other")


def test_a_stack_begun_by_requests_is_finished_by_tasks(bench: Bench) -> None:
    bench.export(mode="interactive")
    before = bench.pixels()
    outcome = bench.export()
    assert outcome.resumed == outcome.total
    assert not bench.tasks.bodies()
    assert bench.pixels() == before


# Going on where it was


def test_a_finished_export_asks_for_nothing(bench: Bench) -> None:
    bench.export()
    outcome = bench.export()
    assert (outcome.total, outcome.resumed, asked(bench)) == (8, 8, 2)


def test_another_folder_uses_what_is_in_the_bucket(bench: Bench) -> None:
    bench.export()
    bench.export(output="other")
    assert (asked(bench), bench.tasks.computed) == (2, 2)
    assert bench.pixels() == bench.pixels("other")


def test_what_earth_engine_has_forgotten_is_read_as_long_as_it_is_in_the_bucket(bench: Bench) -> None:
    bench.export()
    (bench.folder / "out/ledger/export.jsonl").unlink()
    bench.tasks.forget()
    bench.export()
    assert asked(bench) == 2
    assert len(bench.ledger("export")) == 8


def test_an_asset_ingested_anew_is_exported_again(bench: Bench) -> None:
    bench.export()
    old = bench.images[1]
    bench.standin.world.add([dataclasses.replace(old, updated=old.updated + dt.timedelta(days=1))])
    bench.export()
    assert asked(bench) == bench.tasks.computed == 3
    assert bench.notes.said[0].startswith("read again: 4 tiles of S1A_20230116T171412")


def test_a_task_of_an_asset_that_has_changed_is_cancelled(bench: Bench) -> None:
    bench.tasks.frozen = True
    bench.stop()
    old = bench.images[1]
    bench.standin.world.add([dataclasses.replace(old, updated=old.updated + dt.timedelta(days=1))])
    bench.tasks.frozen = False
    bench.export()
    assert bench.tasks.states() == ["SUCCEEDED", "CANCELLED", "SUCCEEDED"]
    assert any("whose images or settings have changed since" in note for note in bench.notes.said)


def test_ctrl_c_leaves_tasks_running_and_says_so(bench: Bench) -> None:
    bench.tasks.frozen = True
    bench.stop()
    assert bench.tasks.states() == ["PENDING", "PENDING"]
    assert bench.notes.said[-1].startswith("2 tasks go on at Earth Engine; give the same command again")
    bench.tasks.frozen = False
    bench.export()
    assert (asked(bench), bench.tasks.computed) == (2, 2)


# What goes wrong


def test_a_lost_answer_starts_no_second_task(bench: Bench) -> None:
    bench.standin.world.fail(Fault("image:export", 200, spoil=Spoil.DROPPED, times=2))
    bench.export()
    assert (asked(bench), bench.tasks.computed) == (4, 2)


def test_a_server_that_refuses_a_repeated_start_has_started_the_task(bench: Bench) -> None:
    bench.tasks.refuses_repeats = True
    bench.standin.world.fail(Fault("image:export", 200, spoil=Spoil.DROPPED))
    bench.export()
    assert (asked(bench), bench.tasks.computed) == (3, 2)


@pytest.mark.parametrize("path", ["image:export", "operations$"])
def test_too_many_requests_are_waited_out(bench: Bench, path: str) -> None:
    bench.standin.world.fail(Fault(path, 429, "Too Many Requests", times=2, headers={"Retry-After": "7"}))
    bench.export()
    assert 7 in bench.standin.naps.seconds
    assert bench.tasks.computed == 2


def test_a_full_queue_is_waited_for(bench: Bench) -> None:
    bench.tasks.most = 1
    bench.export()
    assert bench.tasks.computed == 2


def test_no_more_tasks_are_queued_than_the_settings_allow(bench: Bench) -> None:
    bench.export("queued = 1")
    assert (bench.tasks.most_active, bench.tasks.computed) == (1, 2)


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("User memory limit exceeded.", "take mode = 'interactive'"),
        ("Internal error.", "give the same command again to start it anew"),
        ("Image.load: Image asset 'X' not found.", "give the same command again: it searches anew"),
    ],
)
def test_a_failed_task_is_told_by_name_with_the_remedy_and_the_others_are_kept(
    bench: Bench, said: str, mend: str
) -> None:
    bench.tasks.failing = [said]
    with pytest.raises(CohmapError, match="Earth Engine task cohmap-small-S1A_20230104T171412-b00-00-") as caught:
        bench.export()
    assert f"failed: {said[:-1]}; {mend}" in str(caught.value)
    assert len(bench.ledger("export")) == 4
    assert bench.tasks.states() == ["FAILED", "SUCCEEDED"]
    bench.export()
    assert bench.tasks.states() == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert len(bench.ledger("export")) == 8


def test_a_task_that_somebody_cancels_is_told_and_begun_again_by_the_next_run(bench: Bench) -> None:
    bench.while_waiting = bench.tasks.cancel_all
    with pytest.raises(CohmapError, match=r"S1A_20230104T171412.* was cancelled; .* \(and 1 more tasks\)"):
        bench.export()
    bench.while_waiting = lambda: None
    bench.export()
    assert bench.tasks.states() == ["CANCELLED", "CANCELLED", "SUCCEEDED", "SUCCEEDED"]


def test_a_bucket_that_is_not_there_for_earth_engine_stops_what_is_not_begun(bench: Bench) -> None:
    with pytest.raises(CohmapError, match=r"bucket 'elsewhere' does not exist; check \[source\] bucket"):
        bench.export('prefix = "x"', "queued = 1", bucket="elsewhere")
    assert len(bench.tasks.bodies()) == 1
    assert not any("files stay in" in note for note in bench.notes.said)


def test_a_bucket_that_cannot_be_read_is_told_before_anything_is_spent(bench: Bench) -> None:
    bench.bucket.rmdir()
    with pytest.raises(CohmapError, match=r"the bucket can't be read at .*; check \[source\] mount"):
        bench.export()
    assert not asked(bench)


def spoil(bench: Bench, damage: Callable[[Path], object], times: int) -> None:
    """Let something happen to the first file of the next exports."""
    export = bench.tasks.export

    def export_and_spoil(body: Mapping[str, object], bucket: Path) -> None:
        nonlocal times
        before = set(bench.files)
        export(body, bucket)
        if times:
            times -= 1
            damage(next(path for path in bench.files if path not in before))

    bench.tasks.export = export_and_spoil


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def shift(path: Path) -> None:
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK=True) as raster:
        raster.transform = raster.transform * Affine.translation(0.5, 0)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (Path.unlink, "is missing"),
        (lambda path: cut(path, 0.9), "is truncated: "),
        (lambda path: cut(path, 0.001), "is truncated or damaged"),
        (shift, "lies on another grid"),
    ],
    ids=["missing", "end missing", "no header", "shifted"],
)
def test_a_file_that_is_not_sound_is_made_again(bench: Bench, damage: Callable[[Path], object], said: str) -> None:
    spoil(bench, damage, times=1)
    bench.export()
    assert any(said in note and "Earth Engine does it again" in note for note in bench.notes.said)
    assert bench.tasks.computed == 3
    spoil(bench, damage, times=0)
    bench.export(mode="interactive", output="other")
    assert bench.pixels() == bench.pixels("other")


def test_files_that_are_never_sound_end_with_a_sentence(bench: Bench) -> None:
    spoil(bench, Path.unlink, times=99)
    with pytest.raises(CohmapError, match=r"task cohmap-.*-3 succeeded, but .*\.tif is missing; check who else"):
        bench.export()
    assert bench.tasks.computed == 6
