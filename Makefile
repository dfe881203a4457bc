# memstudy: everything runs from here. `make figures` and `make test` set up on their own.
#
#   make figures    train the quick study on real MNIST images, write tables and figures to runs/studies/quick
#   make results    every committed table and figure again, from the stored runs: studies/results
#   make test       lint, type-check, test (CPU, minutes)
#   make test-all   the slow tests too
#   make test-browser  the report page in Chromium: what it asks for, says, shows and copies, on disk and while runs train
#   make test-engines  studies on a real Slurm and a real Ray cluster, where these are installed
#   make test-latex every committed table, in every fit and width, by a real LaTeX
#   make test-trackers  what TensorBoard, MLflow and wandb read back
#   make test-reliability  kills, failing disks, damage and strangers' files, in the small size
#   make campaign     the same at length: some hours; python -m tests.reliability PART --long --save --continue goes on
#   make test-adapters  loops of Lightning, skorch and Hugging Face, beside memstudy's own
#   make docs       the documentation site: docs/_build/html; make docs-serve shows it on http://127.0.0.1:8000
#   make test-docs  builds it strictly, and looks up its links
#   make test-package  the package, built and installed in an environment of its own, runs a study there
#   make test-lowest   the tests with the oldest versions that pyproject.toml allows (an environment more)
#   make gpu        on a machine with a GPU: its tests, the benchmarks, the next minutes of the papers' studies

PYTHON ?= python3
VENV := .venv
LOWEST := .venv-lowest
# The interpreter that has memstudy's packages. Give another one (PY=python3) to use an environment of your own.
PY ?= $(VENV)/bin/python
MINUTES ?= 9
# Tests: one process a core, each file in one of them.
PARALLEL ?= -n auto --maxprocesses 8 --dist loadfile
# Markers of tests that have targets of their own.
APART := browser or gpu or engine or docs or package or adapters or reliability

ifeq ($(PY),$(VENV)/bin/python)
READY := $(VENV)/.installed
endif

.PHONY: help setup figures calibration results test test-all test-browser test-engines test-latex test-trackers test-adapters docs docs-serve test-docs test-package test-lowest test-reliability campaign lint bench gpu clean

help:
	@sed -n '/^$$/q; s/^# \{0,1\}//p' Makefile

setup: $(READY)

# The stamp is touched last, so an installation that broke off is done again, and a finished one is not.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "memstudy needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(VENV)/bin/python -m pip install --quiet --editable . --group dev
	@touch $@

figures: $(READY)
	$(PY) -m memstudy study quick

calibration: $(READY)
	$(PY) -m memstudy study calibration

# All of them, or of one study: make results STUDY=quick
results: $(READY)
	$(PY) -m tests.results $(STUDY)

lint: $(READY)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

test: lint
	$(PY) -m pytest $(PARALLEL) -m "not (slow or $(APART))"

test-all: lint
	$(PY) -m pytest $(PARALLEL) -m "not ($(APART))"

# One file after the other: each has a cluster of its own.
test-engines: $(READY)
	$(PY) -m pytest -m engine tests/test_slurm.py tests/test_ray.py tests/test_engines.py tests/reliability/test_kills.py

# SCREENSHOTS=FOLDER keeps what the browser shows; AXE_CORE is where `npm install --prefix` put axe-core.
test-browser: $(READY)
	$(PY) -m pytest -m browser tests/test_browser.py tests/test_live_browser.py

test-latex: $(READY)
	$(PY) -m pytest $(PARALLEL) -m latex tests/test_latex.py tests/test_injection.py

test-trackers: $(READY)
	$(PY) -m pytest -m trackers tests/test_trackers.py tests/test_trust.py

test-adapters: $(READY)
	$(PY) -m pytest -m adapters tests/test_adapters.py

ifdef READY
DOCS_READY := $(VENV)/.installed-docs
$(DOCS_READY): $(READY)
	$(VENV)/bin/python -m pip install --quiet --group docs
	@touch $@
endif

# -W: a warning is an error, and so is (-n) a reference that leads nowhere.
docs: $(DOCS_READY)
	$(PY) -m sphinx -W -n --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

docs-serve: docs
	$(PY) -m http.server --bind 127.0.0.1 --directory docs/_build/html 8000

test-docs: $(DOCS_READY)
	$(PY) -m pytest -m docs tests/test_site.py

test-package: $(READY)
	$(PY) -m pytest -m package tests/test_package.py

# Warnings of the oldest versions about newer ones are not ours, so those of what is deprecated are no errors here.
test-lowest:
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(LOWEST)/bin/python -m tests.lowest > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt --editable . --group test
	$(LOWEST)/bin/python -m pytest $(PARALLEL) -W ignore::DeprecationWarning -m "not (slow or $(APART))"

# Kills, failing disks, damage, crowds and strangers' files: small, and (some hours) as committed in studies/results/reliability.
test-reliability: $(READY)
	$(PY) -m pytest -m "reliability and not engine" tests/reliability

campaign: $(READY)
	$(PY) -m tests.reliability --long --save

bench: $(READY)
	$(PY) -m tests.benchmarks

# Each call takes $(MINUTES) minutes and goes on where the last one stopped; what it found is in runs/gpu and runs/studies.
gpu: $(READY)
	$(PY) -m tests.benchmarks.evidence --minutes $(MINUTES)

clean:
	rm -rf $(VENV) $(LOWEST) docs/_build build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find memstudy tests -name __pycache__ -type d -exec rm -rf {} +
