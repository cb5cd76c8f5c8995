"""What the stand-in does with tasks, as the real client sees it."""

from __future__ import annotations

from typing import Any

import ee
import pytest
import rasterio

from tests.earthengine.batch import BUCKET, Bench
from tests.earthengine.scenes import CRS


@pytest.fixture
def image(bench: Bench) -> Any:
    bench.standin.source().session.open()
    return ee.Image(bench.images[0].id).select(["VV"])


def exported(image: Any, description: str = "one", **settings: Any) -> Any:
    """A task that waits to be started: 300 x 20 pixels in files of 256."""
    return ee.batch.Export.image.toCloudStorage(
        image=image,
        description=description,
        **{
            "bucket": BUCKET,
            "fileNamePrefix": f"folder/{description}",
            "dimensions": "300x20",
            "crs": CRS,
            "crsTransform": [10, 0, 500_000, 0, -10, 3_900_000],
            "fileDimensions": 256,
            "formatOptions": {"cloudOptimized": True, "noData": -9999},
            **settings,
        },
    )


def states() -> list[str]:
    return [operation["metadata"]["state"] for operation in ee.data.listOperations()]


def test_a_task_waits_runs_and_leaves_files_named_by_row_and_column(bench: Bench, image: Any) -> None:
    exported(image).start()
    assert bench.tasks.states() == ["PENDING"]
    assert [states() for _ in range(2)] == [["RUNNING"], ["SUCCEEDED"]]
    assert [path.name for path in bench.files] == ["one-0000000000-0000000000.tif", "one-0000000000-0000000256.tif"]
    with rasterio.open(bench.files[1]) as raster:
        assert (raster.shape, raster.transform.c) == ((20, 44), 502_560)
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_two_tasks_are_worked_on_at_once_and_the_list_has_pages(image: Any) -> None:
    for number in range(5):
        exported(image, f"n{number}").start()
    assert states() == ["PENDING"] * 3 + ["RUNNING"] * 2  # the newest first; pages of three


def test_a_request_id_starts_one_task(image: Any) -> None:
    config = exported(image).config
    first, again = (ee.data.exportImage("my-request", config) for _ in range(2))
    assert first["name"] == again["name"]
    assert ee.data.exportImage("another", config)["name"] != first["name"]


def test_a_waiting_task_is_cancelled_at_once_and_a_running_one_later(bench: Bench, image: Any) -> None:
    names = []
    for number in range(3):
        task = exported(image, f"n{number}")
        task.start()
        names.append(task.name)
    states()
    ee.data.cancelOperation(names[0])
    ee.data.cancelOperation(names[2])
    assert bench.tasks.states() == ["CANCELLING", "RUNNING", "CANCELLED"]
    states()
    assert bench.tasks.states() == ["CANCELLED", "SUCCEEDED", "CANCELLED"]
    assert ee.data.getOperation(names[0])["error"]["code"] == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fileDimensions": 300}, "must be a multiple of the tile size"),
        ({"formatOptions": {}}, "other than cloud-optimised GeoTIFF are not simulated"),
    ],
)
def test_what_is_refused_at_once(image: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ee.EEException, match=said):
        exported(image, **settings).start()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bucket": "elsewhere"}, "Cloud Storage bucket 'elsewhere' does not exist."),
        ({"maxPixels": 5999}, "Export too large: specified 6000 pixels (max: 5999)."),
        ({"dimensions": None, "scale": 10}, "Image.clipToBoundsAndScale is simulated for a rectangle of pixels"),
    ],
)
def test_what_fails_later(image: Any, settings: dict[str, Any], said: str) -> None:
    exported(image, **settings).start()
    states()
    states()
    (operation,) = ee.data.listOperations()
    assert operation["metadata"]["state"] == "FAILED"
    assert said in operation["error"]["message"]


def test_a_task_that_never_was_is_not_found(bench: Bench, image: Any) -> None:
    exported(image).start()
    assert bench.tasks.states() == ["PENDING"]
    with pytest.raises(ee.EEException, match="not found"):
        ee.data.getOperation("projects/right-project/operations/T9999")
