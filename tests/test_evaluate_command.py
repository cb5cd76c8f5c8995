"""`cohmap evaluate`: what it writes, that it continues, and one sentence for what it can't do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import Stopped
from pipeline.evaluation import Extent, run_evaluation
from pipeline.progress import Silent
from pipeline.storage import Folder
from tests.conftest import Answer, Command

SMALL = ("--sets", "matched,independent", "--scenes", "2", "--seeds", "1", "--size", "64", "--contexts", "0")


def run(cohmap: Command, folder: Path, *more: str) -> Answer:
    return cohmap("evaluate", "log-correlation", "touzi-intensity:raw", *SMALL, "--output", str(folder), *more)


def test_it_writes_tables_json_and_a_figure_and_says_where(cohmap: Command, tmp_path: Path) -> None:
    answer = run(cohmap, tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    assert "touzi-intensity raw" in answer.out
    for name in ("evaluation.json", "evaluation.md", "evaluation.png"):
        assert str(tmp_path / "out" / name) in answer.out
    content = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert list(content["sets"]) == ["matched", "independent"]
    assert content["made"]["scenes"] == 2
    assert "| log-correlation |" in (tmp_path / "out/evaluation.md").read_text()
    with Image.open(tmp_path / "out/evaluation.png") as figure:
        assert figure.width > 1000


def test_a_second_run_does_only_what_is_new_and_gives_the_same(cohmap: Command, tmp_path: Path) -> None:
    assert run(cohmap, tmp_path).code == 0
    ledger, results = tmp_path / "ledger/evaluate.jsonl", tmp_path / "evaluation.json"
    lines, before = ledger.read_text(), results.read_text()
    assert run(cohmap, tmp_path, "--quiet").out == ""
    assert (ledger.read_text(), results.read_text()) == (lines, before)
    assert run(cohmap, tmp_path, "--scenes", "3").code == 0
    assert ledger.read_text().startswith(lines)
    assert sum('"key"' in line for line in ledger.read_text().splitlines()) == 6


class StopsAfter(Silent):
    """Presses Ctrl-C when so many scenes are done."""

    def __init__(self, scenes: int) -> None:
        self.left = scenes

    def advance(self, units: int = 1) -> None:
        self.left -= units
        if not self.left:
            raise KeyboardInterrupt


def test_ctrl_c_loses_nothing_that_is_done(tmp_path: Path) -> None:
    folder, extent = Folder(str(tmp_path)), Extent(("matched",), scenes=3, seeds=1, size=64, contexts=0)
    with pytest.raises(Stopped):
        run_evaluation(["log-correlation"], extent, folder, StopsAfter(2))
    ledger = tmp_path / "ledger/evaluate.jsonl"
    done = ledger.read_text()
    assert len(done.splitlines()) == 2
    assert not (tmp_path / "evaluation.json").exists()
    run_evaluation(["log-correlation"], extent, folder, Silent())
    assert ledger.read_text().startswith(done)
    assert (tmp_path / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("log-corelation",), "unknown estimator 'log-corelation'; did you mean 'log-correlation'"),
        (("log-moments:raw",), "no mode 'raw'"),
        (("log-moments", "--sets", "shift-3"), "unknown set 'shift-3'; did you mean 'shift-"),
        (("log-moments", "--scenes", "0"), "--scenes and --seeds must be at least 1"),
        (("log-moments", "--size", "20"), "--size 20 is too small"),
        (("log-moments", "--contexts", "50"), "--contexts 50 can't be drawn"),
    ],
)
def test_what_can_not_be_evaluated_is_told_in_a_sentence(
    cohmap: Command, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    answer = cohmap("evaluate", *arguments, "--output", str(tmp_path / "out"))
    assert answer.code == 2
    assert answer.err.startswith("cohmap: ")
    assert answer.err.count("\n") == 1
    assert sentence in answer.err


def test_a_file_in_place_of_the_folder_is_told(cohmap: Command, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    answer = run(cohmap, tmp_path / "out")
    assert answer.code == 2
    assert "can't be written" in answer.err
