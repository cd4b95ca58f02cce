# The words that people and CI use. Each is idempotent, and quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := affinage-demo

.PHONY: demo test check bench docs clean

demo: $(READY)  ## Train on real images that come with the installation, and write a report.
	@mkdir -p $(DEMO)
	cd $(DEMO) && ../$(BIN)/affinage demo --into digits --train
	@echo && echo "These places lie in $(DEMO). The report, seen from here:" && ls -t $(DEMO)/affinage-runs/*/report.html | head -n 1
	@echo "To go on: cd $(DEMO) && . ../$(BIN)/activate"

test: $(READY)  ## Run the tests.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

check: $(READY)  ## Format, lint, types, layers.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## Measure speed and quality against named peers (minutes to an hour; SECTION=start for one).
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks $(SECTION)

docs: $(READY)  ## Write docs/settings.md anew from the recipe.
	$(BIN)/python -m docs.build

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Affinage needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the tested versions into $(VENV) (a few minutes the first time)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch torchvision
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

clean:  ## Remove the environment and what the demo wrote.
	rm -rf $(VENV) $(DEMO)
