"""A bench for batch export: images on the stand-in, a folder that stands for a bucket, and exports over both."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.export import Outcome, export
from pipeline.plan import make_plan
from pipeline.progress import Silent
from pipeline.region import Region, open_region
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_batch.source import BatchSource
from pipeline.sources.ee_pace import Patience
from pipeline.storage import Folder
from tests.archive_files import region_file, write_archive
from tests.conftest import Answer, Command
from tests.earthengine.conftest import StandIn
from tests.earthengine.images import Image, RasterBand
from tests.earthengine.scenes import opera_images
from tests.earthengine.task_server import no_tasks
from tests.earthengine.tasks import TaskQueue
from tests.earthengine.test_command import earthengine

BUCKET = "a-bucket"


class Notes(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, sentence: str) -> None:
        self.said.append(sentence)


@dataclass
class Bench:
    """Exports of one small region, by tasks or by requests, each into a folder of its own."""

    standin: StandIn
    folder: Path
    cohmap: Command
    images: list[Image]
    passes: str = 'polarisations = ["VV", "VH"]'
    area: str = ""
    notes: Notes = field(default_factory=Notes)
    while_waiting: Callable[[], object] = lambda: None
    """What happens whenever an export waits for its tasks."""

    @property
    def tasks(self) -> TaskQueue:
        """What the server holds of tasks."""
        return self.standin.server.tasks

    @property
    def bucket(self) -> Path:
        """Where the bucket is mounted."""
        return self.tasks.buckets[BUCKET]

    @property
    def files(self) -> list[Path]:
        """What is in the bucket."""
        return sorted(self.bucket.rglob("*.tif"))

    def region(self, *lines: str, mode: str = "batch", bucket: str = BUCKET, mount: str = "") -> Path:
        """A region file; `lines` are more of its [source] table."""
        batch = (
            ('mode = "batch"', f'bucket = "{bucket}"', f'mount = "{mount or self.bucket}"') if mode == "batch" else ()
        )
        source = (earthengine(self.standin), f'project = "{self.standin.world.project}"', *batch, *lines)
        tables = {"source": "\n".join(source), "passes": self.passes, "pairs": 'mode = "chain"'}
        return region_file(self.folder / "r.toml", self.folder, **tables | ({"area": self.area} if self.area else {}))

    def source(self, region: Region) -> EarthEngineSource | BatchSource:
        """The region's source, which never really waits."""
        settings = region.config.source
        assert settings.kind == "earthengine"
        patience = Patience(attempts=4, deadline=30.0, sleep=self._sleep, clock=self.standin.naps.clock)
        images = EarthEngineSource(settings, credentials=self.standin.credentials, patience=patience)
        return BatchSource(images, settings) if settings.mode == "batch" else images

    def _sleep(self, seconds: float) -> None:
        self.standin.naps(seconds)
        self.while_waiting()

    def export(self, *lines: str, mode: str = "batch", output: str = "out", **places: str) -> Outcome:
        """Export in this process; what it says is in `notes`."""
        region = open_region(str(self.region(*lines, mode=mode, **places)))
        source = self.source(region)
        self.notes = Notes()
        return export(make_plan(region, source), source, Folder(str(self.folder / output)), self.notes)

    def stop(self) -> None:
        """Export until it first waits for its tasks, and then comes Ctrl-C."""

        def interrupt() -> None:
            raise KeyboardInterrupt

        before, self.while_waiting = self.while_waiting, interrupt
        with pytest.raises(KeyboardInterrupt):
            self.export()
        self.while_waiting = before

    def command(self, name: str, *options: str, lines: Sequence[str] = (), mode: str = "batch") -> Answer:
        """A command over the region, from the terminal."""
        region = self.region(*lines, mode=mode, mount="bucket")  # beside the region file
        return self.cohmap(name, str(region), "--output", str(self.folder / "out"), *options)

    def pixels(self, output: str = "out") -> dict[str, bytes]:
        """The stack's chunks as they lie on disk."""
        variables = [
            path for path in (self.folder / output).glob("stack/*.zarr/*") if path.name in {"vv", "vh", "angle"}
        ]
        return {
            str(file.relative_to(self.folder / output)): file.read_bytes()
            for variable in variables
            for file in variable.rglob("*")
            if file.is_file()
        }

    def ledger(self, stage: str, output: str = "out") -> list[dict[str, Any]]:
        """A stage's ledger."""
        lines = (self.folder / output / f"ledger/{stage}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines if line]

    def provenance(self, output: str = "out") -> Any:
        """The stacks' own words on their passes."""
        return [
            json.loads(path.read_text())["attributes"]["passes"]
            for path in sorted((self.folder / output).glob("stack/*.zarr/zarr.json"))
        ]


def make_bench(standin: StandIn, cohmap: Command, folder: Path) -> Bench:
    """Two passes of VV, VH and angle over four tiles, and an empty bucket."""
    standin.server.tasks = no_tasks(standin.world)
    standin.server.tasks.buckets[BUCKET] = folder / "bucket"
    (folder / "bucket").mkdir()
    files = write_archive(folder / "images", days=(0, 12), bands=("VV", "VH"))
    images = [with_angle(image) for image in opera_images(files.glob("*.tif"))]
    standin.world.add(images)
    return Bench(standin, folder, cohmap, images)


def with_angle(image: Image) -> Image:
    """The same image with an incidence angle that rises across it."""
    native = image.bands["VV"].native
    assert native is not None
    ramp = np.broadcast_to(np.linspace(31, 44, native.width), (native.height, native.width))
    angle = RasterBand(ramp, np.ones_like(ramp, dtype=bool), native)
    return dataclasses.replace(image, bands={**image.bands, "angle": angle})
