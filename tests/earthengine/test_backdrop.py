"""Earth Engine under the map, through the real client and geemap: what is asked for, and what is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from pipeline.config import parse
from pipeline.errors import CohmapError
from pipeline.map.backdrop import earth_engine_map, has_credentials
from pipeline.map.viewer import can_use_earth_engine
from pipeline.region import Region
from tests.earthengine.conftest import HERE, StandIn
from tests.earthengine.scenes import START, image
from tests.fakes import make_region

VIEW = {"center": (35.24, -117.0), "zoom": 12}

# geemap's own libraries are not ours to keep free of warnings
pytestmark = pytest.mark.filterwarnings("default")


def region_on(standin: StandIn) -> Region:
    source = {"kind": "earthengine", "url": standin.server.url, "project": standin.world.project}
    area = {"bbox": list(HERE.bounds)}
    return Region(parse({"name": "here", "area": area, "source": source}, where="test"), HERE)


@pytest.fixture
def signed_in(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    pytest.importorskip("geemap")
    monkeypatch.setenv("COHMAP_EE_TOKEN", standin.world.token)
    return standin


def test_the_image_of_the_date_lies_over_the_base_map(signed_in: StandIn) -> None:
    signed_in.world.add([image("A"), image("B", start=START + dt.timedelta(days=12))])
    shown = earth_engine_map(region_on(signed_in), None, START.date(), START.date(), VIEW)
    base, radar = shown.layers
    assert base.base
    assert radar.name == f"Sentinel-1 VV (dB), {START.date()}"
    assert radar.url.startswith(f"{signed_in.server.url}/v1/projects/{signed_in.world.project}/maps/")
    (request,) = signed_in.world.requests("maps")
    asked = str(request.body["expression"])
    assert "S1_GRD_FLOAT/A" in asked
    assert "S1_GRD_FLOAT/B" not in asked


def test_a_date_without_an_image_is_refused_but_not_the_last_one(signed_in: StandIn) -> None:
    region, day = region_on(signed_in), dt.date(2019, 1, 1)
    with pytest.raises(CohmapError, match="took no image of here in VV on 2019-01-01"):
        earth_engine_map(region, None, day, day, VIEW)
    assert len(earth_engine_map(region, None, None, day, VIEW).layers) == 1


def test_earth_engine_is_used_by_itself_only_where_it_is_the_source_and_one_is_signed_in(
    standin: StandIn, away_from_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del away_from_home
    region = region_on(standin)
    assert not can_use_earth_engine(region)
    monkeypatch.setenv("COHMAP_EE_TOKEN", standin.world.token)
    assert has_credentials(region)
    assert can_use_earth_engine(region)
    assert not can_use_earth_engine(make_region())
