# The same names here and in CI. `make demo` and `make test` each work as the only command on a fresh clone.
# PYTHON=/path/to/python3.12 picks the interpreter; COVERAGE=1 makes `make test` measure and hold 80% coverage.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
# Some tests wait for servers and browsers: three workers keep two cores busy.
WORKERS ?= 3
UV ?= uv

# Workers run side by side, so each library gets one thread: two threads on two busy cores cost many times the CPU.
# Some machines forbid Python to keep what it compiled: hundreds of processes would each compile the whole program again.
PYTEST := OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
COVER := $(if $(COVERAGE),--cov --cov-report=term,)

.PHONY: demo test fmt lint types layers laws golden e2e bench docs smoke lock clean help

demo: .venv/.demo ## the main job on real data: installs what it needs, forecasts, proves, prints where the page is
	$(BIN)/foreproof demo forecast

test: .venv/.installed ## everything; COVERAGE=1 for the measured suite
	$(PYTEST) -n $(WORKERS) --dist worksteal $(COVER)

fmt: .venv/.installed ## format, and repair what can be repaired
	git ls-files -z '*.py' '*.md' '*.toml' '*.yaml' '*.yml' | xargs -0 $(BIN)/python tools/repair_text.py || true
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

lint: .venv/.installed ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed ## mypy --strict on src
	$(BIN)/mypy

layers: .venv/.installed ## the import contracts, and the sizes of files and functions
	$(BIN)/lint-imports
	$(PYTEST) tests/test_layers.py

laws: .venv/.installed ## the laws of time, up to 200 examples each
	HYPOTHESIS_PROFILE=ci $(PYTEST) -n $(WORKERS) --dist worksteal tests/laws

golden: .venv/.installed ## stored digests
	$(PYTEST) tests/golden

e2e: .venv/.installed ## the installed program through its command line
	$(PYTEST) tests/e2e

bench: .venv/.installed ## every benchmark, short; rows go to build/bench/*.json
	mkdir -p build/bench
	for file in benchmarks/[a-z]*.py; do \
	  $(BIN)/python "$$file" --quick --json "build/bench/$$(basename "$$file" .py).json"; \
	done

docs: .venv/.installed ## names, settings and commands have documentation; links resolve; examples run, unless RAN=1 says they did
	$(PYTEST) tests/test_docs.py $(if $(RAN),-k "not examples_run and not runnable",)

smoke: .venv/.installed ## a shipped two-column CSV through everything, every artefact checked
	$(BIN)/foreproof demo smoke

lock: ## resolve again (needs uv): one set of versions for Python 3.11-3.13, with hashes
	$(UV) pip compile --quiet --upgrade $(LOCK) --all-extras -o requirements/dev.txt pyproject.toml
	$(UV) pip compile --quiet --upgrade $(LOCK) --no-annotate --extra demo --group build \
	  -c requirements/dev.txt -o requirements/demo.txt pyproject.toml

# Extras stay written (coverage[toml]): pip, which takes hashes alone here, else looks for the newest release of such a name.
LOCK := --universal --no-strip-extras --python-version 3.11 --fork-strategy fewest --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header

.venv/.demo: requirements/demo.txt pyproject.toml
	@tools/setup.sh demo

.venv/.installed: requirements/dev.txt pyproject.toml
	@tools/setup.sh dev

clean: ## remove what was built here, the environment too
	rm -rf .venv build dist htmlcov .coverage .coverage.* .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find src tests benchmarks examples tools -type d -name __pycache__ -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile
