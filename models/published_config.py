"""What the authors' config.yaml says about the network's input, as far as it can be understood.

Its keys were never seen here. So what is looked for is what such files call a dB range, the eps of the logarithm and
the patches of inference, at any depth; the rest is passed over and named, and the whole text is kept with the weights.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.decibels import DecibelRange
from models.errors import ModelError
from models.tiling import PATCH, STRIDE

MAX_BYTES = 1 << 20
MAX_KEYS = 10_000

Words = frozenset[str]

_DECIBELS = {"db", "decibel", "decibels", "clip", "clipping", "sigma0", "backscatter"}
_LOW, _HIGH = {"min", "minimum", "low", "lower"}, {"max", "maximum", "high", "upper"}
# Ranges of gradients and labels, and the epsilon of BatchNorm and Adam, go by the same names.
_OTHER_THINGS = {"grad", "gradient", "gradients", "target", "label", "coherence", "optimizer", "adam"}
_OTHER_THINGS |= {"bn", "norm", "batch", "batchnorm"}


@dataclass(frozen=True)
class PublishedConfig:
    """What a config.yaml says.

    Attributes
    ----------
    scale
        Input range.
    patch, stride
        Of the published inference, in pixels.
    text
        The whole file.
    notes
        Sentences for the user: what was not found and is assumed, what was not understood.
    """

    scale: DecibelRange
    patch: int
    stride: int
    text: str
    notes: tuple[str, ...]


def read_config(path: str | Path) -> PublishedConfig:
    """Read a config.yaml leniently.

    Raises
    ------
    ModelError
        PyYAML is missing, the file can't be read, is no YAML mapping, is too large, or contradicts itself.
    """
    text = _text(Path(path))
    try:
        leaves = list(itertools.islice(_leaves(_parsed(text), ()), MAX_KEYS + 1))
        return _understood(leaves, text, Path(path).name)
    except ModelError as error:
        raise ModelError(f"config {path}: {error}") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"config {path} is larger than 1 MiB; give the config.yaml published with the weights")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"config {path} can't be read: {error}") from None


def _parsed(text: str) -> dict[Any, Any]:
    try:
        import yaml
    except ImportError:
        raise ModelError("reading it needs PyYAML; `pip install 'cohmap[keras]'` brings it") from None
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        sentence = " ".join(str(error).split())
        raise ModelError(f"not valid YAML ({sentence}); download it again") from None
    if not isinstance(content, dict):
        raise ModelError("no table of settings; give the config.yaml published with the weights")
    return content


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting with the keys that lead to it; a list counts as one value.

    YAML lets a table stand inside itself, and many times over: depth is bounded here, and the caller takes only so
    many.
    """
    if isinstance(value, dict) and value and len(path) < 16:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    else:
        yield path, value


def _understood(leaves: list[tuple[tuple[str, ...], Any]], text: str, name: str) -> PublishedConfig:
    if len(leaves) > MAX_KEYS:
        raise ModelError(f"more than {MAX_KEYS} settings; give the config.yaml published with the weights")
    found: dict[str, dict[str, float]] = {}
    passed_over = []
    for path, value in leaves:
        key = ".".join(path)
        settings = _settings(path, value)
        for setting, number in settings.items():
            found.setdefault(setting, {})[key] = number
        if not settings:
            passed_over.append(key)
    chosen = {setting: _one(values) for setting, values in found.items()}
    usual = DecibelRange()
    scale = DecibelRange(chosen.get("low", usual.low), chosen.get("high", usual.high), chosen.get("eps", usual.eps))
    assumed = [
        text
        for settings, text in (
            ({"low", "high"}, f"a range of {scale.low:g} to {scale.high:g} dB"),
            ({"eps"}, f"{scale.eps:g} added before the logarithm"),
        )
        if not settings <= set(chosen)
    ]
    read = [f"{setting} {number:g} ({', '.join(found[setting])})" for setting, number in chosen.items()]
    notes = [f"read from {name}: {', '.join(read)}"] if read else []
    notes += [f"not said in {name} and assumed: {', '.join(assumed)}"] if assumed else []
    notes += [f"not understood in {name}, kept for the record: {_list(passed_over)}"] if passed_over else []
    patch, stride = round(chosen.get("patch", PATCH)), round(chosen.get("stride", STRIDE))
    return PublishedConfig(scale, patch, stride, text, tuple(notes))


def _list(keys: list[str]) -> str:
    more = f" and {len(keys) - 20} more" if len(keys) > 20 else ""
    return ", ".join(keys[:20]) + more


def _one(values: dict[str, float]) -> float:
    """The one number of a setting; of several, that for VV, which the network was trained on."""
    if len(set(values.values())) > 1:
        values = {key: number for key, number in values.items() if "vv" in _words(key)} or values
    if len(set(values.values())) > 1:
        given = ", ".join(f"{key} = {number:g}" for key, number in values.items())
        raise ModelError(f"it gives several values for one thing ({given}); keep one of them")
    return next(iter(values.values()))


def _settings(path: tuple[str, ...], value: Any) -> dict[str, float]:
    """What a setting says, by our names: low, high, eps, patch, stride; nothing where it isn't understood."""
    words, last = _words(".".join(path)), _words(path[-1] if path else "")
    numbers = _numbers(value)
    if words & _OTHER_THINGS or not numbers:
        return {}
    if len(set(numbers)) > 1:
        # a range of power or of scaled values doesn't begin below zero; one in dB does
        is_range = bool(words & _DECIBELS) and len(numbers) == 2 and numbers[0] < 0
        return {"low": numbers[0], "high": numbers[1]} if is_range else {}
    setting = _single(words, last)
    return {setting: numbers[0]} if setting else {}


def _single(words: Words, last: Words) -> str:
    """Which setting of one number the key is; empty where it is none of ours."""
    setting = ""
    if words & _DECIBELS and last & _LOW:
        setting = "low"
    elif words & _DECIBELS and last & _HIGH:
        setting = "high"
    elif last & {"eps", "epsilon"} and not words & {"model", "network", "architecture"}:
        setting = "eps"
    elif "stride" in last:
        setting = "stride"
    elif words & {"patch", "tile"} and last & {"size", "patch", "tile"}:
        setting = "patch"
    return setting


def _words(key: str) -> Words:
    """``logClip_dB`` -> log, clip, db."""
    return frozenset(word.lower() for word in re.findall(r"dB|[A-Z]?[a-z]+\d*|[A-Z]+(?![a-z])\d*|\d+", key))


def _numbers(value: Any) -> list[float]:
    """The numbers of a value; none where it holds anything else. YAML 1.1 takes 1e-6 for text, so text may be one."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(number, bool) for number in values):
        return []
    try:
        numbers = [float(number) for number in values]
    except (TypeError, ValueError, OverflowError):
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []
