"""The `Source` that has its pixels exported by Earth Engine's tasks, and reads them from the bucket."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox

from pipeline import config
from pipeline.errors import CohmapError
from pipeline.ledger import Ledger
from pipeline.passes import Pass, Slice
from pipeline.progress import Progress
from pipeline.region import Region, Tile
from pipeline.sources import FloatArray, Query
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_batch.blocks import blocks_of
from pipeline.sources.ee_batch.queue import Operation, Queue
from pipeline.sources.ee_batch.shards import Shard, Unsound, find_shards, place_on, read_shards, require_bucket
from pipeline.sources.ee_batch.task import Task, folder_of, make_task
from pipeline.sources.ee_batch.work import STAGE, Work
from pipeline.storage import Folder

# Seconds from one word on how the tasks are to the next.
QUIET = 600.0


@dataclass(frozen=True, eq=False)
class _Ready:
    """A task's files, ready to be read."""

    task: Task
    shards: tuple[Shard, ...]


class BatchSource:
    """Sentinel-1 images on Earth Engine, by way of a Cloud Storage bucket.

    Parameters
    ----------
    images
        Finds them, and reaches Earth Engine.
    settings
        The region's [source] table, its paths made absolute.
    """

    name = "earthengine"

    def __init__(self, images: EarthEngineSource, settings: config.EarthEngineSource) -> None:
        self.settings = settings
        self.requests = settings.requests
        self.root = settings.mount or f"gs://{settings.bucket}"
        self.queue = Queue(images.session, settings)
        self._images = images
        self._patience = images.session.patience
        self._ready: dict[str, list[_Ready]] = {}
        self._work: Work | None = None

    def search(self, query: Query) -> list[Slice]:
        """See `EarthEngineSource.search`."""
        return self._images.search(query)

    def arrivals(
        self,
        region: Region,
        planned: Sequence[tuple[Pass, Sequence[Tile]]],
        wanted: Collection[tuple[str, Tile]],
        folder: Folder,
        progress: Progress,
    ) -> Iterator[tuple[Pass, tuple[Tile, ...]]]:
        """Have the wanted tiles exported, and announce them task by task as their files are there.

        A task failing does not keep the others from being read; what has failed is told at the end.

        Raises
        ------
        CohmapError
            The bucket can't be read, Earth Engine refuses a task, or tasks failed.
        """
        tiles: dict[Task, tuple[Tile, ...]] = {}
        for item, touched in planned:
            for block in blocks_of(touched):
                some = tuple(tile for tile in block.tiles if (item.id, tile) in wanted)
                if some:
                    tiles[make_task(region, item, block, self.settings)] = some
        for task, some in tiles.items():
            if not task.pieces:  # no image has pixels there
                yield self._announce(task, (), some)
        tasks = [task for task in tiles if task.pieces]
        if not tasks:
            return
        require_bucket(self.root)
        with Ledger(folder, STAGE) as ledger:
            self._work = work = Work(self.queue, ledger, self.settings.queued, progress)
            work.take_up(tasks)
            for task, shards in self._await(work, progress):
                yield self._announce(task, shards, tiles[task])
        self._tell_end(work, region, progress)
        work.require_success()

    def _announce(
        self, task: Task, shards: tuple[Shard, ...], tiles: tuple[Tile, ...]
    ) -> tuple[Pass, tuple[Tile, ...]]:
        self._ready.setdefault(task.item.id, []).append(_Ready(task, shards))
        return task.item, tiles

    def _await(self, work: Work, progress: Progress) -> Iterator[tuple[Task, tuple[Shard, ...]]]:
        """Tasks as they succeed, with their files, until nothing is left to wait for."""
        pause, said_at = self._patience.first, -QUIET
        while not work.ended:
            succeeded = work.poll()
            now = self._patience.clock()
            if work.under_way and now - said_at >= QUIET:
                said_at = now
                later = f", {len(work.waiting):,} wait for room in the queue" if work.waiting else ""
                progress.note(
                    f"{len(work.under_way):,} tasks at Earth Engine{later}; each is read when it is done, and Ctrl-C "
                    "leaves them running"
                )
            for run in succeeded:
                try:
                    shards = find_shards(self.root, run.task, run.attempt, self.settings.shard)
                except Unsound as error:
                    work.repeat(run, str(error))
                else:
                    yield run.task, shards
            if succeeded:
                pause = self._patience.first
            elif not work.ended:
                self._patience.sleep(pause)
                pause = min(2 * pause, self._patience.longest)

    def _tell_end(self, work: Work, region: Region, progress: Progress) -> None:
        if not self._ready:
            return
        took = f"; Earth Engine counts {work.eecu_seconds / 3600:.2f} EECU-hours" if work.eecu_seconds else ""
        progress.note(
            f"the tasks' files stay in gs://{self.settings.bucket}/{folder_of(region, self.settings)} until you delete "
            f"them; the stack no longer needs those that are read{took}"
        )

    def goes_on(self) -> str:
        """One sentence on the tasks that go on without this process; "" where none does."""
        count = len(self._work.under_way) if self._work else 0
        if not count:
            return ""
        what = "1 task goes" if count == 1 else f"{count:,} tasks go"
        return (
            f"{what} on at Earth Engine; give the same command again to read what they make, or `cohmap tasks REGION "
            "--cancel` to stop them"
        )

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> FloatArray:
        """Pixels of one pass on a window of the grid, once `arrivals` has announced it.

        Raises
        ------
        CohmapError
            It was not announced, or a file is damaged.
        """
        for ready in self._ready.get(item.id, ()):
            there = ready.task.window
            top, left = (round(edge) for edge in place_on(there.affine, window.affine))
            height, width = window.shape
            if top >= 0 and left >= 0 and top + height <= there.shape[0] and left + width <= there.shape[1]:
                values = read_shards(ready.shards, (top, left), window, ready.task.bands)
                return np.ascontiguousarray(values[[ready.task.bands.index(band) for band in bands]])
        raise CohmapError(f"no task has exported pass {item.id} on that window; run `cohmap export` first")

    def known(self, folder: Folder) -> list[tuple[str, Operation | None]]:
        """Tasks that were begun for an output folder, by name, and how each is; None where Earth Engine forgot it."""
        records = list(Ledger(folder, STAGE))
        if not records:
            return []
        operations = self.queue.list()
        by_description = {operation.description: operation for operation in operations}
        by_name = {operation.name: operation for operation in operations}
        return [
            (record["task"], by_name.get(record["operation"]) or by_description.get(record["task"]))
            for record in records
        ]
