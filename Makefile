# `make demo` and `make test` are all there is to know; both set up .venv on
# their own, in either order, and install nothing twice.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_OUTPUT ?= results/demo
TRIALS ?= 250
POINTS ?= 0
BATCHES ?= 1000

CREATED := $(VENV)/.created
INSTALLED := $(VENV)/.installed-package
INSTALLED_TEST := $(VENV)/.installed-test
INSTALLED_DEV := $(VENV)/.installed-dev

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test fuzz lint clean

help:
	@echo "make demo     main job on the generated corpus -> $(DEMO_OUTPUT)"
	@echo "make test     every test"
	@echo "make fuzz     damage, kill and starve every command; an hour"
	@echo "make install  only the environment $(VENV)"
	@echo "make lint     ruff, yamllint, codespell, mypy"
	@echo "make clean    remove $(VENV), caches and build folders"
	@echo "Another interpreter (3.10 to 3.14): make PYTHON=python3.11 test"

demo: $(INSTALLED)
	$(BIN)/python -m speechbrain_e2v.tools.demo --output $(DEMO_OUTPUT)

test: $(INSTALLED_TEST)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --durations=10 \
	    --numprocesses auto --maxprocesses 4 --dist loadfile

# TRIALS a kind of file, POINTS of every command at which it is killed (0: all),
# BATCHES padded ones; the seeds are fixed. It goes on where it was stopped.
fuzz: $(INSTALLED_TEST)
	PYTHONPATH=.:tests $(BIN)/python -m robustness --trials $(TRIALS) \
	    --points $(POINTS) --batches $(BATCHES) \
	    --counts results/robustness.jsonl --report docs/reliability.md

install: $(INSTALLED)

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/yamllint -c .yamllint.yaml .
	$(BIN)/codespell
	$(BIN)/mypy

# Results stay: they cost hours.
clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path "./.git/*" -prune -exec rm -rf {} +

$(CREATED):
	@command -v $(PYTHON) > /dev/null || { \
	    echo "No '$(PYTHON)' on the PATH: install Python 3.10 to 3.14," \
	        "or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] \
	    <= (3, 14))' || { \
	    echo "'$(PYTHON)' is $$($(PYTHON) --version 2>&1); this project is" \
	        "for Python 3.10 to 3.14. Name one of these:" \
	        "make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(INSTALLED): requirements.txt setup.py | $(CREATED)
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install -c requirements.txt -e .
	@touch $@

$(INSTALLED_TEST): $(INSTALLED)
	$(BIN)/python -m pip install -c requirements.txt -e .[test]
	@touch $@

$(INSTALLED_DEV): $(INSTALLED_TEST) requirements-dev.txt
	$(BIN)/python -m pip install -r requirements-dev.txt
	@touch $@
