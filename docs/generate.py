"""Write docs/region-file.md from the schema, so that the reference can't disagree with the code."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.config import RegionConfig

TARGET = Path(__file__).with_name("region-file.md")

HEAD = """# The region file

One TOML file is one region: an area of interest with its settings. It is strict: an unknown key is an error that
names the key and the nearest known one. Relative paths in it count from the file itself.
This page is generated from the schema (`make docs`); the smallest complete file is

```toml
name = "here"

[area]
bbox = [11.02, 47.98, 11.12, 48.05]

[source]
kind = "simulated"
```
"""


def reference() -> str:
    """The page's text."""
    sections = [HEAD, _table("(top level)", RegionConfig)]
    for name, info in RegionConfig.model_fields.items():
        for model in _models(info):
            sections.append(_table(_heading(name, model), model))
            for inner_name, inner in model.model_fields.items():
                sections += [_table(f"[[{name}.{inner_name}]]", nested) for nested in _models(inner)]
    return "\n".join(sections)


def _heading(name: str, model: type[BaseModel]) -> str:
    kind = model.model_fields.get("kind")
    return f"[{name}] with kind = {get_args(kind.annotation)[0]!r}" if kind else f"[{name}]"


def _models(info: FieldInfo) -> list[type[BaseModel]]:
    found = []
    for candidate in (info.annotation, *get_args(info.annotation)):
        for inner in (candidate, *get_args(candidate)):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner not in found:
                found.append(inner)
    return found


def _table(heading: str, model: type[BaseModel]) -> str:
    rows = [f"## {heading}", "", (model.__doc__ or "").strip(), ""]
    rows += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, info in model.model_fields.items():
        default = "required" if info.is_required() else _value(info.default)
        meaning = info.description or ("a table, see below" if _models(info) else "")
        rows.append(f"| `{name}` | {_type(info.annotation)} | {default} | {_escape(meaning)} |")
    return "\n".join(rows) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, BaseModel) or (isinstance(value, tuple) and value and isinstance(value[0], BaseModel)):
        return "its defaults"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`".replace("'", '"')
    return f"`{value!r}`".replace("'", '"')


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f'"{argument}"' for argument in arguments)
    if origin in {Union, types.UnionType}:
        return " or ".join(_type(a) for a in arguments if a is not type(None))
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return {"str": "text", "bool": "true or false", "float": "number", "int": "whole number"}.get(
        annotation.__name__, annotation.__name__
    )


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
    print(f"wrote {TARGET}")
