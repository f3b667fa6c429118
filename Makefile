# `make demo` and `make test` need Python 3.11 or newer and git, and set up the rest in .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup test lint demo bench clean
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt core/pyproject.toml dev-requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --requirement dev-requirements.txt
	touch $@

test: $(STAMP)
	$(BIN)/pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: $(STAMP)
	$(BIN)/python examples/orders/demo.py

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .cache
