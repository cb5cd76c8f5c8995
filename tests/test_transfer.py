"""From a source to a stack in threads: how far reading may be ahead of writing, and what an error leaves."""

from __future__ import annotations

import threading

import pytest

from pipeline.transfer import WRITERS, Lead, transfer


def test_reading_is_ahead_by_what_can_be_written_while_one_is_read() -> None:
    lead = Lead(ceiling=20)
    assert lead.most == 20, "until something is known"
    lead.learn(reading=2.0, writing=1.0)
    assert lead.most == WRITERS + 2 * WRITERS
    for _ in range(50):
        lead.learn(reading=0.3, writing=3.0)
    assert lead.most == WRITERS + 1
    for _ in range(50):
        lead.learn(reading=16.0, writing=0.1)
    assert lead.most == 20


def test_all_that_is_wanted_is_read_and_written_once() -> None:
    written: list[tuple[int, str]] = []
    transfer(iter(range(50)), str, lambda what, got: written.append((what, got)), threads=4, ceiling=6)
    assert sorted(written) == [(number, str(number)) for number in range(50)]


def test_what_is_under_way_beside_a_failure_is_still_written() -> None:
    begun = threading.Barrier(4, timeout=60)
    known = threading.Event()
    written: list[int] = []
    asked: list[int] = []

    def read(what: int) -> int:
        asked.append(what)
        begun.wait()  # all four are under way before one of them fails
        if what == 2:
            threading.Timer(0.5, known.set).start()  # an error can't tell when it was noticed
            raise ConnectionError("gone")
        known.wait(60)  # else one more might begin, rightly, before the error is known
        return what

    with pytest.raises(ConnectionError, match="gone"):
        transfer(iter(range(100)), read, lambda what, _: written.append(what), threads=4, ceiling=4)
    assert sorted(asked) == [0, 1, 2, 3], "nothing new is begun"
    assert sorted(written) == [0, 1, 3]


def test_a_failure_to_write_ends_it() -> None:
    def write(what: int, got: int) -> None:
        raise OSError(28, f"no space left for {what} {got}")

    with pytest.raises(OSError, match="no space left"):
        transfer(iter(range(100)), int, write, threads=2, ceiling=4)
