"""Fixtures shared by the tests: the command line in this process, and small archives on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from pipeline import cli


@dataclass(frozen=True)
class Answer:
    """What a command came back with."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def cohmap(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process: ``cohmap("plan", "demo")``."""

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["cohmap", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run
