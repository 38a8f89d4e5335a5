# A fresh machine needs Python 3.11, make and a package index; `scripts/setup` does the rest.
#   make demo ARGS=--once        make test ARGS="-k rollback"        PYTHON=/path/to/python3.11 make test

BIN := .venv/bin
CODE := $(wildcard src tests bench examples scripts)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo setup test check fmt fmt-check lint types house lock bench oracles picture

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Set up, then tell the product's story on a real local model (ARGS=--once ends after it)
	@scripts/setup demo
	@$(BIN)/tidegate demo $(ARGS)

setup: ## Make .venv with everything that development needs
	@scripts/setup dev

test: setup ## Set up, then run all tests with coverage (ARGS go to pytest)
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered $(ARGS)

check: fmt-check lint types house test ## Everything a change must pass: format, lint, types, house, tests

fmt: setup ## Format the code and mend what the linter can
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format $(CODE)

fmt-check: setup ## Check the format only
	@$(BIN)/ruff format --check $(CODE)

lint: setup ## Check the code for likely faults
	@$(BIN)/ruff check $(CODE)

types: setup ## Check the types (mypy, strict)
	@$(BIN)/python -m mypy

house: setup ## Hold the laws of the house against the code (tests/house)
	@$(BIN)/python -m pytest --no-header -q tests/house

lock: setup ## Write the requirements*.lock anew from pyproject.toml (ARGS=--upgrade takes the newest)
	@scripts/lock $(ARGS)

bench: setup ## List the benchmarks and how to run each
	@$(BIN)/python scripts/benches.py

oracles: build/oracles/statsmodels/ready build/oracles/gbstats/ready ## Ask the other statistics libraries anew (tests/stats/oracles/*.json)
	@for library in statsmodels gbstats; do for table in classical sizes; do \
	    PYTHONWARNINGS=ignore build/oracles/$$library/bin/python tests/stats/oracles/make_$$table.py || exit 1; \
	done; done

build/oracles/%/ready: tests/stats/oracles/%.txt | setup
	@$(BIN)/python -m venv --clear build/oracles/$*
	@build/oracles/$*/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

picture: ## Draw the README's pictures anew from a run of the demo (docs/pictures)
	@scripts/setup demo
	@$(BIN)/python scripts/picture.py $(ARGS)
