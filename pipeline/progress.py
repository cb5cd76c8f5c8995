"""How long work tells of itself; the command line shows it, libraries may listen or stay silent."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listens to one stage at a time."""

    def start(self, stage: str, total: int, resumed: int) -> None:
        """A stage begins: `total` units in all, `resumed` of them done by an earlier run."""
        ...

    def advance(self, units: int = 1) -> None:
        """Units were finished."""
        ...

    def note(self, sentence: str) -> None:
        """Something the user should know."""
        ...


class Silent:
    """Listens and says nothing."""

    def start(self, stage: str, total: int, resumed: int) -> None:
        """Ignore."""

    def advance(self, units: int = 1) -> None:
        """Ignore."""

    def note(self, sentence: str) -> None:
        """Ignore."""
