"""The map before a run: outlines of the planned passes, in a file for any GIS and in the browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shapely.geometry import shape

from pipeline.errors import CohmapError
from pipeline.footprints import FOOTPRINTS
from pipeline.map.before import build_before
from pipeline.region import open_region
from pipeline.storage import Folder
from tests.conftest import Command

# the widgets' own libraries are not ours to keep free of warnings
with_extra = pytest.mark.filterwarnings("default")


@pytest.fixture
def planned(cohmap: Command, tmp_path: Path) -> Folder:
    assert cohmap("plan", "demo", "--json", "--output", str(tmp_path)).code == 0
    return Folder(str(tmp_path))


def test_a_plan_writes_the_outline_of_every_pass(planned: Folder) -> None:
    features = planned.read_json(FOOTPRINTS)["features"]
    assert len(features) == 12
    assert all(shape(feature["geometry"]).intersects(open_region("demo").area) for feature in features)
    ends = [feature["properties"]["pairs"] for feature in features]
    assert sum(ends) == 2 * sum(len(track["pairs"]) for track in planned.read_json("plan.json")["tracks"])
    first = features[0]["properties"]
    assert (first["track"], first["direction"], first["slices"]) == ("ascending-015", "ascending", 1)
    assert first["start"] < features[1]["properties"]["start"]


def test_without_a_plan_there_is_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match="run `cohmap plan` first"):
        build_before("demo", str(tmp_path))


@with_extra
def test_passes_lie_over_the_area_and_a_click_tells_which_one(planned: Folder) -> None:
    pytest.importorskip("ipyleaflet")
    shown: Any = build_before("demo", planned)
    assert [layer.name for layer in shown.layers] == ["ascending-015: 12 passes", "4 tiles", "outline of demo"]
    note, told = shown.controls[-1].widget.children
    assert "<td>passes</td><td align='right'>12</td>" in note.value
    passes = shown.layers[0]
    (click,) = passes._click_callbacks.callbacks
    click(properties=passes.data["features"][2]["properties"], id=0)
    assert told.value.endswith("slices 1, pairs 5")


@with_extra
def test_the_command_plans_and_writes_a_notebook(cohmap: Command, tmp_path: Path) -> None:
    pytest.importorskip("ipyleaflet")
    answer = cohmap("map", "demo", "--before", "--no-open", "--output", str(tmp_path))
    assert answer.code == 0, answer.err
    (cell,) = json.loads((tmp_path / "before.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    exec("".join(cell["source"]).replace("\nbuild_before", "\nshown = build_before"), names)  # noqa: S102 - ours
    assert type(names["shown"]).__name__ == "Map"
