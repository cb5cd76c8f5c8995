"""The addresses of tasks: starting them, listing them, asking for one, cancelling one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.functions import FUNCTIONS
from tests.earthengine.graph import Evaluator
from tests.earthengine.images import Image
from tests.earthengine.shard_files import check_request, write_shards
from tests.earthengine.tasks import TaskQueue
from tests.earthengine.world import Request, World

ADDRESS = re.compile(r"operations(?:/(?P<id>[^:]+)(?P<cancel>:cancel)?)?")


def no_tasks(world: World) -> TaskQueue:
    """An empty queue, whose tasks export the world's images."""

    def export(body: Mapping[str, Any], bucket: Path) -> None:
        image = Evaluator(body["expression"], FUNCTIONS, world).result()
        if not isinstance(image, Image):
            raise EarthEngineError(f"Expected type: Image. Actual type: {type(image).__name__}.")
        write_shards(image, body, bucket)

    return TaskQueue(export)


def speaks_of_tasks(rest: str) -> bool:
    """Whether an address, after the project's name, is one of these."""
    return rest == "image:export" or ADDRESS.fullmatch(rest) is not None


def answer_task(tasks: TaskQueue, rest: str, request: Request) -> dict[str, Any]:
    """The answer to a caller who may ask."""
    project = request.path.split("/")[3]
    if rest == "image:export":
        check_request(request.body)
        return tasks.start(request.body, project)
    found = ADDRESS.fullmatch(rest)
    if found is None or found["id"] is None:
        return tasks.page_of(int(request.query.get("pageToken", 0)))
    name = f"projects/{project}/operations/{found['id']}"
    return tasks.cancel(name) if found["cancel"] else tasks.get(name)
