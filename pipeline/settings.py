"""A region's settings written out in full, defaults included, in the language of the region file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def as_toml(tables: Mapping[str, Any]) -> str:
    """Settings as TOML text: plain keys first, then one table each; what is None is left out."""
    lines = [f"{key} = {_value(value)}" for key, value in tables.items() if not isinstance(value, Mapping)]
    for name, table in tables.items():
        if isinstance(table, Mapping) and table:
            lines += [
                "",
                f"[{name}]",
                *(f"{key} = {_value(value)}" for key, value in table.items() if value is not None),
            ]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {_value(entry)}" for key, entry in value.items() if entry is not None)
        return f"{{ {inside} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    # JSON's strings, numbers and booleans are TOML's too
    return json.dumps(value, ensure_ascii=False)
