"""What a person at the terminal sees: progress bars, notes, the last line."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Terminal:
    """Shows stages as progress bars; on a pipe or in a log, one line a stage."""

    def __init__(self, *, quiet: bool) -> None:
        self.console = Console(quiet=quiet, highlight=False)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._total = self._resumed = 0

    def start(self, stage: str, total: int, resumed: int) -> None:
        """Begin a stage's bar."""
        self.finish()
        self._stage, self._total, self._resumed = stage, total, resumed
        if self.console.is_terminal and not self.console.quiet:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description:<10}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(stage, total=total, completed=resumed)

    def advance(self, units: int = 1) -> None:
        """Move the stage's bar."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, units)

    def note(self, sentence: str) -> None:
        """Print a sentence the user should know."""
        self.console.print(f"[yellow]note[/]      {sentence}", soft_wrap=True)

    def remark(self, sentence: str) -> None:
        """Print a line above the stage's bar, which stays."""
        self.console.print(sentence, soft_wrap=True)

    def finish(self) -> None:
        """End the stage's bar and leave one line in its place."""
        self.stop()
        if self._stage:
            resumed = f", {self._resumed} of them resumed from an earlier run" if self._resumed else ""
            self.console.print(f"[green]{self._stage:<9}[/] {self._total} done{resumed}")
        self._stage = ""

    def stop(self) -> None:
        """Take the bar away without a word, for errors and Ctrl-C."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def say(self, sentence: str) -> None:
        """Print a line."""
        self.finish()
        self.console.print(sentence, soft_wrap=True)
