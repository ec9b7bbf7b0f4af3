# The environment is in .venv; `make EXTRA=gpu ...` builds it for a GPU.
PYTHON ?= python3
EXTRA ?= cpu
BIN := .venv/bin
# Test files are distributed to processes in order; the last ones are short.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick check audit sbom fix lock translations client

help:  ## Show this list.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/demo-ready  ## Install vsearch into .venv.

demo: .venv/demo-ready  ## Index and serve the demo shop; options: HOST=..., PORT=...
	$(BIN)/vsearch catalog upgrade
	$(BIN)/vsearch demo $(if $(findstring command,$(origin HOST)),--host $(HOST)) $(if $(PORT),--port $(PORT))

test: .venv/ready  ## Run all tests.
	$(PYTEST)

quick: .venv/ready  ## Run the tests that do not train networks, start a browser or take long.
	$(PYTEST) -m "not slow and not keras and not browser and not shared_data"

check: .venv/ready  ## Check lint, format, types and security; changes nothing.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive vsearch catalog indexer webui migrations

audit: .venv/ready  ## Look up known vulnerabilities of the pinned versions at pypi.org.
	$(BIN)/pip install --quiet uv
	@$(BIN)/uv tool run --quiet 'pip-audit>=2.10,<3' --strict --no-deps --disable-pip --progress-spinner off \
		--requirement constraints.txt \
		|| { echo "Not clean, or not known: see above. It needs pypi.org; a mirror has no data on vulnerabilities." >&2; exit 1; }

sbom: .venv/ready  ## Write sbom.json (CycloneDX) and licenses.csv of the packages in .venv.
	$(BIN)/pip install --quiet uv
	$(BIN)/uv tool run --quiet --from 'cyclonedx-bom>=7.5,<8' cyclonedx-py environment --pyproject pyproject.toml \
		--output-file sbom.json $(BIN)/python
	$(BIN)/uv tool run --quiet 'pip-licenses>=5.5,<6' --python $(BIN)/python --format csv --with-urls --output-file licenses.csv

fix: .venv/ready  ## Apply the linter's fixes, and format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/ready  ## Pin the tested versions in constraints.txt, for all supported Python versions.
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra cpu --extra dev \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet --output-file constraints.txt

TRANSLATIONS := webui/translations
# Messages of these errors are shown to shoppers.
KEYWORDS := lazy_gettext Phrase ImageTooLarge InvalidRequest MissingPhoto NotAnImage UnknownClass

translations: .venv/ready  ## Extract the texts of the shoppers' pages, update and compile the translations.
	$(BIN)/pybabel -q extract --mapping pyproject.toml $(KEYWORDS:%=--keyword %) --no-location --no-wrap --sort-output \
		--output messages.pot .
	$(BIN)/pybabel -q update --input-file messages.pot --output-dir $(TRANSLATIONS) --ignore-obsolete --no-fuzzy-matching \
		--ignore-pot-creation-date --no-wrap
	rm messages.pot
	$(BIN)/pybabel -q compile --directory $(TRANSLATIONS)

client: .venv/ready  ## Generate the Python client from the API.
	PYTHONPATH=. $(BIN)/python tools/generate_client.py

INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# Without the packages that only training and tests need.
.venv/demo-ready: pyproject.toml constraints.txt
	@echo "Installing the packages into .venv: about 190 MB to download, 780 MB on disk; this takes a minute or more without output ..."
	$(PYTHON) -m venv .venv
	$(INSTALL) '.[$(EXTRA)]'
	@touch $@

.venv/ready: .venv/demo-ready
	@echo "Installing the packages for training and tests into .venv: about 770 MB more to download; this takes a minute or more ..."
	$(INSTALL) '.[$(EXTRA),dev]'
	@touch $@
