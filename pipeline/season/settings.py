"""The [season] table of the region file."""

from __future__ import annotations

import datetime as dt

from pydantic import Field, model_validator

from pipeline.table import Table


class SeasonRange(Table):
    """A season of your own, in place of the calendar's."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="lower-case letters, digits and dashes")
    first: dt.date = Field(description="first day; a pair belongs to the season that holds its middle day")
    last: dt.date = Field(description="last day, included")

    @model_validator(mode="after")
    def _ordered(self) -> SeasonRange:
        if self.last < self.first:
            raise ValueError(f"the season '{self.name}' is empty: last {self.last} lies before first {self.first}")
        return self


class Season(Table):
    """Coherence by season and baseline, and its decay: `cohmap season`."""

    baselines: tuple[int, ...] = Field(
        (6, 12, 18, 24, 36, 48), min_length=1, description="nominal temporal baselines in days"
    )
    tolerance: int = Field(2, ge=0, le=90, description="days by which a pair may miss its nominal baseline")
    ranges: tuple[SeasonRange, ...] = Field(
        (), description="your own seasons; DJF, MAM, JJA and SON of all years together where left out"
    )
    feather: float = Field(2000.0, ge=0, description="metres over which overlapping tracks are blended; 0 for none")
    unbias: bool = Field(
        True,
        description="compare readings with what the estimator reads on average on simulated scenes of known coherence, "
        "where false with coherence itself",
    )

    @model_validator(mode="after")
    def _distinct(self) -> Season:
        if any(days < 1 for days in self.baselines) or len(set(self.baselines)) < len(self.baselines):
            raise ValueError(f"baselines are different whole days from 1 up, not {list(self.baselines)}")
        names = [season.name for season in self.ranges]
        if len(set(names)) < len(names):
            raise ValueError(f"ranges name a season twice: {names}")
        return self
