# Two commands do everything: `make demo` and `make test`. The others are for developers; `make bench` takes hours, and
# continues where it was stopped.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench docs clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/cohmap run demo

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

bench: $(VENV)/.installed
	$(BIN)/python -m tests.benchmarks.coherence
	$(BIN)/python -m tests.benchmarks.layout_floor
	$(BIN)/python -m tests.benchmarks.averaging
	$(BIN)/python -m tests.benchmarks.registration
	$(BIN)/python -m tests.benchmarks.amsterdam
	$(BIN)/python -m tests.benchmarks.demo_region --pairs 2
	$(BIN)/python -m tests.benchmarks.season
	$(BIN)/python -m tests.benchmarks.change
	$(BIN)/python -m tests.benchmarks.coverage
	$(BIN)/python -m tests.benchmarks.runtime
	$(BIN)/python -m tests.benchmarks.rounding
	$(BIN)/python -m tests.benchmarks.infer_stage --passes 4 --rounds 2
	$(BIN)/python -m tests.benchmarks.published_tiling
	$(BIN)/python -m tests.benchmarks.shares
	$(BIN)/python -m tests.benchmarks.memory
	$(BIN)/python -m tests.benchmarks.scale
	$(BIN)/python -m tests.benchmarks.chaos
	$(BIN)/python -m tests.benchmarks.ee_throughput
	$(BIN)/python -m tests.benchmarks.ee_kills
	$(BIN)/python -m tests.benchmarks.ee_faults

docs: $(VENV)/.installed
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) out .mypy_cache .pytest_cache .ruff_cache
