# Each of these does its own set-up: a fresh machine needs Python 3.11 or newer and git, and nothing by hand.
# The environment is .venv; it is made anew only when what it is made of has changed.
BIN := .venv/bin
# What `make demo` runs on: embedded, kafka, amqp, mqtt or nats.
BROKER := embedded
READY := .venv/.ready
MEMBERS := core/pyproject.toml $(wildcard plugins/[!_]*/pyproject.toml)

.PHONY: setup demo test lint bench clean
setup: $(READY)

$(READY): $(MEMBERS) constraints.txt dev-requirements.txt .ci/setup
	.ci/setup
	touch $@

demo: $(READY)
	$(BIN)/python examples/orders/demo.py --broker $(BROKER)

test: $(READY)
	$(BIN)/pytest --numprocesses 4 --dist loadgroup --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .cache
