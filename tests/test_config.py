"""The region file: strict, and its errors name the key, the value and the mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load, parse
from pipeline.errors import CohmapError
from pipeline.region import SHIPPED

GOOD: dict[str, Any] = {"name": "here", "area": {"bbox": [11, 48, 11.1, 48.1]}, "source": {"kind": "simulated"}}


def test_the_smallest_region_file_is_complete() -> None:
    config = parse(GOOD, "here.toml")
    assert config.grid.spacing == 10.0
    assert config.passes.polarisations == ("VV",)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_region_is_valid(path: Path) -> None:
    assert load(path).name == path.stem


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"nam": "x"}, "unknown key 'nam'; did you mean 'name'?"),
        ({"grid": {"spacin": 3}}, "unknown key 'grid.spacin'; did you mean 'spacing'?"),
        ({"grid": {"spacing": "ten"}}, "'grid.spacing' = 'ten' is not usable"),
        ({"grid": {"tile": 100}}, "'grid.tile' = 100 is not usable"),
        ({"name": "Not Good"}, "'name' = 'Not Good' is not usable"),
        ({"source": {"kind": "archive"}}, "key 'source.path' is missing"),
        ({"source": {"kind": "archive", "path": "x", "layout": "stac", "unit": "db"}}, "did you mean 'units'?"),
        ({"source": {"kind": "floppy"}}, "source.kind must be one of"),
        ({"source": {}}, "source.kind must be one of"),
        ({"area": {}}, "exactly one of bbox"),
        ({"passes": {"start": "2020-02-01", "end": "2020-01-01"}}, "the time span is empty"),
        ({"passes": {"polarisations": ["VV", "VV"]}}, "names a band twice"),
        ({"pairs": {"mode": "all"}}, "needs max_days"),
        ({"pairs": {"baselines": [12]}}, "goes with mode = 'baselines'"),
        ({"grid": {"spacing": "10"}}, "'grid.spacing' = '10' is not usable"),
        (
            {"grid": {"anchor": [float("nan"), 0]}},
            "'grid.anchor.0' = nan is not usable",
        ),
        ({"area": {"bbox": [float("-inf"), 48, 11, 49]}}, "input should be a finite number"),
        ({"passes": {"polarisations": ["VX"]}}, "input should be 'VV', 'VH', 'HH' or 'HV'"),
        (
            {"passes": {"relative_orbit": "15"}},
            "'passes.relative_orbit' = '15' is not usable: input should be 'auto' or input should be a valid integer",
        ),
        ({"change": {}}, "exactly one of event"),
        ({"change": {"event": "2020-01-01", "false_alarm_rate": 2}}, "'change.false_alarm_rate' = 2"),
    ],
)
def test_each_mistake_gets_its_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CohmapError) as caught:
        parse(GOOD | change, "here.toml")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("here.toml: ")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (SHIPPED / "demo.toml").read_bytes())
    assert load(path).name == "demo"


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("name = ")
    with pytest.raises(CohmapError, match="not valid TOML"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match="no region file at"):
        load(tmp_path / "none.toml")
