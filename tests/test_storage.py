"""What has its final name is whole, on disk and on object storage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import lines
from pipeline.errors import CohmapError
from pipeline.ledger import Ledger, checksum, digest
from pipeline.lines import UNSORTED
from pipeline.storage import Folder, lock


@pytest.fixture(params=["disk", "object storage"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(str(tmp_path)) if request.param == "disk" else Folder(f"memory://bucket-{tmp_path.name}")


def test_what_is_written_is_read(folder: Folder) -> None:
    folder.write_json("a/b.json", {"n": [1, 2]})
    assert folder.exists("a/b.json")
    assert folder.read_json("a/b.json") == {"n": [1, 2]}


def test_removing_is_quiet(folder: Folder) -> None:
    folder.write_bytes("x", b"1")
    folder.remove("x")
    folder.remove("x")
    assert not folder.exists("x")


def test_a_staged_file_appears_only_when_its_block_ends(folder: Folder) -> None:
    with folder.staged("map.tif") as temporary:
        temporary.write_bytes(b"whole")
        assert not folder.exists("map.tif")
    assert folder.read_bytes("map.tif") == b"whole"


def test_a_failed_write_leaves_the_old_file(folder: Folder) -> None:
    folder.write_bytes("map.tif", b"old")
    with pytest.raises(RuntimeError), folder.staged("map.tif") as temporary:  # noqa: PT012 - the block is the subject
        temporary.write_bytes(b"ha")
        raise RuntimeError
    assert folder.read_bytes("map.tif") == b"old"


def test_leftovers_of_a_kill_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".map.tif.0123.partial").write_bytes(b"ha")
    (tmp_path / "map.tif").write_bytes(b"whole")
    assert Folder(str(tmp_path)).sweep() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]


def test_an_output_that_is_a_file_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CohmapError, match="can't be written"):
        Folder(str(tmp_path / "file")).require_writable()


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(CohmapError, match="floppy"):
        Folder("floppy://a").require_writable()


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with lock(folder), pytest.raises(CohmapError, match="another cohmap is at work"), lock(folder):
        pass


def test_a_damaged_json_file_is_named(folder: Folder) -> None:
    folder.write_bytes("x.json", b"{")
    with pytest.raises(CohmapError, match=r"x\.json is damaged"):
        folder.read_json("x.json")


def test_the_ledger_remembers_over_runs(folder: Folder) -> None:
    with Ledger(folder, "export") as ledger:
        ledger.record("a", "made-of-1", "sum", valid=0.5)
    again = Ledger(folder, "export")
    assert again.matches("a", "made-of-1")
    assert not again.matches("a", "made-of-2")
    assert not again.matches("b", "made-of-1")
    assert again.get("a") == {"key": "a", "fingerprint": "made-of-1", "checksum": "sum", "valid": 0.5}


def test_the_last_record_of_a_unit_counts(folder: Folder) -> None:
    with Ledger(folder, "export") as ledger:
        ledger.record("a", "1", "x")
        ledger.record("a", "2", "y")
    assert Ledger(folder, "export").checksum("a") == "y"


def test_a_torn_last_line_is_forgotten_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with Ledger(folder, "export") as ledger:
        ledger.record("a", "1", "x")
    path = tmp_path / "ledger/export.jsonl"
    path.write_bytes(path.read_bytes() + b'{"key": "b", "finge')
    with Ledger(folder, "export") as ledger:
        assert not ledger.matches("b", "1")
        ledger.record("c", "1", "z")
    assert len(Ledger(folder, "export")) == 2
    assert Ledger(folder, "export").matches("c", "1")


def test_a_ledger_finds_each_of_many_units_while_it_grows_and_when_it_is_opened_again(folder: Folder) -> None:
    keys = [f"tile-{number}" for number in range(UNSORTED + 300)]
    written = [json.dumps({"key": key, "fingerprint": "1", "checksum": f"of {key}"}) for key in keys]
    folder.write_bytes("ledger/infer.jsonl", "\n".join(written).encode())
    with Ledger(folder, "infer") as ledger:
        for key in keys[::400]:
            ledger.record(key, "2", f"new of {key}")
        for opened in (ledger, Ledger(folder, "infer")) if folder.local else (ledger,):
            assert opened.checksum(keys[1]) == f"of {keys[1]}"
            assert opened.checksum(keys[-1]) == f"of {keys[-1]}"
            assert opened.checksum("no tile") == ""
            assert all(opened.matches(key, "2") for key in keys[::400])
    again = Ledger(folder, "infer")
    assert sorted(record["key"] for record in again) == sorted(keys)
    assert {record["key"] for record in again if record["fingerprint"] == "2"} == set(keys[::400])


def test_units_whose_keys_share_a_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "hash", lambda _: 7, raising=False)
    with Ledger(Folder(str(tmp_path)), "infer") as ledger:
        for number, key in enumerate("abcab"):
            ledger.record(key, str(number), "sum")
    for opened in (ledger, Ledger(Folder(str(tmp_path)), "infer")):
        assert [opened.matches(key, wanted) for key, wanted in (("a", "3"), ("b", "4"), ("c", "2"))] == [True] * 3
        assert {record["key"]: record["fingerprint"] for record in opened} == {"a": "3", "b": "4", "c": "2"}


def test_a_line_that_is_damaged_while_the_ledger_is_open_counts_as_not_done(tmp_path: Path) -> None:
    with Ledger(Folder(str(tmp_path)), "infer") as ledger:
        ledger.record("a", "1", "sum")
    path = tmp_path / "ledger/infer.jsonl"
    path.write_bytes(b"#" * path.stat().st_size)
    assert ledger.checksum("a") == ""


def test_digests_tell_inputs_apart() -> None:
    assert digest("a", [1, 2]) == digest("a", [1, 2])
    assert digest("a", [1, 2]) != digest("a", [2, 1])


def test_checksums_tell_values_apart() -> None:
    import numpy as np

    ones = np.ones((2, 2), np.float32)
    assert checksum(ones) == checksum(ones.copy())
    assert checksum(ones) != checksum(ones * 2)
