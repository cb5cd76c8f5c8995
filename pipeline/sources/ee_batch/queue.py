"""Earth Engine's queue of tasks: what is in it, what is added to it and taken out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.config import EarthEngineSource
from pipeline.errors import CohmapError
from pipeline.sources.ee_batch.task import Task
from pipeline.sources.ee_failures import TooLarge, diagnose, one_line
from pipeline.sources.ee_session import Session

ACTIVE = ("PENDING", "RUNNING")
# What the server says where its queue takes no more; statuses differ, the words don't.
FULL = "tasks already in the queue"
# Whether a repeated start is answered with the task or with this, Google's documentation leaves open.
ALREADY_THERE = 409


@dataclass(frozen=True)
class Operation:
    """A task as Earth Engine tells of it.

    Attributes
    ----------
    name
        The server's name, e.g. ``projects/P/operations/ABC``.
    description
        The name that the starter gave it.
    state
        PENDING, RUNNING, CANCELLING, CANCELLED, SUCCEEDED or FAILED.
    message
        Why it failed.
    eecu_seconds
        Computation it took, 0 while that isn't known.
    """

    name: str
    description: str
    state: str
    message: str = ""
    eecu_seconds: float = 0.0

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Operation:
        """From the server's record."""
        facts = record.get("metadata", {})
        message = record.get("error", {}).get("message", "")
        return cls(
            str(record["name"]),
            str(facts.get("description", "")),
            str(facts.get("state", "PENDING")),
            one_line(message) if message else "",
            float(facts.get("batchEecuUsageSeconds", 0.0)),
        )

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ACTIVE


class Queue:
    """The tasks of one Google Cloud project."""

    def __init__(self, session: Session, settings: EarthEngineSource) -> None:
        self._session = session
        self._settings = settings

    def list(self) -> list[Operation]:
        """All tasks that Earth Engine still tells of, whoever started them."""
        import ee

        records = self._session.call(lambda _: ee.data.listOperations(), {}, "the list of tasks")
        return [Operation.read(record) for record in records]

    def find(self, name: str) -> Operation | None:
        """One task by the server's name; None where the server has forgotten it."""
        import ee

        def ask(_: dict[str, Any]) -> Any:
            try:
                return ee.data.getOperation(name)
            except ee.EEException as error:
                if diagnose(error).status == 404:
                    return None
                raise

        record = self._session.call(ask, {}, f"task {name}")
        return None if record is None else Operation.read(record)

    def start(self, task: Task, attempt: int) -> Operation | None:
        """Start a task; None where the queue is full.

        Safe to repeat: by its request id Earth Engine knows a task that it has already started.

        Raises
        ------
        CohmapError
            Earth Engine refuses it.
        """
        import ee

        self._session.open()  # the client can't build an expression before
        request = task.request(attempt, self._settings)

        def ask(asked: dict[str, Any]) -> Any:
            try:
                return ee.data.exportImage(task.request_id(attempt), asked)
            except ee.EEException as error:
                if FULL in str(error):
                    return None
                if diagnose(error).status != ALREADY_THERE:
                    raise
                found = self._by_description(task.name(attempt))
                if found is None:
                    raise
                return found

        try:
            record = self._session.call(ask, request, f"task {task.name(attempt)}")
        except TooLarge as error:
            raise CohmapError(
                f"Earth Engine refuses task {task.name(attempt)} for its size ({error}); take mode = 'interactive', "
                "which goes on with the same stack in smaller pieces"
            ) from None
        return None if record is None else Operation.read(record)

    def _by_description(self, description: str) -> Any:
        import ee

        records = ee.data.listOperations()
        return next((one for one in records if one.get("metadata", {}).get("description") == description), None)

    def cancel(self, operation: Operation) -> None:
        """Ask Earth Engine to stop a task; one that has ended already is left as it is."""
        import ee

        def ask(_: dict[str, Any]) -> None:
            try:
                ee.data.cancelOperation(operation.name)
            except ee.EEException as error:
                if diagnose(error).status not in {400, 404}:
                    raise

        self._session.call(ask, {}, f"task {operation.description or operation.name}")
