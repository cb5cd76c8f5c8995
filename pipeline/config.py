"""The region file's schema: strict, with errors that name the key, the value and the mend."""

from __future__ import annotations

import datetime as dt
import difflib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from models import registry
from pipeline.change.settings import Change
from pipeline.coverage.settings import Coverage
from pipeline.errors import CohmapError
from pipeline.season.settings import Season
from pipeline.table import Table

# Far more than any region needs; what is larger is something else, or meant to fill the memory.
MOST_BYTES = 2**20

Polarisation = Literal["VV", "VH", "HH", "HV"]
Resampling = Literal["nearest", "bilinear", "cubic"]
Radiometry = Literal["sigma0", "gamma0", "terrain-volume", "terrain-surface"]

# A bucket's name as Cloud Storage allows it; folders in it, without empty names.
BUCKET = r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$"
PREFIX = r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"


class Area(Table):
    """Where: a bounding box in degrees, or a GeoJSON file beside the region file."""

    bbox: tuple[float, float, float, float] | None = Field(
        None, description="west, south, east, north in degrees (EPSG:4326)"
    )
    geojson: str | None = Field(
        None, description="path of a GeoJSON polygon or feature (collection), relative to the region file"
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Area:
        if (self.bbox is None) == (self.geojson is None):
            raise ValueError("give exactly one of bbox = [west, south, east, north] and geojson = 'FILE'")
        return self


class GridSettings(Table):
    """The one fixed pixel grid of the region."""

    crs: str = Field("auto", description="auto (UTM zone of the area's centre) or a projected CRS such as EPSG:32611")
    spacing: float = Field(10.0, gt=0, description="pixel spacing in units of the CRS (metres)")
    tile: int = Field(512, ge=64, le=8192, multiple_of=16, description="tile size in pixels")
    anchor: tuple[float, float] = Field(
        (0.0, 0.0), description="a pixel corner (x, y) the grid must pass through, to nest with given rasters"
    )


class SimulatedSource(Table):
    """The embedded default: a simulated landscape that knows its true coherence."""

    kind: Literal["simulated"]
    seed: int = Field(1, ge=0, description="everything in the scene follows from it")
    passes: int = Field(12, ge=1, le=200, description="number of passes")
    interval_days: int = Field(12, ge=1, le=60, description="days between passes")
    event_after_pass: int = Field(
        6, ge=0, description="the event happens between this pass and the next (counted from 1); 0 = no event"
    )


class ArchiveSource(Table):
    """Rasters on disk or object storage, found by file name or by STAC."""

    kind: Literal["archive"]
    path: str = Field(description="folder or URI (s3://, gs://, https://); a STAC file where layout = 'stac'")
    layout: Literal["opera-rtc", "hyp3-rtc", "pattern", "stac"] = Field(
        description="how files are named: opera-rtc, hyp3-rtc, your own pattern, or STAC items"
    )
    pattern: str | None = Field(
        None,
        description="layout = 'pattern': regular expression on the path below `path`, with named groups date and "
        "polarisation, and optionally time, platform, slice, relative_orbit, direction",
    )
    units: Literal["linear", "db", "amplitude"] | None = Field(
        None, description="linear power, dB or amplitude; needed for 'pattern' and 'stac', known for the others"
    )
    nodata: float | None = Field(
        None, allow_inf_nan=True, description="extra nodata value, besides NaN and what the files declare"
    )
    platform: str | None = Field(None, description="e.g. S1A, where file names don't tell")
    relative_orbit: int | None = Field(None, ge=1, le=175, description="track, where file names don't tell")
    direction: Literal["ascending", "descending"] | None = Field(None, description="where file names don't tell")
    resampling: Resampling = Field("nearest", description="used only where a raster's grid differs from the region's")


class EarthEngineSource(Table):
    """Sentinel-1 GRD on Google Earth Engine."""

    kind: Literal["earthengine"]
    project: str | None = Field(None, description="Google Cloud project (or --project, or the client's stored one)")
    collection: str = Field("COPERNICUS/S1_GRD_FLOAT", description="image collection in linear power")
    service_account_key: str | None = Field(None, description="path of a service account's JSON key")
    url: str | None = Field(
        None, description="API address; the high-volume endpoint by default, the standard one for tasks"
    )
    resampling: Resampling = Field("nearest", description="Earth Engine's resampling onto the region's grid")
    requests: int = Field(16, ge=1, le=40, description="requests under way at once")
    radiometry: Radiometry = Field(
        "sigma0",
        description="sigma0 as delivered; gamma0 by the angle band; or gamma0 with the slope's share taken out, by the "
        "volume or the surface model",
    )
    dem: str | None = Field(
        None,
        description="elevation model for the slope: a COPERNICUS/DEM/GLO30 collection (the default), or an image such "
        "as USGS/SRTMGL1_003",
    )
    border_noise: bool = Field(
        False, description="mask the noisy borders of images from before March 2018 (processor before 2.90)"
    )
    mode: Literal["interactive", "batch"] = Field(
        "interactive",
        description="interactive: pixels come in answers to requests; batch: Earth Engine's tasks write files to a "
        "Cloud Storage bucket, and they are read from there",
    )
    bucket: str | None = Field(
        None, pattern=BUCKET, description="mode = 'batch': name of the Cloud Storage bucket, without gs://"
    )
    prefix: str | None = Field(
        None, pattern=PREFIX, description="mode = 'batch': folder in the bucket; cohmap/NAME where left out"
    )
    mount: str | None = Field(
        None, description="mode = 'batch': folder where the bucket is mounted; read as gs://BUCKET where left out"
    )
    queued: int = Field(
        2000, ge=1, le=3000, description="mode = 'batch': tasks in the project's queue, above which none is added"
    )
    shard: int = Field(
        4096, ge=256, le=16384, multiple_of=256, description="mode = 'batch': side of the files, in pixels"
    )

    @model_validator(mode="after")
    def _bucket_for_batch(self) -> EarthEngineSource:
        if self.mode == "batch":
            if self.bucket is None:
                raise ValueError(
                    "mode = 'batch' needs bucket, the name of a Cloud Storage bucket that Earth Engine may write to"
                )
            return self
        given = sorted({"bucket", "prefix", "mount", "queued", "shard"} & self.model_fields_set)
        if given:
            raise ValueError(f"{given[0]} goes with mode = 'batch', and only with it")
        return self

    @model_validator(mode="after")
    def _dem_for_slopes(self) -> EarthEngineSource:
        if self.dem is not None and not self.radiometry.startswith("terrain-"):
            raise ValueError("dem goes with radiometry = 'terrain-volume' or 'terrain-surface', and only with them")
        return self


SourceSettings = Annotated[SimulatedSource | ArchiveSource | EarthEngineSource, Field(discriminator="kind")]


class Passes(Table):
    """Which passes of the satellite."""

    start: dt.date | None = Field(None, description="first day; every pass the source has where left out")
    end: dt.date | None = Field(None, description="last day, included")
    polarisations: tuple[Polarisation, ...] = Field(("VV",), min_length=1, description="bands to export and estimate")
    direction: Literal["auto", "ascending", "descending"] = Field("auto", description="auto = both, kept apart")
    relative_orbit: Literal["auto"] | int | tuple[int, ...] = Field(
        "auto", description="auto = every track, kept apart; or one number, or a list"
    )
    angle: bool = Field(False, description="also export the incidence angle, where the source has it")

    @model_validator(mode="after")
    def _ordered(self) -> Passes:
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"the time span is empty: end {self.end} lies before start {self.start}")
        if len(set(self.polarisations)) < len(self.polarisations):
            raise ValueError(f"polarisations names a band twice: {list(self.polarisations)}")
        return self


class Pairs(Table):
    """Which passes make a pair; only passes of one track are paired."""

    mode: Literal["chain", "all", "baselines"] = Field(
        "chain", description="chain: each pass with the next; all: up to max_days; baselines: the listed ones"
    )
    baselines: tuple[int, ...] = Field((), description="temporal baselines in days, for mode = 'baselines'")
    max_days: int | None = Field(None, ge=1, description="longest baseline in days, for 'all' and 'chain'")

    @model_validator(mode="after")
    def _complete(self) -> Pairs:
        if (self.mode == "baselines") != bool(self.baselines):
            raise ValueError("baselines = [days, ...] goes with mode = 'baselines', and only with it")
        if any(days < 1 for days in self.baselines):
            raise ValueError(f"baselines are whole days from 1 up, not {list(self.baselines)}")
        if self.mode == "all" and self.max_days is None:
            raise ValueError("mode = 'all' needs max_days, the longest baseline in days")
        if self.mode == "baselines" and self.max_days is not None:
            raise ValueError("max_days goes with mode = 'chain' or 'all'; with 'baselines' the list says it all")
        return self


class EstimatorSettings(Table):
    """What turns two detected images into coherence."""

    name: str = Field(registry.DEFAULT, description="one of `cohmap estimators`")
    window: int | None = Field(None, ge=3, le=101, description="window in pixels (odd), for the classical ones")
    mode: Literal["raw", "inverted", "calibrated"] | None = Field(
        None, description="raw statistic, bias-inverted, or calibrated by simulation (the default)"
    )
    context: int | None = Field(
        None,
        ge=0,
        description="further dates shown to the estimator beside each pair, the nearest in time; as many as it makes "
        "use of where left out, 0 for none",
    )
    coregister: bool = Field(True, description="estimate and remove one global shift per pair")
    runtime: Literal["auto", "torch", "onnxruntime", "openvino", "ncnn", "onnxruntime-int8", "torch-bf16"] = Field(
        "auto",
        description="what computes a network's convolutions; auto: the best that is installed, PyTorch on a GPU",
    )


class Point(Table):
    """A place whose time series the report shows."""

    name: str
    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)


class Products(Table):
    """What is written at the end."""

    pairs: bool = Field(True, description="one COG a pair: coherence and sigma")
    mean: bool = Field(True, description="temporal mean, median and count, per track and over tracks")
    clip: bool = Field(False, description="set pixels outside the area to no data")
    points: tuple[Point, ...] = Field((), description="places whose time series the report shows")


class Output(Table):
    """Where results go."""

    uri: str | None = Field(None, description="folder or URI; out/NAME where left out; --output overrides it")


class RegionConfig(Table):
    """One region: an area of interest with its settings."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="lower-case letters, digits and dashes")
    title: str = Field("", description="shown in the report")
    area: Area
    grid: GridSettings = GridSettings()
    source: SourceSettings
    passes: Passes = Passes()
    pairs: Pairs = Pairs()
    estimator: EstimatorSettings = EstimatorSettings()
    change: Change | None = None
    season: Season = Season()
    coverage: Coverage = Coverage()
    products: Products = Products()
    output: Output = Output()


def load(path: Path) -> RegionConfig:
    """Read and check one region file.

    Raises
    ------
    CohmapError
        The file is missing, isn't TOML, or breaks the schema; names the key, the value and the mend.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CohmapError(f"region file {path} is larger than 1 MiB; a region is a few lines, give its file")
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise CohmapError(f"no region file at {path}; `cohmap regions` lists those there are") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CohmapError(f"region file {path} can't be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise CohmapError(f"region file {path} is not valid TOML: {error}") from None
    except RecursionError:
        raise CohmapError(f"region file {path} is nested too deeply; a region has tables of keys, no more") from None
    return parse(data, where=str(path))


def parse(data: dict[str, Any], where: str) -> RegionConfig:
    """Check a region's settings; `where` names their origin in errors."""
    try:
        # by way of JSON, whose arrays and dates are what a strict check takes for tuples and dates
        return RegionConfig.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        raise CohmapError(f"{where}: {_sentence(error)}") from None
    except RecursionError:
        raise CohmapError(f"{where} is nested too deeply; a region has tables of keys, no more") from None


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    parts = _parts(first["loc"])
    same = [other for other in error.errors() if _parts(other["loc"]) == parts]  # one for each kind of value allowed
    key = ".".join(parts)
    kind, value = first["type"], first.get("input")
    if kind == "extra_forbidden":
        known = _known_keys(tuple(first["loc"][:-1]))
        close = difflib.get_close_matches(parts[-1], known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(sorted(known))}"
        text = f"unknown key '{key}'; {hint}"
    elif kind == "missing":
        text = f"key '{key}' is missing; add it"
    elif kind == "value_error":
        text = (f"[{key}] " if key else "") + str(first.get("ctx", {}).get("error", first["msg"]))
    elif kind in {"union_tag_invalid", "union_tag_not_found"}:
        text = "source.kind must be one of 'simulated', 'archive', 'earthengine'"
    else:
        reasons = [f"{other['msg'][:1].lower()}{other['msg'][1:]}" for other in same]
        text = f"'{key}' = {value!r} is not usable: {' or '.join(reasons)}"
    more = error.error_count() - len(same)
    return text + (f" (and {more} more)" if more else "")


def _parts(location: tuple[int | str, ...]) -> list[str]:
    # pydantic puts a union's tags and types among the keys; the file's reader doesn't know them
    tags = {"simulated", "archive", "earthengine", "int"}
    return [str(part) for part in location if part not in tags and not str(part).startswith(("literal[", "tuple["))]


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    model: Any = RegionConfig
    for part in location:
        if part in {"simulated", "archive", "earthengine"}:
            model = {"simulated": SimulatedSource, "archive": ArchiveSource, "earthengine": EarthEngineSource}[
                str(part)
            ]
            continue
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            continue
        candidates = [field.annotation, *get_args(field.annotation)]
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if models:
            model = models[0]
    return list(getattr(model, "model_fields", {}))
