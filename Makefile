# Two commands matter: `make run` opens the playground, `make test` proves that it works.
# ARGS is passed on: make run ARGS="--port 8000", make test ARGS="-k chat".

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
ARGS ?=
INSTALLED := $(VENV)/installed

.PHONY: install run test check bench embedded-model clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; try: make run PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

run: install
	$(BIN)/playground $(ARGS)

test: install
	$(BIN)/python -m pytest $(ARGS)

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m benchmarks $(ARGS)

embedded-model: install
	$(BIN)/python -m recipes.tiny_mistral build $(ARGS)

clean:
	rm -rf $(VENV) build dist
