# The environment lies in .venv; `make EXTRA=gpu ...` builds it for a GPU.
PYTHON ?= python3
EXTRA ?= cpu
BIN := .venv/bin
# Each file of tests as a whole in one of several processes, in their order: the last ones are short.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test quick check fix lock

help:  ## Show these lines.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/ready  ## Index the demo shop and serve the page; HOST=... and PORT=... say where.
	$(BIN)/vsearch catalog upgrade
	$(BIN)/vsearch demo $(if $(findstring command,$(origin HOST)),--host $(HOST)) $(if $(PORT),--port $(PORT))

test: .venv/ready  ## Run all tests.
	$(PYTEST)

quick: .venv/ready  ## Run the tests that neither train, browse nor take their time.
	$(PYTEST) -m "not slow and not keras and not browser and not shared_data"

check: .venv/ready  ## Lint, format and type checks; changes nothing.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: .venv/ready  ## Mend what the linter can mend, and format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/ready  ## Write constraints.txt anew: the versions that are tested, for every Python taken.
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra cpu --extra dev \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet --output-file constraints.txt

.venv/ready: pyproject.toml constraints.txt
	@echo "Installing the packages into .venv: some 3 GB, for a minute or more in which nothing is printed ..."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRA),dev]'
	@touch $@
