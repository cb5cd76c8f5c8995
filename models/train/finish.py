"""From the last checkpoint to weights that an estimator can use, and the card that says what they are."""

from __future__ import annotations

import datetime as dt
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from models.coherence.device import resolve_device
from models.coherence.network import Weights
from models.evaluate.scores import BINS
from models.train import checkpoint
from models.train.config import TrainConfig
from models.train.loop import HISTORY
from models.train.networks import build, layout
from models.train.supply import kept_aside
from models.train.validate import Validation, validate

NAME = "{name}.safetensors"
CARD = "{name}.md"


def finish(config: TrainConfig, output: Path, *, version: str) -> Path:
    """Store the averaged weights of a finished run with the scale of their sigma, and write their card.

    Returns
    -------
    Path
        The weights; the card lies beside them.
    """
    where = resolve_device("cpu")
    network = build(config.network)
    optimizer = torch.optim.AdamW(network.parameters())
    resumed = checkpoint.load(output, network, optimizer, checkpoint.fingerprint(config.model_dump_json()))
    assert resumed is not None  # noqa: S101 - the loop ends with a checkpoint
    step, average = resumed
    network.load_state_dict(average)
    found = validate(network.eval(), kept_aside(config, output), config.validation_scenes, where)
    card = describe(config, output, found, step, version)
    scale = round(found.sigma_scale, 4)
    weights = Weights(layout(config.network), average, card, scale, config.network.kind)
    path = output / NAME.format(name=config.name)
    weights.save(path)
    (output / CARD.format(name=config.name)).write_text(as_text(card), encoding="utf-8")
    return path


def describe(config: TrainConfig, output: Path, found: Validation, step: int, version: str) -> dict[str, Any]:
    """The card, for the weights' own metadata."""
    lines = [json.loads(line) for line in (output / HISTORY).read_text(encoding="utf-8").splitlines()]
    return {
        "name": config.name,
        "made": dt.datetime.now(dt.UTC).date().isoformat(),
        "cohmap": version,
        "torch": torch.__version__.split("+")[0],
        "settings": config.model_dump(mode="json"),
        "steps": step,
        "cpu_hours": round(sum(line["cpu_seconds"] for line in lines) / 3600.0, 2),
        "threads": torch.get_num_threads(),
        "validation": found.as_dict(),
    }


def as_text(card: dict[str, Any]) -> str:
    """The card for people, Markdown."""
    validation, settings = card["validation"], card["settings"]
    simulated = settings["pool"]["folder"] is None
    examples = settings["pool"]["shards"] * settings["pool"]["examples_per_shard"]
    bins = " | ".join(f"{low:g}-{high:g}" for low, high in pairwise(BINS))
    rows = " | ".join(f"{value:.3f}" for value in validation["rmse_by_bin"])
    size = settings["pool"]["size"]
    trained_on = (
        f"{examples} simulated scenes of {size} x {size} pixels (`models.train.examples`, seed {settings['seed']}): "
        "GRD at 10 m, area-averaged products at 20 and 30 m, other looks; textures, baselines, noise, misregistration "
        "and further dates drawn at random; coherence tied to cover in half of them only. No real image was trained on."
        " Power is sigma0: brightness doesn't enter the network, only texture, to which a correction by terrain adds."
        if simulated
        else f"the examples in `{settings['pool']['folder']}`."
    )
    on_places = settings["pool"].get("validation") == "folder"
    aside = (
        f"places kept aside in `{settings['pool']['folder']}`; truth is complex pairs' coherence, an estimate too"
        if on_places
        else "simulated scenes kept aside; simulated truth"
    )
    truth = "simulated" if simulated else "an estimate from complex pairs, averaged over a window"
    return f"""# {card["name"]}

Coherence and its standard deviation from two detected images, and further dates of the stack where there are any.

- Trained on {trained_on}
- Made on {card["made"]} with cohmap {card["cohmap"]}, torch {card["torch"]}: {card["steps"]} steps of
  {settings["batch"]} pieces of {settings["side"]} x {settings["side"]} pixels, {card["cpu_hours"]} CPU-hours.
- Command: `cohmap train {card["name"]}`; the same settings and seed give the same weights on the same kind of machine.

Validation ({aside}): RMSE {validation["rmse"]:.3f}, bias
{validation["bias"]:+.3f}; before scaling, {validation["inside_68"]:.0%} of the errors lie within one sigma and
{validation["inside_90"]:.0%} within 1.645; sigma is scaled by {validation["sigma_scale"]:.3f}.

| true coherence | {bins} |
|---|{"---|" * (len(BINS) - 1)}
| RMSE | {rows} |

Limits: truth in training is {truth}; low coherence is overestimated, high coherence underestimated, as any estimate
drawn to the mean; misregistration beyond one pixel must be removed before (the pipeline does); not for images that
were speckle-filtered, averaged over dates or resampled more than once.
"""
