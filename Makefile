# Two commands matter: `make run` opens the playground, `make test` proves that it works.
# ARGS is passed on: make run ARGS="--port 8000", make test ARGS="-k chat".

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
ARGS ?=
RUN := $(VENV)/installed-to-run
DEV := $(VENV)/installed-to-develop
EVAL := $(VENV)/installed-to-evaluate
CLIENTS := .venv-clients
# A process a core, and a file's tests in one of them, because they share what is slow to set up
# (tests/conftest.py orders them). Compiled modules and rewritten tests are kept for the next process.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

unexport PYTHONDONTWRITEBYTECODE

.PHONY: install install-dev install-eval hooks run test test-clients test-eval test-fast check bench embedded-model clean

# What running needs, and nothing more.
install: $(RUN)

# The test runner, type checker, clients and browser driver as well.
install-dev: $(DEV)

# lm-eval beside it, which takes more disk than all else that developing needs.
install-eval: $(EVAL)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; try: make run PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(RUN): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $(RUN) $@

$(EVAL): $(DEV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,eval]'
	@touch $@

run: $(RUN)
	$(BIN)/playground $(ARGS)

test: $(DEV)
	$(PYTEST) $(ARGS)

# Clients of others, of Python and of npm, each in an environment of its own; writes docs/clients.md.
# ARGS names some of them: make test-clients ARGS="openai_python ai_sdk".
test-clients: $(DEV) $(CLIENTS)/sdks/installed $(CLIENTS)/frameworks/installed \
		$(CLIENTS)/together1/installed clients/node/node_modules/installed
	$(BIN)/python -m clients $(ARGS)

# The tests that need lm-eval; `make test` has them, too, once it is installed.
test-eval: $(EVAL)
	$(PYTEST) tests/playground/harness $(ARGS)

# Everything is pinned, so that nothing has to be resolved.
$(CLIENTS)/%/installed: clients/requirements/%.txt
	$(PYTHON) -m venv $(CLIENTS)/$*
	$(CLIENTS)/$*/bin/python -m pip install --quiet --no-deps -r $<
	@touch $@

clients/node/node_modules/installed: clients/node/package.json
	npm --prefix clients/node install --no-package-lock --no-audit --no-fund --ignore-scripts
	@touch $@

# No browser, no training, no notebook, nothing marked slow.
test-fast: $(DEV)
	$(PYTEST) -m "not slow and not browser and not training and not notebook" $(ARGS)

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Checks of changed files before each commit.
hooks: $(DEV)
	$(BIN)/pre-commit install

bench: $(DEV)
	$(BIN)/python -m benchmarks $(ARGS)

embedded-model: $(DEV)
	$(BIN)/python -m recipes.tiny_mistral build $(ARGS)

clean:
	rm -rf $(VENV) $(CLIENTS) clients/node/node_modules build dist
