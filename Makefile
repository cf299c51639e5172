# Everything a developer, an operator or CI runs. Needs Python 3.11 or newer, and make; each target sets itself up.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Test processes: twice the two cores that CI and laptops have at least, because many tests wait for processes and clocks.
JOBS   ?= 4

# Dozens of processes are started here: each would compile every module that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up test tests check lint crds docs rules requirements bench simulate chaos fuzz fuzz-api clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/' | expand -t 14

demo: $(VENV)/.local  ## Play the whole story on an embedded cluster, broker and registry
	@$(BIN)/image-catalog local demo

up: $(VENV)/.local  ## Run the stack until Ctrl-C, with a line per event
	@$(BIN)/image-catalog local up

test: $(VENV)/.dev  ## Run every check and every test, with branch coverage
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory -j 2 lint tests
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report
	@echo "lines left out of coverage, each with its reason beside it: $$(grep -rn 'pragma: no cover' shared functions | wc -l)"

# Tests write half a gigabyte of small files, and a disk takes several times as long for each as memory does.
MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 2000000 { print "/dev/shm" }')

# One process compiles the tests of a fresh clone before three of them would, under coverage, in more than twice the time.
# The tests of a file go to one process: they share what takes long to start.
tests: $(VENV)/.dev  ## Run every test alone, and note what is covered
	-@$(BIN)/pytest -q --collect-only >/dev/null
	@folder=$$(mktemp -d $(addprefix -p ,$(MEMORY))); trap 'rm -rf "$$folder"' EXIT; trap 'exit 130' INT TERM; \
	TMPDIR=$$folder $(BIN)/coverage run -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: lint  ## Lint, types, layers, and everything that is generated or compared
	$(BIN)/pytest -q tests/knative tests/functions/test_rights.py tests/test_house.py tests/test_docs.py

lint: $(VENV)/.dev  ## Lint, types and layers alone, and what is generated
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/image-catalog crds --check
	$(BIN)/image-catalog schemas --check
	$(BIN)/python -m image_catalog.cli.reference --check
	$(BIN)/python -m image_catalog_functions.api.reference --check

crds: docs rules  ## Write everything that is generated: CRDs, event schemas, rendered manifests, and what make docs writes
	$(BIN)/image-catalog crds
	$(BIN)/image-catalog schemas
	$(BIN)/python -m image_catalog.local.manifests

docs: $(VENV)/.dev  ## Write the pages of docs/reference from the code
	$(BIN)/python -m image_catalog.cli.reference
	$(BIN)/python -m image_catalog_functions.api.reference

rules:  ## Write the alerts for the Prometheus Operator from those for any Prometheus
	@sed -i '/^spec:/q' knative/monitoring/prometheus-rule.yaml
	@sed -n '/^groups:/,$$p' knative/monitoring/rules.yaml | sed 's/^\(.\)/  \1/' >> knative/monitoring/prometheus-rule.yaml

bench: $(VENV)/.dev  ## Measure, side by side in one run; prints a table and writes build/bench.json
	$(BIN)/python tests/bench/run.py

simulate: $(VENV)/.dev  ## Run 3,000 seeded worlds in which everything goes wrong: SEEDS=20000 for more, SEED=7 tells of one, MUTATIONS=1 breaks rules
	@$(BIN)/python $(if $(MUTATIONS),tests/simulation/hunt.py,tests/simulation/run.py) $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS))

chaos: $(VENV)/.dev  ## Kill, freeze and cut off the parts of a busy stack for 5 minutes; SECONDS=60 SEED=7 for others
	$(BIN)/python tests/chaos/run.py $(addprefix --seconds ,$(SECONDS)) $(addprefix --seed ,$(SEED))

fuzz-api: $(VENV)/.dev  ## Send 10,000 generated requests to the API of a stack, and judge every answer
	$(BIN)/python tests/fuzz/run.py

fuzz: $(VENV)/.dev  ## Read 120,000 generated manifests, challenges, references, docker configs, events and registries
	$(BIN)/pytest -q -n $(JOBS) --hypothesis-profile=fuzz --timeout=1800 tests/fuzz

requirements: $(VENV)/.dev  ## Pin the newest versions that fit, with hashes
	$(BIN)/uv pip compile -q -U requirements/bootstrap.in $(PINS) -o requirements/bootstrap.txt
	$(BIN)/uv pip compile -q -U pyproject.toml --extra local --group dev $(PINS) -o requirements/dev.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra local $(PINS) -c requirements/dev.txt -o requirements/local.txt
	$(BIN)/uv pip compile -q pyproject.toml $(PINS) -c requirements/dev.txt -o requirements/runtime.txt

# No index and no file URL in the files: they name packages, versions and hashes only.
PINS := --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --universal --python-version 3.11

clean:  ## Remove everything that was made here
	rm -rf $(VENV) build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.bootstrap: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with PYTHON=python3.11 make …" >&2; exit 1; }
	@echo "setting up $(VENV), once …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.local: $(VENV)/.bootstrap requirements/local.txt pyproject.toml
	@$(call install,requirements/local.txt)
	@touch $@

$(VENV)/.dev: $(VENV)/.bootstrap requirements/dev.txt pyproject.toml
	@$(call install,requirements/dev.txt)
	@touch $@ $(VENV)/.local

# The package itself goes in editable, so that a change of the source is a change of the installation.
define install
VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --require-hashes -r $(1) && \
VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps --no-build-isolation -e .
endef
