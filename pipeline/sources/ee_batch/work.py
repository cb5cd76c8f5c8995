"""Tasks taken from one state to the next: taken up where an earlier run left them, started, awaited, done again."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import CohmapError
from pipeline.ledger import Ledger
from pipeline.progress import Progress
from pipeline.sources.ee_batch.queue import Operation, Queue
from pipeline.sources.ee_batch.task import Task

STAGE = "tasks"

# A task whose files are missing or damaged, although it succeeded, is done again so often in one run.
MOST_REPEATS = 2

# A task that Earth Engine doesn't know so often in a row is one that it has forgotten, not one that it has yet to list.
FORGOTTEN = 5

# What Earth Engine says of a failed task, and what mends it; the words are matched in lower case.
OF_THE_BUCKET = re.compile(r"bucket|storage\.objects|cloud storage")
REMEDIES = (
    (
        OF_THE_BUCKET,
        "check [source] bucket, and that your account may write to it (role Storage Object Admin), then run again",
    ),
    (
        re.compile(r"memory|timed out|too large|exceeded .*time"),
        "take mode = 'interactive', which goes on with the same stack in smaller pieces",
    ),
    (re.compile(r"not found|does not exist"), "give the same command again: it searches anew"),
    (re.compile(r"quota|eecu"), "give the same command again when the project has computation left"),
)
OTHERWISE = "give the same command again to start it anew"


@dataclass(eq=False)
class Run:
    """A task on its way.

    Attributes
    ----------
    attempt
        Earth Engine never does a task again under the name of one that it has done; each time it gets another number.
    operation
        The server's name for it, "" before it is started.
    repeats
        How often this run of cohmap had it done again.
    unseen
        How often in a row Earth Engine didn't know it.
    """

    task: Task
    attempt: int = 1
    operation: str = ""
    repeats: int = 0
    unseen: int = 0

    @property
    def name(self) -> str:
        """What Earth Engine's list of tasks calls it."""
        return self.task.name(self.attempt)


class Work:
    """The tasks that one run needs.

    Parameters
    ----------
    ledger
        Each step is written down before the next, so that a run killed at any moment is taken up where it was. A kill
        between the start of a task and its line is mended by the server: it knows the task by its request id.
    most_queued
        Tasks in the project's queue, above which none is added.
    """

    def __init__(self, queue: Queue, ledger: Ledger, most_queued: int, progress: Progress) -> None:
        self.waiting: deque[Run] = deque()
        self.under_way: dict[str, Run] = {}
        self.failures: list[str] = []
        self.eecu_seconds = 0.0
        self._queue, self._ledger, self._most, self._progress = queue, ledger, most_queued, progress
        self._hopeless = False

    @property
    def ended(self) -> bool:
        """Whether nothing is left to wait for."""
        return not self.under_way and (self._hopeless or not self.waiting)

    def take_up(self, tasks: Sequence[Task]) -> None:
        """Find out how far each task is, by the ledger and by what Earth Engine says."""
        there = {operation.description: operation for operation in self._queue.list()}
        for task in tasks:
            run, operation = self._find(task, there)
            if operation is not None:
                run.operation = operation.name
                self._write(run, "started")
                self.under_way[run.operation] = run
            elif run.operation:  # done, and so long ago that Earth Engine has forgotten it
                run.unseen = FORGOTTEN
                self.under_way[run.operation] = run
            else:
                self.waiting.append(run)

    def _find(self, task: Task, there: dict[str, Operation]) -> tuple[Run, Operation | None]:
        """The task's last attempt and its operation, or the next attempt where that came to nothing."""
        record = self._ledger.get(task.key) or {}
        if record and record["fingerprint"] != task.fingerprint:
            self._abandon(record["task"], record["operation"], there)
            record = {}
        run = Run(task, record.get("attempt", 1))
        if task.name(run.attempt + 1) in there:  # another output folder's run went further
            record = {}
            while task.name(run.attempt + 1) in there:
                run.attempt += 1
        operation = there.get(run.name)
        if operation is None and record.get("operation"):
            operation = self._queue.find(record["operation"])
            if operation is None and record["state"] != "failed":
                run.operation = record["operation"]
                return run, None
        failed = (
            operation.state not in {"SUCCEEDED", "PENDING", "RUNNING"} if operation else bool(record.get("operation"))
        )
        if failed:
            return Run(task, run.attempt + 1), None
        return run, operation

    def _abandon(self, name: str, operation: str, there: dict[str, Operation]) -> None:
        """Stop a task whose images or settings are no longer those of the plan."""
        found = there.get(name) or next((each for each in there.values() if each.name == operation), None)
        if found is not None and found.active:
            self._queue.cancel(found)
            self._progress.note(f"cancelled: Earth Engine's task {name}, whose images or settings have changed since")

    def poll(self) -> list[Run]:
        """Ask how the tasks are, fill the queue, and give those that have succeeded."""
        operations = {operation.name: operation for operation in self._queue.list()}
        succeeded = []
        for name, run in list(self.under_way.items()):
            operation = operations.get(name) or self._queue.find(name)
            run.unseen = run.unseen + 1 if operation is None else 0
            if run.unseen > FORGOTTEN or (operation is not None and operation.state == "SUCCEEDED"):
                del self.under_way[name]
                self.eecu_seconds += operation.eecu_seconds if operation else 0.0
                self._write(run, "done")
                succeeded.append(run)
            elif operation is not None and operation.state in {"FAILED", "CANCELLED"}:
                del self.under_way[name]
                self._fail(run, operation)
        self._fill(self._most - sum(operation.active for operation in operations.values()))
        return succeeded

    def _fill(self, room: int) -> None:
        while self.waiting and room > 0 and not self._hopeless:
            run = self.waiting[0]
            self._write(run, "asked")
            operation = self._queue.start(run.task, run.attempt)
            if operation is None:
                return
            run.operation = operation.name
            self._write(run, "started")
            self.under_way[run.operation] = self.waiting.popleft()
            room -= 1

    def repeat(self, run: Run, reason: str) -> None:
        """Have a task done again whose files are not what was asked for."""
        if run.repeats >= MOST_REPEATS:
            self._write(run, "failed")
            self.failures.append(f"task {run.name} succeeded, but {reason}; check who else writes to the bucket")
            return
        self._progress.note(f"{reason}, although its task succeeded; Earth Engine does it again")
        self.waiting.append(Run(run.task, run.attempt + 1, repeats=run.repeats + 1))

    def _fail(self, run: Run, operation: Operation) -> None:
        self._write(run, "failed")
        if operation.state == "CANCELLED":
            self.failures.append(f"task {run.name} was cancelled; {OTHERWISE}")
            return
        said = operation.message.rstrip(".") or "Earth Engine gives no reason"
        remedy = next((mend for words, mend in REMEDIES if words.search(said.lower())), OTHERWISE)
        self.failures.append(f"task {run.name} failed: {said}; {remedy}")
        # what is wrong with the bucket is wrong with it for every task
        self._hopeless |= bool(OF_THE_BUCKET.search(said.lower()))

    def _write(self, run: Run, state: str) -> None:
        self._ledger.record(
            run.task.key,
            run.task.fingerprint,
            "",
            state=state,
            attempt=run.attempt,
            task=run.name,
            operation=run.operation,
        )

    def require_success(self) -> None:
        """Tell of failures.

        Raises
        ------
        CohmapError
            There are some; names the first with what Earth Engine says of it, and how to mend it.
        """
        if self.failures:
            more = f" (and {len(self.failures) - 1} more tasks)" if len(self.failures) > 1 else ""
            raise CohmapError(f"Earth Engine {self.failures[0]}{more}; what the others made is kept")
