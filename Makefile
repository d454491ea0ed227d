# Expunge: two commands for a newcomer, `make demo` and `make test`; the rest for those who work on it.
# Everything runs from a virtual environment in .venv, made from requirements.lock (hashes, no addresses).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-system lint bench fuzz coverage chaos lock clean

demo: $(STAMP) ## the main job from end to end, embedded defaults, no root
	$(BIN)/python -m demo

test: $(STAMP) ## everything that needs neither root nor programs of the distribution
	$(BIN)/pytest -m "not system"

test-system: $(STAMP) ## real sshd and friends; as root it installs them first
	.ci/install-system-packages
	$(BIN)/pytest -m system

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP) ## ratios in one run, against goals; as root also disks (fio, nwipe); recorded by hand in docs/benchmarks.md
	PYTHONPATH=. $(BIN)/python tests/bench/ratios.py
	@if [ "$$(id -u)" = 0 ]; then .ci/install-system-packages bench && \
	  PYTHONPATH=. $(BIN)/python tests/bench/disks.py $$(.ci/build-newer-nwipe .bench | sed 's/^/--nwipe /'); \
	  else echo "make bench: the disks need root (loop devices); run it again as root for their part" >&2; fi

fuzz: $(STAMP) ## ten minutes for each parser that a stranger can reach; recorded by hand in docs/tested.md
	$(BIN)/python -m tests.fuzz --seconds $${FUZZ_SECONDS:-600}

coverage: $(STAMP) ## branches and lines of what decides, each group for itself
	.ci/coverage

chaos: $(STAMP) ## the long form of the crash tests; recorded by hand in docs/tested.md
	EXPUNGE_CHAOS_LIVES=100 EXPUNGE_CHAOS_HOSTS=40 EXPUNGE_CHAOS_KILLS=25 $(BIN)/pytest tests/chaos

lock: ## renew requirements.lock from pyproject.toml
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet pip-tools
	$(VENV)-lock/bin/pip-compile --quiet --upgrade --extra controller --extra dev --generate-hashes --allow-unsafe \
	  --strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --no-emit-options --output-file requirements.lock pyproject.toml
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) demo-out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "The venv module is missing: install the package python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
