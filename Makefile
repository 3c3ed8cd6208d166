# make demo   set up what the demo needs, index Python's standard library and search it on the CPU and on our RTL
# make test   set up what the tests need and run all tests; make times prints again where the time went
# make lint   ruff and mypy --strict
# make bench  compare with other libraries: build/bench/bench.html, JSON and charts; OLD=FILE.json is an earlier run
# make compare  run the same vectors and long sequences through all levels of each core; STEPS=N sets their length
# make mutate   plant faults in each core, and report which its testbench detects
# make crash  kill a writer of an index thousands of times, and end its power after every file operation, and show what
#             was lost; then read a million mutated records; TRIALS=N sets the number of kills
# make docs   build the website in build/site; warnings are errors
# make prose  check the texts against the word list (docs/words.toml) and with proselint
# make audit  look up the packages of requirements.lock in the databases of known vulnerabilities
# make lock   update requirements.lock to the newest versions of all packages

PYTHON ?= python3
VENV   ?= .venv
STEPS  ?= 100
TRIALS ?= 3000
BIN    := $(VENV)/bin
# Run a command and report its purpose and duration every ten seconds: $(call during,TEXT) COMMAND
during = $(BIN)/python -m spec.progress "$(1)"
# pip compiles all modules on one processor, including modules of tests.
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile --constraint requirements.lock
# Some packages contain templates that are not valid Python.
COMPILE := $(call during,compiling the modules in $(VENV)) $(BIN)/python -m compileall -qq -j 0 -x /tests/ $(VENV)/lib || true

.PHONY: demo test times lint bench compare mutate crash docs prose audit lock clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/ninefold demo

test: $(VENV)/.dev
	$(BIN)/ninefold model fetch
	$(BIN)/ninefold tools warm
	$(BIN)/python -m pytest -n auto --dist worksteal

# KEEP=1 stores the list of long tests, which later runs start first. Use it after a run from empty caches.
times:
	@test -e $(VENV)/.dev || { echo "run make test first"; exit 1; }
	@$(BIN)/python -m tests.times $(if $(KEEP),--keep)

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@$(call during,checking types with mypy) $(BIN)/mypy

# The demo indexes the texts for the search benchmark. The earlier run is read before the new one is written.
bench: $(VENV)/.bench
	$(BIN)/ninefold demo
	@mkdir -p build/bench
	$(BIN)/ninefold bench --html build/bench/bench.html $(if $(OLD),--compare $(OLD)) $(BENCH)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}")'
	@$(PYTHON) -m spec.progress "creating the environment $(VENV)" $(PYTHON) -m venv $(VENV)

# pyproject.toml lists the packages, requirements.lock their versions. Metadata of an older installation in the checkout
# would hide new entry points from programs that run in it.
$(VENV)/.demo: pyproject.toml requirements.lock | $(VENV)/bin/python
	@sed -n 's/^# demo: /Downloading packages for the demo: /p' requirements.lock
	@rm -rf ninefold.egg-info
	@$(call during,installing packages for the demo) $(PIP) --editable '.[demo]'
	@$(COMPILE)
	@touch $@

$(VENV)/.dev: pyproject.toml requirements.lock | $(VENV)/bin/python
	@sed -n 's/^# dev: /Downloading packages for development: /p' requirements.lock
	@rm -rf ninefold.egg-info
	@$(call during,installing packages for development) $(PIP) --editable '.[dev]'
	@$(COMPILE)
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.dev
	@$(call during,installing packages for the benchmark) $(PIP) --editable '.[all,bench]'
	@$(COMPILE)
	@touch $@

compare: $(VENV)/.dev
	$(BIN)/ninefold compare all --steps $(STEPS)

mutate: $(VENV)/.dev
	$(BIN)/ninefold mutate all

crash: $(VENV)/.dev
	$(BIN)/python -m tests.host.index.crash --trials $(TRIALS)
	$(BIN)/python -m tests.host.index.power
	$(call during,reading a million mutated records) $(BIN)/python -m pytest -q -n 0 -m slow tests/numerics/test_vector6d.py

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

prose: $(VENV)/.dev
	@$(PIP) proselint
	$(BIN)/python -m tests.docs.prose
	$(BIN)/proselint check *.md docs

# In an environment of its own, since it asks nothing of the installed packages.
audit: | $(VENV)/bin/python
	@$(BIN)/python -m venv build/audit
	@build/audit/bin/python -m pip --disable-pip-version-check --quiet install pip-audit
	build/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement requirements.lock

lock:
	PYTHON=$(PYTHON) ./lock.sh

clean:
	rm -rf $(VENV) build dist *.egg-info
