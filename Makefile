# What there is to do: make (without a target) prints it.
.DEFAULT_GOAL := help
.PHONY: help demo test lab soak bench clean setup
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export WORKBOOK_SANDBOX ?= $(CURDIR)/.sandbox
# Where Python may not keep what it has compiled, each of a run's many processes compiles SQLAlchemy and more again: two seconds.
unexport PYTHONDONTWRITEBYTECODE

help:            ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):[^#]*## */  make \1\t/' | expand -t 16

# The dependencies stand in pyproject.toml alone; uv installs them in seconds and is itself had from PyPI.
$(VENV)/ready: pyproject.toml
	@echo "Setting up $(VENV) (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/python -m uv pip install --python $(BIN)/python --editable '.[all]'
	@touch $@

setup: $(VENV)/ready  ## the virtual environment alone

demo: $(VENV)/ready   ## the whole migration of the sample shop on local stand-ins, then reports/index.html
	@.ci/demo

test: $(VENV)/ready   ## every test, on real servers
	@.ci/test

lab: $(VENV)/ready    ## the sandbox up and JupyterLab open on the notebooks, ready to run by hand
	@.ci/lab

soak: $(VENV)/ready   ## the long proofs (random kills, rows and tables); MINUTES=30 by default
	@MINUTES=$${MINUTES:-30} $(BIN)/pytest -m soak $(PYTEST)

bench: $(VENV)/ready  ## what others use and ours side by side: ratios, reports/bench.json, reports/bench.html
	@cd tests && ../$(BIN)/python -m bench $(BENCH)

clean:           ## stop the sandbox; remove what was made, but for the reports
	@if test -x $(BIN)/workbook; then $(BIN)/workbook sandbox down; fi
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find lib tests notebooks -name __pycache__ -type d -prune -exec rm -rf {} +
