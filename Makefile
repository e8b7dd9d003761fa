# Two commands for a fresh machine: `make demo` and `make test`. Both make .venv on their own; a second run is quick.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-levels test-tools lint bench agreement train clean

demo: $(VENV)/.base
	$(BIN)/dse demo -o demo-results

# Two halves side by side, one a core, about equally long: levels against each other, and the rest.
LEVELS := $(addprefix tests/,agreement browser hwmodels workloads)
test: $(VENV)/.test
	+$(MAKE) --no-print-directory -j2 test-levels test-tools

test-levels: $(VENV)/.test
	$(BIN)/python -m pytest $(LEVELS)

test-tools: $(VENV)/.test
	$(BIN)/python -m pytest $(LEVELS:%=--ignore=%)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# RTL against events, recurrence, closed form and executor on any number of random pairs: make agreement N=2000 SEED=7
agreement: $(VENV)/.test
	AGREEMENT_PAIRS=$(or $(N),2000) AGREEMENT_SEED=$(or $(SEED),0) $(BIN)/python -m pytest tests/agreement/test_rtl.py

bench: $(VENV)/.test
	$(BIN)/python benchmarks/executor.py
	$(BIN)/python benchmarks/importing.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/bits.py
	$(BIN)/python benchmarks/cycle.py
	$(BIN)/python benchmarks/rtl.py
	$(BIN)/python benchmarks/popcount.py
	$(BIN)/python benchmarks/wide_functions.py

# Trains the digits networks again (torch, some minutes of CPU).
train: $(VENV)/.base
	$(PIP) -e '.[train]'
	$(BIN)/python examples/digits/train.py

clean:
	rm -rf $(VENV) demo-results build dist

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e .
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e '.[test]'
	touch $@ $(VENV)/.base

$(VENV)/.lint: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e '.[test,lint]'
	touch $@ $(VENV)/.test $(VENV)/.base
