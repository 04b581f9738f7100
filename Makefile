# `make help` lists what there is. PYTHON, EXPERIMENT, DATA and EACH can be set: make train DATA=faces
PYTHON ?= python3
EXPERIMENT ?= experiments/registered.toml
DATA ?= data/faces
EACH ?= 14
BIN := .venv/bin

.PHONY: help web demo test mutants dev docs train evaluate clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

web: .venv/.installed-web  ## set up everything for the web application, start it and open the browser
	$(BIN)/twoface web --open

demo: .venv/.installed  ## fill the sample photo's eyes from another photo of the same person
	@mkdir -p out
	$(BIN)/twoface fill samples/photo.jpg --reference samples/reference.jpg --hole eyes -o out/demo.jpg --force

test: .venv/.installed-dev  ## set up everything for development, then lint and test
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --dist worksteal

mutants: .venv/.installed-dev  ## do the tests notice when a line is wrong? EACH lines of every module, in about an hour
	$(BIN)/python benchmarks/mutants.py --each $(EACH)

dev: .venv/.installed-dev  ## set up .venv with all that training and tests need

docs: .venv/.installed-dev  ## README, docs and the Python API as a site of plain files: build/docs/index.html
	$(BIN)/pip install --quiet --disable-pip-version-check -e .[docs]
	@mkdir -p build/docs-source/twoface/web/static
	@ln -sfn $(CURDIR)/twoface/web/static/img build/docs-source/twoface/web/static/img
	@ln -sfn $(addprefix ../../,README.md CHANGELOG.md CONTRIBUTING.md LICENSE docs model_cards samples experiments) build/docs-source/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

train: .venv/.installed-dev  ## train EXPERIMENT on the prepared faces in DATA
	$(BIN)/twoface train $(EXPERIMENT) --data $(DATA)

evaluate: .venv/.installed-dev  ## score the network that ships on the val split of DATA
	$(BIN)/twoface evaluate --data $(DATA) --split val --out out/evaluation

clean:  ## remove .venv, out/ and caches; not runs/
	rm -rf .venv out build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The user's install has no torch in it. A stamp is older than pyproject.toml when the dependencies have changed.
.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
		"Two-Face needs Python 3.11 or newer; $(PYTHON) is %d.%d: try make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/.installed-web: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e .[web]
	@touch $@

# torch first and alone, so that the rest cannot pull another version of it.
.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -e .[dev]
	@touch $@
