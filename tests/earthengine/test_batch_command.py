"""Batch export from the terminal: plans, tasks looked at and cancelled, bad settings, and a kill in the middle."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys

import pytest
from rich.console import Console

from pipeline import config
from pipeline.errors import CohmapError
from pipeline.plan import make_plan
from pipeline.plan_table import show_plan
from pipeline.region import open_region
from tests.earthengine.batch import BUCKET, Bench
from tests.earthengine.conftest import StandIn
from tests.earthengine.survey import region
from tests.earthengine.test_killed import ROOT
from tests.earthengine.test_plan import WHOLE


def export(bench: Bench, stage: str, count: int) -> bool:
    """Export in a process of its own; whether it was killed on the way."""
    options = ["export", str(bench.region()), "--output", str(bench.folder / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.earthengine.killed", stage, str(count), *options],
        cwd=ROOT,
        env=os.environ | {"COHMAP_EE_TOKEN": bench.standin.world.token},
        check=False,
        capture_output=True,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode != 0


def test_killed_between_the_start_of_a_task_and_its_line_it_goes_on(bench: Bench) -> None:
    # the second line of the ledger would be the first task's, which the server has started by then
    assert export(bench, "tasks", 2)
    assert [line["state"] for line in bench.ledger("tasks")] == ["asked"]
    assert bench.tasks.states() == ["PENDING"]
    bench.export()
    assert bench.tasks.computed == len(bench.tasks.bodies()) == 2
    bench.export(mode="interactive", output="other")
    assert bench.pixels() == bench.pixels("other")


@pytest.mark.slow  # a kill takes a process of its own
def test_killed_at_random_moments_it_ends_as_unbroken_and_no_task_is_done_twice(bench: Bench) -> None:
    rng = random.Random(1)
    kills = 0
    while export(bench, rng.choice(["tasks", "export", "fsync"]), rng.randint(1, 4)):
        kills += 1
    assert kills >= 3
    bench.export()
    assert bench.tasks.computed == 2
    bench.export(mode="interactive", output="other")
    assert bench.pixels() == bench.pixels("other")
    assert not list(bench.folder.rglob("*.partial"))


def test_a_run_from_the_terminal_ends_by_saying_where_the_files_are(bench: Bench) -> None:
    answer = bench.command("export")
    assert (answer.code, answer.err) == (0, "")
    assert "2 tasks at Earth Engine; each is read when it is done" in answer.out
    assert f"files stay in gs://{BUCKET}/cohmap/small until you delete them" in answer.out
    assert "0.02 EECU-hours" in answer.out


def test_tasks_are_looked_at_and_cancelled(bench: Bench) -> None:
    assert "no task was begun" in bench.command("tasks").err
    bench.tasks.frozen = True
    bench.stop()
    told = bench.command("tasks").out
    assert told.count("PENDING") == 2
    assert "cohmap-small-S1A_20230104T171412-b00-00-" in told
    assert "cancel 2 of 2 tasks" in bench.command("tasks", "--cancel").out
    assert bench.tasks.states() == ["CANCELLED", "CANCELLED"]
    assert "2 cancelled" in bench.command("tasks").out
    bench.tasks.frozen = False
    bench.export()
    assert bench.tasks.states() == ["CANCELLED", "CANCELLED", "SUCCEEDED", "SUCCEEDED"]


def test_a_region_without_tasks_says_so(bench: Bench) -> None:
    answer = bench.command("tasks", mode="interactive")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "they come with source.mode = 'batch'" in answer.err


def test_a_plan_counts_tasks_files_and_bytes(standin: StandIn) -> None:
    standin.world.add(WHOLE.images())
    batch = {"mode": "batch", "bucket": BUCKET}
    cost = make_plan(region(**batch), standin.source(**batch)).cost
    # 26 x 26 tiles of 400 pixels are 10,400 pixels a side: one block, in 3 x 3 files of 4096; VV and VH, 183 passes
    assert cost.batch is not None
    assert (cost.batch.tasks, cost.batch.files) == (183, 183 * 9)
    assert cost.batch.bytes == 183 * 10_400**2 * 2 * 4 == cost.stack_bytes
    assert (cost.requests, cost.rate) == (0, None)
    assert json.loads(json.dumps(cost.to_json()))["bucket_bytes"] == cost.batch.bytes


def test_the_plan_tells_of_tasks(bench: Bench) -> None:
    opened = open_region(str(bench.region()))
    console = Console(record=True, width=400, file=io.StringIO())
    show_plan(console, make_plan(opened, bench.source(opened)), rate=1.0, workers=1)
    told = console.export_text()
    assert "Earth Engine: 2 tasks, which write 2 files to the bucket, 0 MiB before compression" in told
    assert "EECU-hours" in told
    assert "requests" not in told
    assert not bench.tasks.bodies()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mode": "batch"}, "mode = 'batch' needs bucket"),
        ({"bucket": "b-1"}, "bucket goes with mode = 'batch', and only with it"),
        ({"queued": 10}, "queued goes with mode = 'batch', and only with it"),
        ({"mode": "batch", "bucket": "gs://b-1"}, "'source.bucket' = 'gs://b-1' is not usable"),
        ({"mode": "batch", "bucket": "b-1", "prefix": "/x/"}, "'source.prefix' = '/x/' is not usable"),
        ({"mode": "batch", "bucket": "b-1", "queued": 3001}, "'source.queued' = 3001 is not usable"),
        ({"mode": "batch", "bucket": "b-1", "shard": 1000}, "'source.shard' = 1000 is not usable"),
        ({"mode": "tasks"}, "'source.mode' = 'tasks' is not usable"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(CohmapError) as caught:
        config.parse(
            {"name": "x", "area": {"bbox": [11, 47, 12, 48]}, "source": {"kind": "earthengine", **settings}}, "here"
        )
    assert sentence in str(caught.value)
