"""Training: one flat loop. Every step follows from the settings and its number, so a stopped run goes on exactly."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.coherence.device import bf16_is_fast, resolve_device
from models.errors import ModelError
from models.train import checkpoint
from models.train.batch import draw_batch
from models.train.config import TrainConfig
from models.train.loss import regression_loss
from models.train.networks import build, predict
from models.train.supply import Supply, kept_aside
from models.train.validate import Validation, validate

HISTORY = "history.jsonl"


@dataclass(frozen=True)
class Moment:
    """How far a run has got.

    Attributes
    ----------
    done, total
        Steps.
    loss
        Running mean of the loss.
    validation
        Where there is a new one.
    """

    done: int
    total: int
    loss: float = math.nan
    validation: Validation | None = None


def train(config: TrainConfig, output: Path, *, device: str = "auto") -> Iterator[Moment]:
    """Train, from the last checkpoint where there is one; the averaged weights are in the last checkpoint.

    Parameters
    ----------
    output
        Folder of the pool (unless `config.pool.folder` names another), checkpoint and history.

    Yields
    ------
    Moment
        After every tenth step and every validation.

    Raises
    ------
    ModelError
        There are no examples or they are too small, the checkpoint can't be gone on from, or the loss isn't finite.
    """
    torch.manual_seed(config.seed)
    where = resolve_device(device)
    network = build(config.network).to(where)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=config.decay)
    by = checkpoint.fingerprint(config.model_dump_json())
    resumed = checkpoint.load(output, network, optimizer, by)
    begin, average = resumed or (0, {name: value.clone() for name, value in network.state_dict().items()})
    running, seconds = _forget_after(output / HISTORY, begin), time.process_time()
    unseen = kept_aside(config, output)
    precision: AbstractContextManager[object] = (
        torch.autocast(where.type, torch.bfloat16) if bf16_is_fast(where) else nullcontext()
    )

    with Supply(config, output) as supply:
        size = supply.at(begin).size
        if size < config.side:
            raise ModelError(f"side = {config.side} is not usable: the pool's examples have {size} pixels")
        for step in range(begin, config.steps):
            rng = np.random.default_rng([config.seed, step, 2])
            batch = draw_batch(supply.at(step), rng, config.batch, config.side).to(where)
            for group in optimizer.param_groups:
                group["lr"] = rate_at(config, step)
            with precision:
                coherence, log_variance = predict(network, *batch.shown)
            loss = regression_loss(coherence, log_variance, batch.coherence)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            _blend(average, network, min(config.average, (step + 1) / (step + 10)))

            done, now = step + 1, loss.item()
            if not math.isfinite(now):
                raise ModelError(f"the loss of step {done} is {now}; lower `rate`, or mend the pool's examples")
            running = now if math.isnan(running) else 0.98 * running + 0.02 * now
            if done % config.validate_every == 0 or done == config.steps:
                found = validate(_with(average, config, where), unseen, config.validation_scenes, where)
                spent, seconds = time.process_time() - seconds, time.process_time()
                _append(output / HISTORY, done, running, rate_at(config, step), spent, found)
                checkpoint.save(output, done, network, average, optimizer, by)
                yield Moment(done, config.steps, running, found)
            elif done % 10 == 0:
                yield Moment(done, config.steps, running)


def rate_at(config: TrainConfig, step: int) -> float:
    """Learning rate: a linear rise, then half a cosine down to nothing."""
    rise = min(1.0, (step + 1) / max(1, config.warm_up))
    return config.rate * rise * 0.5 * (1.0 + math.cos(math.pi * step / config.steps))


def _blend(average: checkpoint.Tensors, network: nn.Module, share: float) -> None:
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1.0 - share)
            else:
                average[name].copy_(value)


def _with(state: checkpoint.Tensors, config: TrainConfig, device: torch.device) -> nn.Module:
    network = build(config.network).to(device)
    network.load_state_dict(state)
    return network.eval()


def _append(path: Path, step: int, loss: float, rate: float, seconds: float, found: Validation) -> None:
    # the loss in full, so that a resumed run goes on from it
    line = {"step": step, "loss": loss, "rate": rate, "cpu_seconds": round(seconds, 1), **found.as_dict()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _forget_after(path: Path, step: int) -> float:
    """Drop lines beyond the checkpoint, whose steps will be done again, or half written; the loss where it stood."""
    if not path.exists():
        return math.nan
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            kept.append(json.loads(line))
    kept = [line for line in kept if line["step"] <= step]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    return float(kept[-1]["loss"]) if kept else math.nan
