# `make demo` and `make test` work from a bare checkout: the virtual environment is made on first use.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
# Servers that `make servers` fetched; what is installed already goes first.
export PATH := $(PATH):$(CURDIR)/.servers
READY := $(VENV)/.ready

.PHONY: help test lint format demo compare servers clean

help: ## what can be made
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(READY): pyproject.toml
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once)..."
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

test: $(READY) ## run the tests
	$(PY) -m pytest

lint: $(READY) ## ruff and mypy, as CI runs them
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(READY) ## let ruff format and fix
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench-%: $(READY) ## bench-codemod, bench-agent, bench-shim, bench-metrics, bench-adapters: print ratios
	$(PY) -m benchmarks.$*

servers: ## fetch servers for the tests from Debian, without root, into .servers
	tests/servers/install .servers

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist .servers
