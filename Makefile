# Two commands: `make train` writes songs, `make test` checks what a change is likely to break. Both set up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS = requirements/$(shell $(PYTHON) -c 'import sys; print("py311" if sys.version_info < (3, 12) else "py312")').txt

.PHONY: train test test-slow test-all docs wheel interop notebook check lint clean lock

train: $(VENV)/.installed
	$(BIN)/python -m rnnjax.train --config configs/lyrics.yaml

PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal tests

# Less than five minutes on two cores.
test: $(VENV)/.installed-dev
	$(PYTEST) -m 'not slow'

# The rest: tests of the tests, clusters, several hosts, notebooks.
test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m slow

test-all: test
	$(MAKE) test-slow

# The documentation as a site, site/index.html; a broken link or name fails. It opens as a file, and needs no network.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Builds the wheel, installs it into an empty environment, and uses it outside of this directory.
wheel: $(VENV)/.installed
	rm -rf dist build
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	PYTHON=$(PYTHON) tests/wheel.sh $(CONSTRAINTS) dist/rnnjax-*.whl

# Adds PyTorch and safetensors; `make test` then holds our cells against PyTorch's own, where without it there is only what
# PyTorch once computed (tests/parity). It is not part of `make test`: the package index has no CPU build for Linux on
# x86, and what it has brings 2.4 GB of CUDA that `import torch` needs (so --no-deps is no way out). Where pip is pointed
# at CPU wheels, it takes those, as the lock files name no build.
interop: $(VENV)/.installed-interop

# What a change must pass, besides the tests.
lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: test-all lint

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "rnnjax needs Python 3.11 or later; this is " + sys.version.split()[0] + " (try make PYTHON=python3.13 ...)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml requirements
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml requirements
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/bin/python pyproject.toml requirements
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[docs]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-interop: $(VENV)/bin/python pyproject.toml requirements
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[dev,interop]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-dev

# Runs the scripts of the notebooks and writes them with what they showed.
notebook: $(VENV)/.installed-dev
	$(BIN)/jupytext --quiet --to ipynb notebooks/*.py
	$(BIN)/jupyter-execute --inplace notebooks/*.ipynb

# Writes the lock file of this Python's end of the supported versions.
lock:
	@mkdir -p requirements
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check '.[dev,docs,interop]'
	.venv-lock/bin/python -m pip freeze --exclude rnnjax --exclude setuptools \
		| sed -e 's/+cpu$$//' -e '/^nvidia-/d' -e '/^cuda-/d' -e '/^triton=/d' > $(CONSTRAINTS)
	rm -rf .venv-lock build

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
