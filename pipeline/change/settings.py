"""The region file's [change] table."""

from __future__ import annotations

import datetime as dt

from pydantic import Field, model_validator

from pipeline.table import Table


class Change(Table):
    """Where the ground changed: across an event, or, with a period taken as normal, pass by pass after it."""

    event: dt.date | None = Field(None, description="first day on which the event can have been seen")
    baseline_period: tuple[dt.date, dt.date] | None = Field(
        None, description="first and last day of the period whose pairs are normal; each later pass is tested"
    )
    false_alarm_rate: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="share of unchanged pixels that one test may flag, before small areas are dropped",
    )
    false_discovery_rate: float = Field(
        0.05, gt=0, lt=1, description="share of the flagged pixels that may be false, of the mask's band `discovery`"
    )
    minimum_hectares: float = Field(0.25, ge=0, description="smaller areas are dropped from masks and polygons")
    intensity: bool = Field(True, description="combine the loss of coherence with the change of backscatter")

    @model_validator(mode="after")
    def _one_of_two(self) -> Change:
        if (self.event is None) == (self.baseline_period is None):
            raise ValueError("give exactly one of event = DATE and baseline_period = [FIRST, LAST]")
        if self.baseline_period and self.baseline_period[1] <= self.baseline_period[0]:
            raise ValueError("baseline_period ends before it begins")
        return self
