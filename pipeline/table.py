"""What every table of the region file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of the region file: unknown keys are refused, nothing is coerced in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
