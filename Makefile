# On a fresh machine: `make benchmark` and `make test` set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXPERIMENT ?= quick

.DEFAULT_GOAL := help
.PHONY: benchmark results implementations test test-slow lint format clean help

benchmark: $(VENV)/installed ## train both TD3s on both tasks and write the comparison to reports/quick
	@echo "The experiment $(EXPERIMENT): train, check the reference against the published TD3, report."
	@$(BIN)/python -m benchmarks sweep $(EXPERIMENT) --dry-run --no-check
	@$(BIN)/python -m benchmarks sweep $(EXPERIMENT)
	@echo "Checking the reference against the published TD3, up to two minutes ..."
	-@$(BIN)/python -m benchmarks fidelity > /dev/null
	@echo "Making the report, about half a minute ..."
	@$(BIN)/python -m benchmarks report $(EXPERIMENT)
	@test ! -d results/$(EXPERIMENT) || $(BIN)/python -m benchmarks verify $(EXPERIMENT)

results: $(VENV)/installed ## make the README's images and docs/results.md anew from results/
	$(BIN)/python -m benchmarks publish

implementations: $(VENV)/installed ## examine thirteen public TD3s, each in an environment of its own
	$(BIN)/python -m benchmarks.fidelity

test: $(VENV)/installed ## run the fast tests
	$(BIN)/python -m pytest -n auto --dist loadfile

test-slow: $(VENV)/installed ## run the slow tests: training, whole reports, sweeps
	$(BIN)/python -m pytest -n auto --dist loadfile -m slow

lint: $(VENV)/installed ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and caches; runs and reports stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Made anew only when what is to be installed changes.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; choose one with: make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "Setting up $(VENV): pip fetches about 60 packages, a few minutes ..."
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	@touch $@
