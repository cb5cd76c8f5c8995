"""Where things live: imports run one way, and no file grows past what one reads at a sitting."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
STAGES = {"plan", "export", "register", "infer", "mosaic", "change", "catalog", "report", "job", "cli"}
LONGEST_FILE = 400


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(path): path for top in ("pipeline", "models") for path in sorted((ROOT / top).rglob("*.py"))}


def imports(module: str) -> set[str]:
    """The project's own modules that a module imports, at its top or later."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` imports the module, `from module import name` its home
            found |= {f"{node.module}.{name.name}" for name in node.names} & set(FILES) or {node.module}
    return found & set(FILES) - {module}


def test_imports_never_run_in_a_circle() -> None:
    order = list(TopologicalSorter({module: imports(module) for module in FILES}).static_order())
    assert set(order) == set(FILES)


def test_models_know_nothing_of_the_pipeline() -> None:
    assert not [(m, i) for m in FILES if m.startswith("models") for i in imports(m) if i.startswith("pipeline")]


def test_sources_know_nothing_of_the_stages() -> None:
    stages = {f"pipeline.{stage}" for stage in STAGES}
    assert not [(m, i) for m in FILES if m.startswith("pipeline.sources") for i in imports(m) & stages]


def test_no_stage_imports_the_command_line() -> None:
    assert not [module for module in FILES if "pipeline.cli" in imports(module)]


def test_files_stay_short() -> None:
    long = {path: lines for path in ROOT.glob("*/**/*.py") if (lines := path.read_text().count("\n")) > LONGEST_FILE}
    assert not {path.relative_to(ROOT): lines for path, lines in long.items() if ".venv" not in path.parts}
