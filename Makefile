# Every target sets up .venv by itself; the first one takes a few minutes of downloads.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready
BIN := $(VENV)/bin
LATEST := reports/latest

# What `make report` tries; Keras and SciPy come along with TensorFlow and JAX, and Keras would take minutes more.
TARGETS ?= numpy torch jax optax tensorflow

# XLA compiles each operation for each shape and dtype; kept here, later runs need not.
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/$(VENV)/jax-cache
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES := -1

.PHONY: report test lint format bench mutants golden conventions schema clean

## report: try the frameworks of TARGETS on the CPU and write reports/latest/index.html
report: $(READY)
	@mkdir -p $(LATEST)
	@$(BIN)/conformance run $(TARGETS) --results $(LATEST)/results.jsonl; status=$$?; \
	if [ $$status -ne 2 ]; then $(BIN)/conformance report $(LATEST)/results.jsonl --html $(LATEST)/index.html; fi; \
	exit $$status

## test: test the suite itself
test: $(READY)
	$(BIN)/pytest -n 2 tests

## lint: style, types and the wheel's contents
lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## format: put the code into the project's style
format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## bench: overhead of the suite over the bare framework calls, and judged trials per second
bench: $(READY)
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/throughput.py

## mutants: the golden cases against deliberately wrong implementations
mutants: $(READY)
	$(BIN)/python tests/mutants/score.py

## golden: write the golden numbers of ball arithmetic into the case files anew
golden: $(READY)
	$(BIN)/conformance freeze

## conventions: write what the frameworks of constraints.txt do where libraries differ on purpose
conventions: $(READY)
	$(BIN)/conformance conventions jax numpy optax tensorflow torch --format markdown > docs/conventions.md

## schema: write the JSON Schemas of case files and of lists of deviations anew
schema: $(READY)
	$(BIN)/conformance list schema cases > docs/case.schema.json
	$(BIN)/conformance list schema deviations > docs/deviations.schema.json

clean:
	rm -rf $(VENV) build dist *.egg-info

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,dev]'
	@touch $@
