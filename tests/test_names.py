import datetime as dt
from typing import Any

import pytest

from pipeline import config
from pipeline.errors import CohmapError
from pipeline.sources.archive.names import Hyp3Rtc, Layout, OperaRtc, Pattern, layout
from pipeline.sources.archive.scenes import platform_code
from tests.archive_rasters import hyp3, opera


def settings(**given: Any) -> config.ArchiveSource:
    return config.ArchiveSource.model_validate({"kind": "archive", "path": "x", **given})


def at(*fields: int) -> dt.datetime:
    return dt.datetime(*fields, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]  # the zone is given by keyword only


def test_opera_names_tell_burst_time_and_track() -> None:
    named = OperaRtc().parse("2021-11-19/" + opera(polarisation="VH"))
    assert named is not None
    scene = named.scene
    assert named.polarisation == "VH"
    assert scene.id == "OPERA_L2_RTC-S1_T137-292320-IW2_20211119T015900Z_20250830T120333Z_S1A_30_v1.0"
    assert (scene.order, scene.platform, scene.relative_orbit) == ("T137-292320-IW2", "S1A", 137)
    assert scene.start == at(2021, 11, 19, 1, 59)
    assert (scene.version, scene.updated) == ("v1.0", "2025-08-30T12:03:33+00:00")
    assert scene.direction is None


@pytest.mark.parametrize("reader", [OperaRtc(), Hyp3Rtc()])
def test_the_example_in_messages_is_of_the_layout(reader: Layout) -> None:
    assert reader.parse(reader.example) is not None


@pytest.mark.parametrize(
    "name",
    [
        opera().replace("_VV.tif", "_mask.tif"),
        opera().replace("_VV.tif", "_VV.png"),
        "OPERA_L2_RTC-S1-STATIC_T137-292320-IW2_20140403_S1A_30_v1.0_local_incidence_angle.tif",
        "x" + opera(),
        hyp3(),
    ],
)
def test_other_files_are_no_opera_measurements(name: str) -> None:
    assert OperaRtc().parse(name) is None


def test_an_impossible_track_is_an_error() -> None:
    with pytest.raises(CohmapError, match=r"relative orbit '999' is no number from 1 to 175"):
        OperaRtc().parse(opera(burst="T999-292320-IW2"))


def test_hyp3_names_tell_time_and_platform_but_no_track() -> None:
    named = Hyp3Rtc().parse("folder/" + hyp3(platform="S1B"))
    assert named is not None
    assert named.scene.id == "S1B_IW_20230319T015900_DVP_RTC30_G_gpuned_1A2B"
    assert (named.scene.platform, named.scene.start) == ("S1B", at(2023, 3, 19, 1, 59))
    assert (named.scene.relative_orbit, named.scene.direction) == (None, None)
    assert named.scene.kind == "gamma0 at 30 m"


@pytest.mark.parametrize(("letters", "units"), [("gpuned", "linear"), ("gduned", "db"), ("sawncm", "amplitude")])
def test_hyp3_names_tell_the_units(letters: str, units: str) -> None:
    assert Hyp3Rtc().units("anywhere/" + hyp3(letters=letters)) == units


@pytest.mark.parametrize("suffix", ["_dem.tif", "_inc_map.tif", "_ls_map.tif", "_area.tif", "_rgb.tif"])
def test_hyp3_side_files_are_no_measurements(suffix: str) -> None:
    assert Hyp3Rtc().parse(hyp3().replace("_VV.tif", suffix)) is None


def test_a_speckle_filtered_product_is_refused() -> None:
    with pytest.raises(CohmapError, match=r"gpufed.*is speckle-filtered .* speckle is the signal"):
        Hyp3Rtc().parse(hyp3(letters="gpufed"))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (hyp3(orbit="P", number="0000"), hyp3(orbit="R", number="FFFF")),
        (hyp3(letters="gpuned", number="0000"), hyp3(letters="gpwned", number="FFFF")),
        (hyp3(letters="gpuned", number="0000"), hyp3(letters="gpuncd", number="FFFF")),
        (hyp3(letters="gpuned", number="0000"), hyp3(letters="gpunem", number="FFFF")),
        (hyp3(letters="gpuned", number="0000"), hyp3(letters="gduned", number="FFFF")),
        (hyp3(number="FFFF"), hyp3(number="0000")),
    ],
)
def test_of_two_products_of_a_scene_the_better_one_ranks_higher(better: str, worse: str) -> None:
    one, other = Hyp3Rtc().parse(better), Hyp3Rtc().parse(worse)
    assert one is not None
    assert other is not None
    assert one.scene.rank > other.scene.rank


@pytest.mark.parametrize(
    ("path", "start", "timed"),
    [
        ("20211119_VV.tif", at(2021, 11, 19), False),
        ("2021-11-19_VV.tif", at(2021, 11, 19), False),
        ("20211119T015858_VV.tif", at(2021, 11, 19, 1, 58, 58), True),
        ("2021-11-19T01:58:58.123Z_VV.tif", at(2021, 11, 19, 1, 58, 58), True),
        ("202111190158_VV.tif", at(2021, 11, 19, 1, 58), True),
    ],
)
def test_patterns_read_dates_in_common_notations(path: str, start: dt.datetime, timed: bool) -> None:  # noqa: FBT001
    named = Pattern(r"(?P<date>[^_]+)_(?P<polarisation>VV)", "linear").parse(path)
    assert named is not None
    assert (named.scene.start, named.scene.timed) == (start, timed)


def test_patterns_read_all_groups() -> None:
    pattern = Pattern(
        r"(?P<platform>\w+)/(?P<direction>[AD])(?P<relative_orbit>\d+)/(?P<date>\d{8})/(?P<time>\d{6})_"
        r"(?P<slice>\w+)_(?P<polarisation>\w\w)\.tif$",
        "db",
    )
    named = pattern.parse("sentinel1b/D064/20200105/051937_frame3_vh.tif")
    assert named is not None
    scene = named.scene
    assert (named.polarisation, scene.platform) == ("VH", "S1B")
    assert (scene.relative_orbit, scene.direction) == (64, "descending")
    assert (scene.start, scene.timed, scene.order) == (at(2020, 1, 5, 5, 19, 37), True, "frame3")
    assert scene.id == "sentinel1b/D064/20200105/051937_frame3_*.tif"
    assert pattern.units("whatever") == "db"


def test_without_a_slice_group_the_rest_of_the_path_orders_slices_alike_at_every_date() -> None:
    pattern = Pattern(r"S1_(?P<date>\d{8})_(?P<polarisation>VV|VH)", "linear")
    orders = set()
    for date in ("20211119", "20211125"):
        for polarisation in ("VV", "VH"):
            named = pattern.parse(f"S1_{date}_{polarisation}-0000000512.tif")
            assert named is not None
            orders.add(named.scene.order)
    assert orders == {"S1_*_*-0000000512.tif"}


def test_a_path_with_another_word_in_place_of_the_polarisation_is_passed_over() -> None:
    assert Pattern(r"(?P<date>\d{8})_(?P<polarisation>\w+)\.tif", "linear").parse("20211119_mask.tif") is None


@pytest.mark.parametrize(
    ("pattern", "path", "sentence"),
    [
        (r"(?P<date>\d+)_(?P<polarisation>VV)", "20211319_VV.tif", "'20211319' is no date"),
        (r"(?P<date>\d+)_(?P<polarisation>VV)", "2021_VV.tif", "'2021' is no date"),
        (r"(?P<date>\d+)_(?P<direction>\w)_(?P<polarisation>VV)", "20211119_N_VV.tif", "direction 'N' is neither"),
        (r"(?P<date>\d+)_(?P<relative_orbit>\w+)_(?P<polarisation>VV)", "20211119_T9_VV.tif", "relative orbit 'T9'"),
    ],
)
def test_a_matching_path_with_nonsense_in_it_is_an_error(pattern: str, path: str, sentence: str) -> None:
    with pytest.raises(CohmapError, match=sentence):
        Pattern(pattern, "linear").parse(path)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"layout": "pattern", "units": "db"}, "needs source.pattern"),
        ({"layout": "pattern", "units": "db", "pattern": "(?P<date>[)"}, "is not a regular expression"),
        ({"layout": "pattern", "units": "db", "pattern": r"(?P<date>\d+)_VV"}, "lacks the named group polarisation"),
        ({"layout": "pattern", "units": "db", "pattern": r"\d+_VV"}, "lacks the named group date and polarisation"),
        (
            {"layout": "pattern", "units": "db", "pattern": r"(?P<date>\d+)_(?P<polarisation>..)_(?P<orbit>\d+)"},
            "unknown named group orbit; known ones are date, polarisation, time",
        ),
        (
            {"layout": "pattern", "pattern": r"(?P<date>\d+)_(?P<polarisation>..)"},
            "needs source.units = 'linear', 'db'",
        ),
    ],
)
def test_a_pattern_that_cannot_work_is_refused_at_once(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(CohmapError, match=sentence):
        layout(settings(**given))


@pytest.mark.parametrize(
    ("name", "code"),
    [("sentinel-1a", "S1A"), ("SENTINEL-1B", "S1B"), ("Sentinel1C", "S1C"), ("s1a", "S1A"), ("RCM-1", "RCM-1")],
)
def test_platform_names_are_brought_to_one_form(name: str, code: str) -> None:
    assert platform_code(name) == code
