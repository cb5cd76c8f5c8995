"""The command line, killed (SIGKILL) at a chosen moment: ``python -m tests.killed STAGE COUNT ARGUMENTS…``.

The process dies between writing the data of the COUNT-th unit of a stage and recording it in the ledger; with STAGE
"fsync", between writing the COUNT-th temporary file and giving it its final name.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from pipeline import cli, cube, ledger, storage


class Fuse:
    """Counts down to the kill."""

    def __init__(self, count: int) -> None:
        self._left = count

    def burn(self) -> None:
        """One step nearer."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def arm(stage: str, count: int) -> None:
    """Put the fuse where the stage says."""
    fuse = Fuse(count)
    if stage == "fsync":
        sync = storage.fsync

        def fsync(path: Path) -> None:
            fuse.burn()
            sync(path)

        storage.fsync = cube.fsync = fsync  # type: ignore[attr-defined]
        return
    record = ledger.Ledger.record

    def record_or_die(self: ledger.Ledger, *arguments: Any, **facts: Any) -> None:
        if self._name == f"ledger/{stage}.jsonl":
            fuse.burn()
        record(self, *arguments, **facts)

    ledger.Ledger.record = record_or_die  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["cohmap", *sys.argv[3:]]
    cli.main()
