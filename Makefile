# The two commands of the course are `make lab` and `make test`; `make` lists the others.
# Without make (Windows): python setup_environment.py lab

PYTHON ?= python3
BROWSER ?= yes
PORT ?= 8888
# processes that run the tests
WORKERS ?= 2

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
SUITE = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --nbval-lax --nbval-cell-timeout=600 tests solutions

.PHONY: help lab test test-full install notebooks release readme site train bench lint format

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

lab: ## open the notebooks in JupyterLab (BROWSER=no, PORT=8890); the first time it makes the environment
	@$(PYTHON) setup_environment.py lab --browser $(BROWSER) --port $(PORT)

test: install ## run every test, and every solved notebook at scale smoke
	COURSE_SCALE=smoke $(SUITE)

test-full: install ## the same at scale cpu, with the tests that take long: hours
	COURSE_SCALE=cpu $(SUITE)

install:
	@$(PYTHON) setup_environment.py install grade dask peers site test

notebooks: install ## execute solutions/ and store the outputs (NAME=vae for those whose name holds it)
	$(BIN)/course notebooks $(NAME)

release: install ## write the students' notebooks/ from solutions/
	$(BIN)/course release

readme: install ## write the course map of README.md from notebooks and checkpoints
	$(BIN)/python -m course_utils.cli.readme

site: ## write the course as a book of web pages that works offline: build/site/html/index.html
	@$(PYTHON) setup_environment.py install site
	$(BIN)/python -m course_utils.cli.site

train: install ## train NAME=vae-glyphs anew, as its reference checkpoint was trained
	$(BIN)/course train $(NAME)

bench: install ## measure against what one would use instead (NAME=grading for one section); writes docs/benchmarks.md
	$(BIN)/python tests/benchmarks/run.py $(NAME)

lint: install ## style, formatting, and the floors of course_utils
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports

format: install ## mend what a formatter can mend
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .
