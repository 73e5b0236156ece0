# The project's commands. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url --generate-hashes

.DEFAULT_GOAL := help
.PHONY: help install dev worker manage test test-fast check map bench format lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make dev heeds PORT (3000), SANDBOX_PORT (3001), DEV_STATE (.dev), PUBLIC_URL and every"
	@echo "  setting of the server; make dev PORT=3100 SANDBOX_PORT=3101 DEV_STATE=.dev2 runs a second one."
	@echo "  Tests that need a browser use the machine's Chromium (CHROMIUM=<path> names another); without"
	@echo "  one they are skipped and the summary says so, and with CI=true they fail."

install: ## Create .venv with the locked dependencies; does nothing when they are there
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] <= (3, 13) else "Python 3.11 to 3.13 is needed, and $(PYTHON) is %d.%d. Name another: make install PYTHON=python3.13" % v[:2])'
	@version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	wanted=$$($(PYTHON) -c 'import hashlib; print(hashlib.sha256(open("requirements/development.txt", "rb").read()).hexdigest())'); \
	if [ "$$(cat $(STAMP) 2>/dev/null)" != "$$version $$wanted" ]; then \
		echo "Installing the dependencies into $(VENV) ..."; \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) comes without venv here. On Debian and Ubuntu: apt install python3-venv; then try again."; exit 1; }; \
		rm -f $(STAMP); \
		[ -x $(BIN)/python$$version ] || $(PYTHON) -m venv --clear $(VENV) || exit 1; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt || exit 1; \
		echo "$$version $$wanted" > $(STAMP); \
	fi

dev: install ## Run the server, its database and the sandbox on this machine; Ctrl-C stops them
	@$(BIN)/python -m dev

worker: install ## Run one more worker beside `make dev`, in the same state folder
	@$(BIN)/python -m dev.manage worker

manage: install ## Run manage.py on the development database (ARGS="changepassword operator")
	@$(BIN)/python -m dev.manage $(ARGS)

test: install ## Run every test, in parallel, on a PostgreSQL of its own (ARGS="-k login" narrows it, ARGS=--changed begins with what you changed)
	@$(BIN)/python -m dev.programs
	@$(BIN)/python -m pytest -n auto --dist worksteal --durations=10 $(ARGS)

test-fast: install ## Run one test of each file about the apps and their services, in less than a minute
	@$(BIN)/python -m pytest -n auto --dist worksteal --fast tests/accounts tests/clouddev/api tests/clouddev/services \
		tests/core tests/deployments/api tests/deployments/services tests/fly tests/integrations $(ARGS)

check: install ## Run all static checks, then the tests (STEPS="types lint" runs only these)
	@$(BIN)/python -m dev.programs
	@$(BIN)/python -m dev.check $(STEPS)

map: ## Print the layers and what each folder and module is for (ARGS="clouddev" narrows it)
	@$(PYTHON) -m dev.map $(ARGS)

bench: install ## Measure speed beside a bare WSGI server; needs wrk (ARGS="check --rounds 1" narrows it)
	@$(BIN)/python -m bench $(ARGS)

format: install ## Format the code and apply the lint rules' safe fixes
	@$(BIN)/python -m ruff format .
	@$(BIN)/python -m ruff check --fix .

lock: install ## Resolve the dependencies anew into requirements/*.txt, with hashes
	$(LOCK) --upgrade -o requirements/production.txt
	$(LOCK) --upgrade --group dev -c requirements/production.txt -o requirements/development.txt

clean: ## Delete .venv, the development database and everything else that was generated
	@[ ! -x $(BIN)/python ] || $(BIN)/python -m dev.clean
	rm -rf $(VENV) .dev static build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
