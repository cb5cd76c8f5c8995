"""What the stand-in believes of Earth Engine's tasks, put to the real one.

Needs an account as the contract does, and a Cloud Storage bucket that it may write to and read from::

    gcloud auth application-default login
    pytest -m live tests/live --project my-project --bucket my-bucket

It starts six small tasks, which may wait for an hour, and leaves about 5 MB below cohmap-live/ in the bucket. A folder
where the bucket is mounted may be given with --mount.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ee
import numpy as np
import pytest
from shapely.geometry import Point

from pipeline import config
from pipeline.errors import CohmapError
from pipeline.passes import Pass, group
from pipeline.progress import Silent
from pipeline.region import Region
from pipeline.sources import FloatArray, Query
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_batch.blocks import blocks_of
from pipeline.sources.ee_batch.shards import find_shards, require_bucket
from pipeline.sources.ee_batch.source import BatchSource
from pipeline.sources.ee_batch.task import Task, make_task
from pipeline.storage import Folder

pytestmark = [
    pytest.mark.live,
    pytest.mark.filterwarnings("default"),
]

DAY = dt.date(2019, 12, 2)
MIDDLE = (19.0, 49.2)
BANDS = ("VV", "VH", "angle")


@dataclass
class Place:
    """A small region, its source by tasks and its source by requests."""

    region: Region
    batch: BatchSource
    interactive: EarthEngineSource
    item: Pass

    def task(self) -> Task:
        (block,) = blocks_of(self.region.tiles)
        return make_task(self.region, self.item, block, self.batch.settings)

    def by_tasks(self, folder: Path) -> FloatArray:
        """The region's pixels by a task."""
        tiles = self.region.tiles
        wanted = {(self.item.id, tile) for tile in tiles}
        for _ in self.batch.arrivals(self.region, [(self.item, tiles)], wanted, Folder(str(folder)), Silent()):
            pass
        return self.batch.read(self.item, self.region.grid, BANDS)


MakePlace = Callable[..., Place]


def option(request: pytest.FixtureRequest, name: str) -> str:
    """What the command line says; without it the test is skipped."""
    given = request.config.getoption(name)
    if not given:
        pytest.skip(f"{name} names none")
    return str(given)


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> str:
    return option(request, "--bucket")


@pytest.fixture
def place(request: pytest.FixtureRequest, bucket: str) -> MakePlace:
    """Makes a square around the scene's middle, `size` degrees from its centre to its edges; a prefix of its own."""
    project, url = option(request, "--project"), request.config.getoption("--earthengine")

    def make(size: float, shard: int = 4096, **settings: object) -> Place:
        source = {"kind": "earthengine", "url": url, "project": project, **settings}
        tasks = {
            "mode": "batch",
            "bucket": bucket,
            "prefix": f"cohmap-live/{uuid.uuid4().hex}",
            "mount": request.config.getoption("--mount"),
            "shard": shard,
        }
        return make_place(size, source, tasks)

    return make


def make_place(size: float, source: dict[str, object], tasks: dict[str, object]) -> Place:
    lon, lat = MIDDLE
    made = config.parse(
        {
            "name": "live",
            "area": {"bbox": [lon - size, lat - size, lon + size, lat + size]},
            "grid": {"tile": 64},
            "source": {**source, **tasks},
            "passes": {"polarisations": ["VV", "VH"], "angle": True},
        },
        where="test",
    )
    region = Region(made, Point(MIDDLE).buffer(size))
    assert isinstance(made.source, config.EarthEngineSource)
    images = EarthEngineSource(made.source)
    (item,) = group(images.search(Query(Point(MIDDLE).buffer(0.005), DAY, DAY, BANDS)))
    interactive = EarthEngineSource(config.EarthEngineSource.model_validate(source))
    return Place(region, BatchSource(images, made.source), interactive, item)


def test_belief_the_bucket_can_be_read_before_anything_is_in_it(request: pytest.FixtureRequest, bucket: str) -> None:
    require_bucket(request.config.getoption("--mount") or f"gs://{bucket}")
    with pytest.raises(CohmapError, match="the bucket can't be read"):
        require_bucket(f"gs://cohmap-{uuid.uuid4().hex}")


@pytest.mark.parametrize(("resampling", "radiometry"), [("nearest", "sigma0"), ("bilinear", "terrain-volume")])
def test_tasks_give_the_pixels_of_requests(place: MakePlace, tmp_path: Path, resampling: str, radiometry: str) -> None:
    here = place(0.005, resampling=resampling, radiometry=radiometry)
    by_tasks = here.by_tasks(tmp_path)
    by_requests = here.interactive.read(here.item, here.region.grid, BANDS)
    assert np.isfinite(by_requests).mean() > 0.9
    np.testing.assert_array_equal(by_tasks, by_requests)


def test_belief_larger_images_are_cut_into_files_named_by_row_and_column(place: MakePlace, tmp_path: Path) -> None:
    here = place(0.02, shard=256)
    by_tasks = here.by_tasks(tmp_path)
    task = here.task()
    shards = find_shards(here.batch.root, task, 1, 256)
    parts = {(row, col) for row, col, *_ in task.block.parts(256)}
    assert len(parts) > 1
    assert {(shard.row, shard.col) for shard in shards} == parts
    assert all(shard.href.endswith(f"-{shard.row:010d}-{shard.col:010d}.tif") for shard in shards)
    np.testing.assert_array_equal(by_tasks, here.interactive.read(here.item, here.region.grid, BANDS))


@pytest.fixture
def begun(place: MakePlace) -> Iterator[tuple[Place, str]]:
    """A task that was started, and is cancelled in the end."""
    here = place(0.005)
    operation = here.batch.queue.start(here.task(), 1)
    assert operation is not None
    yield here, operation.name
    here.batch.queue.cancel(operation)


def test_belief_a_repeated_start_is_the_same_task(begun: tuple[Place, str]) -> None:
    here, name = begun
    again = here.batch.queue.start(here.task(), 1)
    assert again is not None
    assert again.name == name
    listed = [operation for operation in here.batch.queue.list() if operation.description == here.task().name(1)]
    assert [operation.name for operation in listed] == [name]


def test_a_task_is_cancelled(begun: tuple[Place, str]) -> None:
    here, name = begun
    found = here.batch.queue.find(name)
    assert found is not None
    here.batch.queue.cancel(found)
    after = here.batch.queue.find(name)
    assert after is not None
    assert after.state in {"CANCELLED", "CANCELLING", "SUCCEEDED"}


def test_belief_a_task_that_never_was_is_not_found(begun: tuple[Place, str]) -> None:
    here, name = begun
    assert ee.data.getOperation(name)["name"] == name
    assert here.batch.queue.find(name.rpartition("/")[0] + "/AAAAAAAAAAAAAAAAAAAAAAAA") is None
