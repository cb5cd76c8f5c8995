"""The region file's table [coverage]."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field, model_validator

from models.orbit import sentinel1
from pipeline.table import Table


class Scenario(Table):
    """Hypothetical satellites on one circular orbit that repeats; they follow each other on the same ground track."""

    name: str = Field(min_length=1, description="shown in table and figures; each one's own")
    satellites: int = Field(1, ge=1, le=64, description="how many")
    phases: tuple[float, ...] = Field((), description="days by which each is behind the first; evenly spread if empty")
    repeat_days: int = Field(sentinel1.DAYS, ge=1, le=60, description="days after which the ground track repeats")
    orbits: int | None = Field(None, ge=10, description="revolutions in that time; 175 for 12 days if left out")
    altitude: float | None = Field(None, gt=0, description="km; instead of orbits, takes the nearest that repeats")
    inclination: float | None = Field(None, gt=0, lt=180, description="degrees; sun-synchronous if left out")
    node_longitude: float = Field(
        sentinel1.NODE_LONGITUDE, ge=-180, le=360, description="of the first orbit's ascending node, degrees east"
    )
    near_incidence: float = Field(sentinel1.NEAR, gt=0, lt=80, description="degrees, at the swath's near edge")
    far_incidence: float | None = Field(None, gt=0, lt=80, description="degrees; 45.6 (Sentinel-1 IW) if left out")
    swath_width: float | None = Field(None, gt=0, le=2000, description="km on the ground; instead of far_incidence")
    look: Literal["right", "left"] = Field("right", description="side of the flight that is seen")
    direction: Literal["both", "ascending", "descending"] = Field("both", description="halves of the orbit that image")

    @model_validator(mode="after")
    def _complete(self) -> Scenario:
        where = f"scenario {self.name!r}"
        if self.phases and len(self.phases) != self.satellites:
            raise ValueError(f"{where} has {self.satellites} satellites and {len(self.phases)} phases; give one each")
        if any(not 0 <= phase < self.repeat_days for phase in self.phases):
            raise ValueError(f"{where}: phases are days from 0 to below repeat_days = {self.repeat_days}")
        if self.orbits is not None and self.altitude is not None:
            raise ValueError(f"{where}: give orbits or altitude, not both; one follows from the other")
        if self.orbits is None and self.altitude is None and self.repeat_days != sentinel1.DAYS:
            raise ValueError(f"{where}: repeat_days = {self.repeat_days} needs orbits or altitude beside it")
        if self.far_incidence is not None and self.swath_width is not None:
            raise ValueError(f"{where}: give far_incidence or swath_width, not both")
        if self.swath_width is None and self.near_incidence >= (self.far_incidence or sentinel1.FAR):
            raise ValueError(
                f"{where}: near_incidence must lie below far_incidence, {self.far_incidence or sentinel1.FAR:g}"
            )
        return self


class LandClass(Table):
    """A kind of land with its decay of coherence."""

    name: str = Field(min_length=1, description="shown in table and figures")
    values: tuple[int, ...] = Field((), description="its values in the raster of classes, if there is one")
    tau: float = Field(gt=0, description="decay time in days")
    rho_inf: float = Field(ge=0, le=1, description="coherence that lasts")


class Decay(Table):
    """How coherence falls with time: gamma(t) = (1 - rho_inf) exp(-t / tau) + rho_inf."""

    tau: float | str = Field(description="days, or a raster of them, such as `cohmap season` writes")
    rho_inf: float | str = Field(description="coherence that lasts, or a raster of it")
    raster: str | None = Field(None, description="of land classes; ground of no listed class has tau and rho_inf")
    classes: tuple[LandClass, ...] = Field(
        (), description="kinds of land, by their values in that raster; without one, all land is taken for each in turn"
    )

    @model_validator(mode="after")
    def _sane(self) -> Decay:
        if isinstance(self.tau, float | int) and self.tau <= 0:
            raise ValueError(f"tau = {self.tau:g} must be above 0 days")
        if isinstance(self.rho_inf, float | int) and not 0 <= self.rho_inf <= 1:
            raise ValueError(f"rho_inf = {self.rho_inf:g} must lie between 0 and 1")
        if self.raster is not None and not self.classes:
            raise ValueError("raster goes with [[coverage.decay.classes]], which say what its values mean")
        if self.raster is not None and any(not one.values for one in self.classes):
            raise ValueError("classes need values = [...], their values in the raster")
        if self.raster is None and any(one.values for one in self.classes):
            raise ValueError("values of classes need raster = 'FILE', where they occur")
        values = [value for one in self.classes for value in one.values]
        if len(set(values)) < len(values):
            raise ValueError("a value of the raster belongs to one class only")
        return self


def _sentinel1_scenarios() -> tuple[Scenario, ...]:
    return (
        Scenario(name="1 satellite, 12 days"),
        Scenario(name="2 satellites, 6 days", satellites=2),
        Scenario(name="3 satellites, 4 days", satellites=3),
    )


class Coverage(Table):
    """What the passes cover, those that were and those of hypothetical satellites."""

    spacing: float | None = Field(
        None, gt=0, description="of the maps in metres; the region's, but no finer than 100, if left out"
    )
    start: dt.date | None = Field(None, description="first day; that of [passes] if left out")
    end: dt.date | None = Field(None, description="last day, included; that of [passes], else a year, if left out")
    listing: bool = Field(True, description="study the passes that the source has, or those of footprints")
    footprints: str | None = Field(
        None, description="CSV or GeoJSON of acquisitions, such as ASF Search saves; instead of asking the source"
    )
    scenarios: tuple[Scenario, ...] = Field(
        _sentinel1_scenarios(), description="hypothetical satellites; one, two and three Sentinel-1 if left out"
    )
    baselines: tuple[int, ...] = Field(
        (4, 6, 8, 12, 18, 24, 36, 48), min_length=1, description="days between paired passes"
    )
    decay: Decay = Decay(tau=20.0, rho_inf=0.2)
    threshold: float = Field(0.3, gt=0, lt=1, description="coherence worth having; the table says how much land has it")
    looks: float = Field(20.0, ge=1, le=10000, description="independent looks of an interferogram")
    wavelength: float = Field(round(sentinel1.WAVELENGTH, 6), gt=0, description="of the radar in metres")
    atmosphere: float = Field(0.0, ge=0, description="mm that the troposphere adds to each pass, for velocities")
    land: str | None = Field(
        None, description="GeoJSON, or raster that is above 0 on land; the whole area counts as land if left out"
    )

    @model_validator(mode="after")
    def _sane(self) -> Coverage:
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"the time span is empty: end {self.end} lies before start {self.start}")
        if any(days < 1 for days in self.baselines) or len(set(self.baselines)) < len(self.baselines):
            raise ValueError(f"baselines are whole days from 1 up, each once, not {list(self.baselines)}")
        names = [scenario.name for scenario in self.scenarios]
        if len(set(names)) < len(names):
            raise ValueError("two scenarios have the same name")
        return self
