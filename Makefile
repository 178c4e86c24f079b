# Everything a newcomer needs: `make demo` and `make test`. Nothing but Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv/bin
PYTEST := $(VENV)/python -m pytest -W error
MODULES := config registry coordinator provider demo scripts
LOCK := $(VENV)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-header \
	--no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help demo run test chaos soak check lint format lock dashboards readme clean set-up set-up-dev \
	python

help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name what; do printf '  make %-8s %s\n' "$$name" "$$what"; done
	@echo
	@echo '  PYTHON=python3.12   another interpreter        SEAMLESS_PORT=8001   another port (run)'
	@echo '  HYPOTHESIS_PROFILE=long   10,000 examples a property (test)'
	@echo '  SEAMLESS_CHAOS_SEED=7   the same faults again (chaos)   SEAMLESS_CHAOS_SMALL=1   fewer of them'

demo: set-up  ## Set up, play the tour on the real stack, stop everything
	@$(VENV)/python -m demo

run: set-up  ## The same stack, loaded and serving until Ctrl-C
	@$(VENV)/python -m demo --serve

test: set-up-dev  ## Set up and run all tests: SQLite, PostgreSQL, the running stack
	$(PYTEST) -n auto -m "not stack"
	$(PYTEST) -n auto -m "database and not stack" --database=postgres
	$(PYTEST) -n 0 -m stack
	$(PYTEST) -n 0 -m chaos --database=postgres

chaos: set-up-dev  ## The whole failure suite, for about an hour, and a table of what came of it
	@mkdir -p var && rm -f var/chaos.jsonl
	for database in postgres sqlite; do \
		SEAMLESS_CHAOS=all SEAMLESS_CHAOS_RESULTS=$(CURDIR)/var/chaos.jsonl \
		$(PYTEST) -n 0 -m chaos --database=$$database || failed=1; done; \
	$(VENV)/python -m tests.chaos.table var/chaos.jsonl; exit $${failed:-0}

soak: set-up-dev  ## Half an hour of live bars with random faults: 0 wrong answers, nothing grows
	SEAMLESS_SOAK_SECONDS=1800 $(PYTEST) -n 0 -s -m stack -k soak_of_random_troubles tests/stack

check: lint  ## All that CI checks besides the tests
	$(VENV)/mypy $(wildcard $(MODULES))
	$(VENV)/lint-imports
	$(VENV)/python scripts/check_locks.py
	$(VENV)/python manage.py makemigrations --check --dry-run
	SEAMLESS_HTTPS=1 SEAMLESS_REQUIRE_SECRET_KEY=1 \
		SEAMLESS_SECRET_KEY=$$($(VENV)/python -c 'import secrets; print(secrets.token_hex(40))') \
		$(VENV)/python manage.py check --deploy --fail-level WARNING

lint: set-up-dev  ## Style and common mistakes (ruff)
	$(VENV)/ruff check
	$(VENV)/ruff format --check

format: set-up-dev  ## Rewrite the code in the house style
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

# The largest set first: the others are parts of it, with the same versions.
lock:  ## Write requirements*.txt from pyproject.toml (UPGRADE=1: newest versions)
	$(LOCK) $(if $(UPGRADE),--upgrade) --group dev --all-extras -o requirements-dev.txt
	$(LOCK) --extra demo -c requirements-dev.txt -o requirements-demo.txt
	$(LOCK) -c requirements-dev.txt -o requirements.txt
	$(VENV)/python scripts/check_locks.py

dashboards: set-up-dev  ## Write the Grafana dashboards to build/dashboards
	@$(VENV)/python scripts/render_dashboards.py build/dashboards

readme: set-up  ## Put what the tour prints into the README
	$(VENV)/python -m demo | $(VENV)/python scripts/refresh_readme.py

clean:  ## Remove what the set-up, the tests and the stack made, data in var/ included
	@for lock in $(wildcard var/stack.lock var/*/stack.lock); do \
		flock --nonblock $$lock true || \
		{ echo "A stack is running (process $$(cat $$lock)): stop it first."; exit 1; }; done
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

set-up: python
	@$(PYTHON) scripts/bootstrap.py demo

set-up-dev: python
	@$(PYTHON) scripts/bootstrap.py dev

python:
	@command -v $(PYTHON) >/dev/null || { echo "No '$(PYTHON)' here. Way out: apt-get install" \
		"python3, or name another one: make PYTHON=/path/to/python3.11 demo"; exit 1; }
