"""Earth Engine's tasks: started, listed, cancelled, and worked on, two at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.earthengine.errors import EarthEngineError

ACTIVE = ("PENDING", "RUNNING", "CANCELLING")
# Tasks of a project that are worked on at once.
RUNNING_AT_ONCE = 2


@dataclass
class Operation:
    """One task."""

    name: str
    body: Mapping[str, Any]
    state: str = "PENDING"
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """As ``operations`` and the answer to a start tell of it."""
        told: dict[str, Any] = {
            "name": self.name,
            "metadata": {
                "@type": "type.googleapis.com/google.earthengine.v1.OperationMetadata",
                "state": self.state,
                "description": self.body.get("description", ""),
                "type": "EXPORT_IMAGE",
                "createTime": "2026-11-21T00:00:00Z",
                "updateTime": "2026-11-21T00:00:00Z",
                **({"batchEecuUsageSeconds": 36.0} if self.state == "SUCCEEDED" else {}),
            },
            "done": self.state not in ACTIVE,
        }
        if self.state in {"FAILED", "CANCELLED"}:
            told["error"] = {"code": 3 if self.state == "FAILED" else 1, "message": self.message or "Cancelled."}
        return told


@dataclass
class TaskQueue:
    """The tasks of a project; safe to use from several threads.

    Time passes only when somebody asks for the list: two tasks begin, and those that had begun end.

    Attributes
    ----------
    export
        Computes an image and writes its files into a bucket's folder.
    buckets
        Folders that stand for buckets, by name.
    most
        Tasks that may wait or run.
    page
        Tasks in a page of the list.
    refuses_repeats
        Whether a repeated start is refused with 409 instead of answered with the task. Belief: it is answered.
    failing
        Why the next tasks to be worked on fail.
    frozen
        Whether nothing is worked on.
    """

    export: Callable[[Mapping[str, Any], Path], object]
    buckets: dict[str, Path] = field(default_factory=dict)
    most: int = 3000
    page: int = 3
    refuses_repeats: bool = False
    failing: list[str] = field(default_factory=list)
    frozen: bool = False
    most_active: int = 0
    computed: int = 0
    _operations: dict[str, Operation] = field(default_factory=dict)
    _by_request: dict[str, str] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def start(self, body: Mapping[str, Any], project: str) -> dict[str, Any]:
        """Add a task; one whose request id is known is the task that is there."""
        with self._lock:
            request = body.get("requestId", "")
            if request in self._by_request:
                if self.refuses_repeats:
                    raise EarthEngineError(f"Operation with request ID '{request}' already exists.", 409)
                return self._operations[self._by_request[request]].to_json()
            if self._active() >= self.most:
                raise EarthEngineError(
                    f"Too many tasks already in the queue ({self.most}). Please wait for some of them to complete."
                )
            name = f"projects/{project}/operations/T{len(self._operations):04d}"
            self._operations[name] = Operation(name, body)
            if request:
                self._by_request[request] = name
            self.most_active = max(self.most_active, self._active())
            return self._operations[name].to_json()

    def page_of(self, first: int) -> dict[str, Any]:
        """A page of the list, the newest task first; the first page lets time pass."""
        with self._lock:
            if first == 0 and not self.frozen:
                self._work()
            everything = list(reversed(self._operations.values()))
            answer: dict[str, Any] = {
                "operations": [operation.to_json() for operation in everything[first : first + self.page]]
            }
            if first + self.page < len(everything):
                answer["nextPageToken"] = str(first + self.page)
            return answer

    def get(self, name: str) -> dict[str, Any]:
        """One task."""
        with self._lock:
            return self._find(name).to_json()

    def cancel(self, name: str) -> dict[str, Any]:
        """Stop a task: at once where it waits, later where it is worked on."""
        with self._lock:
            operation = self._find(name)
            if operation.state not in ACTIVE:
                raise EarthEngineError("Cannot cancel a task that has ended.", 400)
            operation.state = "CANCELLED" if operation.state == "PENDING" else "CANCELLING"
            return {}

    def cancel_all(self) -> None:
        """Stop every task that waits or is worked on, as somebody may do in the Code Editor."""
        for operation in list(self._operations.values()):
            if operation.state in ACTIVE:
                self.cancel(operation.name)

    def forget(self) -> None:
        """Let the server forget every task and every request, as it does after some days."""
        with self._lock:
            self._operations.clear()
            self._by_request.clear()

    def states(self) -> list[str]:
        """The tasks' states, in the order in which they were started."""
        with self._lock:
            return [operation.state for operation in self._operations.values()]

    def bodies(self) -> list[Mapping[str, Any]]:
        """What was asked for, in the order in which tasks were started."""
        with self._lock:
            return [operation.body for operation in self._operations.values()]

    def _find(self, name: str) -> Operation:
        if name not in self._operations:
            raise EarthEngineError(f"Operation {name} not found.", 404)
        return self._operations[name]

    def _active(self) -> int:
        return sum(operation.state in ACTIVE for operation in self._operations.values())

    def _work(self) -> None:
        for operation in self._operations.values():
            if operation.state == "RUNNING":
                self._complete(operation)
            elif operation.state == "CANCELLING":
                operation.state = "CANCELLED"
        waiting = [operation for operation in self._operations.values() if operation.state == "PENDING"]
        for operation in waiting[:RUNNING_AT_ONCE]:
            operation.state = "RUNNING"

    def _complete(self, operation: Operation) -> None:
        destination = operation.body["fileExportOptions"]["cloudStorageDestination"]
        bucket = self.buckets.get(destination["bucket"])
        if self.failing:
            operation.state, operation.message = "FAILED", self.failing.pop(0)
        elif bucket is None:
            operation.state = "FAILED"
            operation.message = f"Cloud Storage bucket '{destination['bucket']}' does not exist."
        else:
            self.computed += 1
            try:
                self.export(operation.body, bucket)
                operation.state = "SUCCEEDED"
            except EarthEngineError as error:
                operation.state, operation.message = "FAILED", error.message
