"""Fixtures shared by the tests: the command line in this process, and small archives on disk."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
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


def pytest_addoption(parser: pytest.Parser) -> None:
    """What ``-m live`` needs to know of Earth Engine."""
    parser.addoption("--project", help="Google Cloud project that `pytest -m live` may use for Earth Engine")
    parser.addoption("--bucket", help="Cloud Storage bucket that its tests of tasks may write to and read from")
    parser.addoption("--mount", help="folder where that bucket is mounted")
    parser.addoption("--earthengine", metavar="URL", help="another address of Earth Engine's interface")


@pytest.fixture
def ctrl_c_works() -> Iterator[None]:
    """Where a script runs the tests in the background they ignore Ctrl-C, and so would all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
