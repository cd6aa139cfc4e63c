# make compare | test | test-slow | test-all | lint; the first of them sets up .venv.

PYTHON ?= python3
BIN := .venv/bin
EXPERIMENT ?= people

.PHONY: compare test test-all test-slow test-slow-lockstep test-slow-numbers self-test mutants lint format clean

compare: .venv/ready
	@$(BIN)/python scripts/compare.py $(EXPERIMENT)

test: .venv/ready
	$(BIN)/python -m pytest

test-all: test
	@$(MAKE) --no-print-directory test-slow
	$(BIN)/python -m pytest -q -m slow parity_tests/mistakes

# The long trainings, in two processes side by side.
test-slow: .venv/ready
	@$(MAKE) --no-print-directory -j2 test-slow-lockstep test-slow-numbers

test-slow-lockstep: .venv/ready
	$(BIN)/python -m pytest -q -m slow parity_tests/experiments

test-slow-numbers: .venv/ready
	$(BIN)/python -m pytest -q -m slow --ignore=parity_tests/experiments --ignore=parity_tests/mistakes

# The planted mistakes, with all, half and none of the tensors named, and 3,000 right networks: how many are found?
self-test: .venv/ready
	$(BIN)/python scripts/check.py --self-test

# One mistake at a time planted in manual/: which do the tests that cover it not notice? make mutants ONLY=manual/nn/loss TESTS=parity_tests/nn/loss
mutants: .venv/ready
	@$(BIN)/python -m parity_tests.mutants $(addprefix --only ,$(ONLY)) $(addprefix --tests ,$(TESTS))

lint: .venv/ready-to-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready-to-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Set up anew whenever what is to be installed has changed.
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "handgrad needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "Setting up .venv, once ..." >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

.venv/ready-to-lint: .venv/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lint]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
