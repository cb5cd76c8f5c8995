"""`cohmap labels` as a whole: examples, their manifest and picture; stopped, gone on with, refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from models.slc.coherence import FloatArray
from models.slc.labels import BOXCAR, ComplexArray, Measure, boxcar
from models.train.pool import Pool
from pipeline.console import Terminal
from pipeline.errors import Stopped
from pipeline.labels.run import run_labels
from pipeline.labels.settings import LabelSettings
from pipeline.slc.stack import SlcStack, open_stack
from tests import slc_files as files
from tests.conftest import Command

SHAPE = (120, 260)
STACK = files.images(SHAPE)
QUIET = Terminal(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.write_geotiffs(tmp_path_factory.mktemp("stack"), STACK)


@pytest.fixture
def stack(folder: Path) -> SlcStack:
    return open_stack([str(folder)], spacing=files.SPACING)


def content(output: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_examples_are_written_with_where_they_come_from(cohmap: Command, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    answer = cohmap("labels", str(folder), "--output", str(output), "--spacing", "13.9", "3.5", "--contexts", "1")
    assert answer.code == 0, answer.err
    assert 'validation = "folder" below [pool]' in answer.out
    manifest = json.loads((output / "manifest.json").read_text())
    assert [pair["days"] for pair in manifest["pairs"]] == [12, 24, 12]
    assert all(pair["turns"] < 0.3 for pair in manifest["pairs"])
    assert manifest["label"]["window"] == [5, 19]
    assert manifest["label"]["looks"] == pytest.approx(95, rel=0.06)
    assert len(manifest["files"]) == 3
    assert all(len(file["sha256"]) == 64 for file in manifest["files"])
    blocks = {block["number"]: block for block in manifest["split"]["blocks"]}
    for part in ("training", "validation"):
        pool = Pool(output / part)
        assert len(pool) == manifest["examples"][part]["examples"]
        assert pool.size == manifest["images"]["size"] == 48
        for number in range(len(pool)):
            arrays, dates, spacing = pool[number]
            origin = pool.origin(number)
            assert origin is not None
            assert blocks[origin.block]["part"] == part
            assert (dates, spacing) == (1, 10.0)
            assert origin.looks == manifest["label"]["looks"]
            days = list(STACK)
            row, col = int(origin.line), int(origin.sample)
            pair = [day for day in days if day.isoformat() in {origin.reference, origin.secondary}]
            for layer, day in zip(arrays[:2], pair, strict=True):
                power = np.abs(STACK[day][row : row + 48, col : col + 48]) ** 2
                np.testing.assert_allclose(layer, np.log(power), atol=0.02)
            (third,) = (day for day in days if day not in pair)
            power = np.abs(STACK[third][row : row + 48, col : col + 48]) ** 2
            np.testing.assert_allclose(arrays[2], np.log(power), atol=0.02)
            assert not arrays[3].any()
    assert (output / "labels.png").read_bytes().startswith(b"\x89PNG")
    assert not list(output.rglob("*.partial"))


def test_their_truth_is_the_coherence_that_was_simulated(stack: SlcStack, tmp_path: Path) -> None:
    run_labels(stack, LabelSettings(max_days=12), tmp_path, QUIET)
    left: list[FloatArray] = []
    right: list[FloatArray] = []
    for part in ("training", "validation"):
        pool = Pool(tmp_path / part)
        for number in range(len(pool)):
            truth, origin = pool[number][0][4].astype(np.float32), pool.origin(number)
            assert origin is not None
            (left if origin.sample + pool.size < SHAPE[1] // 2 - 20 else right).append(truth[np.isfinite(truth)])
    assert float(np.concatenate(left).mean()) == pytest.approx(0.8, abs=0.02)
    assert float(np.median(np.concatenate(right))) < 0.15


@pytest.mark.parametrize("images", ["amplitude", "grd"])
def test_the_same_command_again_changes_nothing(cohmap: Command, folder: Path, tmp_path: Path, images: str) -> None:
    command = ("labels", str(folder), "--output", str(tmp_path), "--spacing", "13.9", "3.5", "--images", images)
    assert cohmap(*command, "--quiet").code == 0
    before = content(tmp_path)
    assert cohmap(*command, "--quiet").code == 0
    assert content(tmp_path) == before


def test_a_stopped_run_goes_on_where_it_was(stack: SlcStack, tmp_path: Path) -> None:
    settings = LabelSettings()
    run_labels(stack, settings, tmp_path / "whole", QUIET, measure=BOXCAR)
    calls = 0

    def interrupting(first: ComplexArray, second: ComplexArray, window: tuple[int, int], looks: float) -> FloatArray:
        nonlocal calls
        calls += 1
        if calls == 8:  # in the third block of four, three pairs each
            raise KeyboardInterrupt
        return boxcar(first, second, window, looks)

    interrupted = replace(BOXCAR, coherence=interrupting)
    output = tmp_path / "stopped"
    with pytest.raises(Stopped):
        run_labels(stack, settings, output, QUIET, measure=interrupted)
    assert not (output / "manifest.json").exists()
    run_labels(stack, settings, output, QUIET, measure=interrupted)
    assert calls == 8 + 6  # two blocks were done
    assert content(output) == content(tmp_path / "whole")


@pytest.mark.parametrize("changed", [("--seed", "2"), ("--window", "5x21"), ("--max-days", "12"), ("--contexts", "0")])
def test_a_folder_of_other_labels_is_refused(
    cohmap: Command, folder: Path, stack: SlcStack, tmp_path: Path, changed: tuple[str, str]
) -> None:
    run_labels(stack, LabelSettings(), tmp_path, QUIET)
    before = content(tmp_path)
    answer = cohmap("labels", str(folder), "--output", str(tmp_path), "--spacing", "13.9", "3.5", *changed)
    assert answer.code == 2
    assert "holds labels made from other files or settings; name another --output, or delete it" in answer.err
    assert content(tmp_path) == before


def test_a_folder_that_trains_something_else_is_refused(cohmap: Command, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "validation").mkdir()
    answer = cohmap("labels", str(folder), "--output", str(tmp_path), "--spacing", "13.9", "3.5")
    assert answer.code == 2
    assert "holds examples that are not known to be labels" in answer.err


def test_an_estimator_that_looks_further_gets_more_around_its_block_and_a_wider_gap(
    stack: SlcStack, tmp_path: Path
) -> None:
    shapes = set()

    def looking(first: ComplexArray, second: ComplexArray, window: tuple[int, int], looks: float) -> FloatArray:
        shapes.add(first.shape)
        return boxcar(first, second, window, looks)

    far = Measure("far", (16, 8), looking)
    manifest = run_labels(stack, LabelSettings(max_days=12), tmp_path, QUIET, measure=far)
    assert manifest["label"]["estimator"] == "far"
    assert manifest["split"]["gap_samples"] == [5 + 32 + 2, 19 + 16 + 2]
    lines, samples = (manifest["split"]["blocks"][0][side] for side in ("lines", "samples"))
    assert (lines[1] + 2 + 1 + 16, samples[1] + 9 + 1 + 8) in shapes


def test_fringes_are_told_or_taken_out(cohmap: Command, tmp_path: Path) -> None:
    lines = np.arange(SHAPE[0])[:, np.newaxis]
    turned = {
        day: (image * np.exp(2j * np.pi * 0.1 * number * lines)).astype(np.complex64)
        for number, (day, image) in enumerate(STACK.items())
    }
    source = files.write_geotiffs(tmp_path / "in", turned)
    command = ("labels", str(source), "--spacing", "13.9", "3.5")
    answer = cohmap(*command, "--output", str(tmp_path / "boxcar"), "--coherence", "boxcar")
    assert answer.code == 0
    assert "the phase of 3 of 3 pairs turns by more than 0.25 within the window" in answer.out
    assert "remove flat-earth and topographic phase first" in answer.out
    answer = cohmap(*command, "--output", str(tmp_path / "two-scale"))
    assert answer.code == 0
    assert "phase" not in answer.out
    found = {name: np.nanmean(Pool(tmp_path / name / "training")[0][0][4]) for name in ("boxcar", "two-scale")}
    assert found["two-scale"] > found["boxcar"] + 0.2


def test_blocks_without_data_leave_no_example(cohmap: Command, tmp_path: Path) -> None:
    """Three of four blocks are empty, so one part must be."""
    empty = {day: image.copy() for day, image in STACK.items()}
    for image in empty.values():
        image[58:] = 0.0
        image[:, 125:] = 0.0
    source = files.write_geotiffs(tmp_path / "in", empty)
    answer = cohmap("labels", str(source), "--output", str(tmp_path / "out"), "--spacing", "13.9", "3.5")
    assert answer.code == 2
    assert "no example for validation in" in answer.err
    assert not (tmp_path / "out/manifest.json").exists()


def test_a_stack_without_data_is_told(cohmap: Command, tmp_path: Path) -> None:
    source = files.write_geotiffs(tmp_path / "in", {day: np.zeros_like(image) for day, image in STACK.items()})
    answer = cohmap("labels", str(source), "--output", str(tmp_path / "out"), "--spacing", "13.9", "3.5")
    assert answer.code == 2
    assert "have no data in any of 4 places; check the files" in answer.err


@pytest.mark.parametrize("changed", [{"size": 64}, {"size": 96}])
def test_examples_larger_than_their_blocks_are_filled_up(
    stack: SlcStack, tmp_path: Path, changed: dict[str, Any]
) -> None:
    run_labels(stack, LabelSettings(**changed), tmp_path, QUIET)
    pool = Pool(tmp_path / "training")
    arrays, _, _ = pool[0]
    assert pool.size == changed["size"]
    assert np.isnan(arrays[[0, 1, 4], 60:]).all()
    assert not arrays[2:4, 60:].any()


def test_large_files_are_told_by_their_size_and_age(
    stack: SlcStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.labels.manifest.HASHED", 1000)
    manifest = run_labels(stack, LabelSettings(max_days=12), tmp_path, QUIET)
    assert {"path", "bytes", "changed_ns"} == set(manifest["files"][0])


def test_stacks_are_read_by_windows(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0
    real = rasterio.io.DatasetReader.read

    def measured(self: Any, *places: Any, **named: Any) -> Any:
        nonlocal most
        found = real(self, *places, **named)
        most = max(most, found.size)
        return found

    monkeypatch.setattr("pipeline.slc.geotiff.rasterio.io.DatasetReader.read", measured, raising=False)
    opened = open_stack([str(folder)], spacing=files.SPACING)
    run_labels(opened, LabelSettings(block=400.0), tmp_path, QUIET)
    assert 0 < most < 0.4 * SHAPE[0] * SHAPE[1]
