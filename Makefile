# make demo   set up what the demo needs, index Python's standard library and search it on the CPU and on our RTL
# make test   set up what the tests need and pass every test; make times says again where the time went
# make lint   ruff and mypy --strict
# make bench  measure beside peers: build/bench/bench.html with JSON and charts; OLD=FILE.json is an earlier run
# make compare  send the same vectors and long sequences through all levels of each core; STEPS=N makes them longer
# make mutate   plant faults in each core, and see which its bench finds
# make docs   build the website in build/site; a warning is an error
# make prose  check the texts against the word list (docs/words.toml) and with proselint
# make lock   choose the versions of all packages again

PYTHON ?= python3
VENV   ?= .venv
STEPS  ?= 100
BIN    := $(VENV)/bin
# Runs a command, and says each ten seconds what it does and for how long: $(call during,TEXT) COMMAND
during = $(BIN)/python -m spec.progress "$(1)"
# pip would compile all modules with one processor, those of tests among them.
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile --constraint requirements.lock
# Some packages have templates that are no Python.
COMPILE := $(call during,compiling the modules in $(VENV)) $(BIN)/python -m compileall -qq -j 0 -x /tests/ $(VENV)/lib || true

.PHONY: demo test times lint bench compare mutate docs prose lock clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/ninefold demo

test: $(VENV)/.dev
	$(BIN)/ninefold model fetch
	$(BIN)/ninefold tools warm
	$(BIN)/python -m pytest -n auto --dist worksteal

# KEEP=1 writes down which tests took long, so that they begin first from now on; that of a run from empty caches.
times:
	@test -e $(VENV)/.dev || { echo "make test comes first"; exit 1; }
	@$(BIN)/python -m tests.times $(if $(KEEP),--keep)

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(call during,checking types with mypy) $(BIN)/mypy

# The demo indexes the texts that search is measured on. The earlier run is read before the new one is written.
bench: $(VENV)/.bench
	$(BIN)/ninefold demo
	mkdir -p build/bench
	$(BIN)/ninefold bench --html build/bench/bench.html $(if $(OLD),--compare $(OLD)) $(BENCH)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}")'
	$(PYTHON) -m spec.progress "making the environment $(VENV)" $(PYTHON) -m venv $(VENV)

# Versions come from requirements.lock, what to install from pyproject.toml. Metadata of an older installation in the
# checkout would hide new entry points from whatever runs here.
$(VENV)/.demo: pyproject.toml requirements.lock | $(VENV)/bin/python
	@sed -n 's/^# demo: /Downloading packages for the demo: /p' requirements.lock
	rm -rf ninefold.egg-info
	$(call during,installing packages for the demo) $(PIP) --editable '.[demo]'
	$(COMPILE)
	@touch $@

$(VENV)/.dev: pyproject.toml requirements.lock | $(VENV)/bin/python
	@sed -n 's/^# dev: /Downloading packages for development: /p' requirements.lock
	rm -rf ninefold.egg-info
	$(call during,installing packages for development) $(PIP) --editable '.[dev]'
	$(COMPILE)
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.dev
	$(call during,installing packages for the benchmark) $(PIP) --editable '.[all,bench]'
	$(COMPILE)
	@touch $@

compare: $(VENV)/.dev
	$(BIN)/ninefold compare all --steps $(STEPS)

mutate: $(VENV)/.dev
	$(BIN)/ninefold mutate all

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

prose: $(VENV)/.dev
	$(PIP) proselint
	$(BIN)/python -m tests.docs.prose
	$(BIN)/proselint check *.md docs

lock:
	PYTHON=$(PYTHON) ./lock.sh

clean:
	rm -rf $(VENV) build dist *.egg-info
