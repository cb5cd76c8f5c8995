"""The training file's schema."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from models.errors import ModelError

Levels = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=6)]


class Table(BaseModel):
    """Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PoolSettings(Table):
    """What is trained on: simulated scenes, or a folder of examples."""

    folder: str | None = Field(
        None, description="folder with shard-*.npy, or what `cohmap labels` made; left out, scenes are simulated"
    )
    validation: Literal["simulated", "folder"] = Field(
        "simulated", description="what is kept aside: simulated scenes, or the places in `folder`/validation"
    )
    shards: int = Field(100, ge=1, description="simulated shards")
    first: int = Field(24, ge=1, description="shards to begin with; the others are simulated while training runs")
    examples_per_shard: int = Field(48, ge=1)
    size: int = Field(256, ge=64, multiple_of=16, description="side of a simulated scene in pixels")

    @model_validator(mode="after")
    def _aside_is_somewhere(self) -> Self:
        if self.validation == "folder" and self.folder is None:
            raise ValueError('pool.validation = "folder" needs pool.folder: name what `cohmap labels` made')
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Without `validation` where it is what it always was: a run goes on only with the settings it began with."""
        settings: dict[str, object] = handler(self)
        if self.validation == "simulated":
            settings.pop("validation")
        return settings


class NetworkSettings(Table):
    """Size of the network."""

    kind: Literal["speckle-unet", "resunet"] = Field(
        "speckle-unet", description="ours, or the published layout trained on the same examples"
    )
    channels: Levels = (64, 96, 128)
    encoder: Levels = (1, 1, 2)
    decoder: Levels = (1, 1)

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        levels = len(self.channels)
        if len(self.encoder) != levels or len(self.decoder) != levels - 1:
            raise ValueError(
                f"network.channels = {list(self.channels)} has {levels} levels, so encoder needs {levels} numbers and "
                f"decoder {levels - 1}, not {list(self.encoder)} and {list(self.decoder)}"
            )
        return self


class TrainConfig(Table):
    """Everything a training run follows from."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = Field(1, ge=0)
    steps: int = Field(ge=1)
    batch: int = Field(8, ge=1)
    side: int = Field(128, ge=32, multiple_of=16, description="side of a piece in pixels")
    rate: float = Field(3e-3, gt=0, description="greatest learning rate; it falls as a cosine")
    warm_up: int = Field(200, ge=0, description="steps over which the rate rises")
    decay: float = Field(1e-4, ge=0, description="weight decay")
    average: float = Field(0.998, ge=0, lt=1, description="decay of the moving average of the weights (EMA)")
    validation_scenes: int = Field(32, ge=1)
    validate_every: int = Field(1000, ge=1, description="steps; a checkpoint is written then too")
    pool: PoolSettings = PoolSettings()
    network: NetworkSettings = NetworkSettings()

    @model_validator(mode="after")
    def _pieces_fit(self) -> Self:
        from models.coherence.network import Layout  # loads PyTorch

        lattice = Layout(self.network.channels).lattice
        for key, value in (("side", self.side), ("pool.size", self.pool.size)):
            if value % lattice:
                raise ValueError(
                    f"{key} = {value} is not usable: a network of {len(self.network.channels)} levels takes multiples "
                    f"of {lattice} pixels"
                )
        if self.pool.folder is None and self.side > self.pool.size:
            raise ValueError(f"side = {self.side} is not usable: scenes have pool.size = {self.pool.size} pixels")
        return self


def read_config(path: Path) -> TrainConfig:
    """Read a training file.

    Raises
    ------
    ModelError
        It isn't there, isn't TOML, or says something that training doesn't know.
    """
    try:
        return TrainConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelError(f"there is no training file {path}; recipes/ of the package `models` has some") from None
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise ModelError(f"{path}: {_sentence(error)}") from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key, message = ".".join(str(part) for part in first["loc"]), first["msg"]
    if first["type"] == "extra_forbidden":
        return f"unknown key '{key}' = {first['input']!r}; take it out"
    if first["type"] == "missing":
        return f"key '{key}' is missing; add it"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    return f"'{key}' = {first['input']!r} is not usable: {message[:1].lower()}{message[1:]}"
