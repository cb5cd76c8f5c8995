"""Ctrl-C reaches the whole process group, SIGTERM the command alone: both end it in peace, and it can go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.interrupts import postponed
from tests.archive_files import region_file, write_archive
from tests.conftest import Command

ROOT = Path(__file__).parent.parent
STOPPED = "cohmap: stopped; give the same command again to continue where it was\n"


def to_the_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def to_the_command(process: subprocess.Popen[str]) -> None:
    process.terminate()


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupts")
    images = write_archive(folder / "images", days=range(0, 108, 12))
    return region_file(folder / "r.toml", images, pairs='mode = "all"\nmax_days = 96')


@pytest.mark.usefixtures("ctrl_c_works")
@pytest.mark.parametrize("send", [to_the_group, pytest.param(to_the_command, marks=pytest.mark.slow)])
def test_a_stopped_run_has_no_orphans_and_goes_on(
    cohmap: Command, region: Path, tmp_path: Path, send: Callable[[subprocess.Popen[str]], None]
) -> None:
    output = tmp_path / "out"
    assert cohmap("export", str(region), "--output", str(output)).code == 0
    command = ["infer", str(region), "--output", str(output), "--workers"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *command, "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a shell gives every command
    )
    ledger = output / "ledger/infer.jsonl"
    while process.poll() is None and not ledger.exists():
        time.sleep(0.01)
    send(process)
    _, errors = process.communicate(timeout=60)  # also waits for workers: they hold the pipe open
    assert (process.returncode, errors) == (130, STOPPED)
    answer = cohmap(*command, "0")
    assert (answer.code, answer.err) == (0, "")
    assert "of them resumed from an earlier run" in answer.out


SIGTERM_AND_AFTER = """
import signal
from pipeline.interrupts import sigterm_is_ctrl_c

before = signal.getsignal(signal.SIGTERM)
try:
    with sigterm_is_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    assert signal.getsignal(signal.SIGTERM) == before
    print("as before")
"""


def test_sigterm_is_itself_again_afterwards() -> None:
    # in a process of its own: it would end the one that runs the tests, should a library have taken the signal there
    done = subprocess.run(
        [sys.executable, "-c", SIGTERM_AND_AFTER], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "as before\n", "")


@pytest.mark.usefixtures("ctrl_c_works")
def test_a_postponed_ctrl_c_strikes_when_the_block_ends() -> None:
    reached = []

    def work() -> None:
        with postponed():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end of the block")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
