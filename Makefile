# Everything a fresh machine needs: `make run` and `make test` set themselves up in .venv and then do their work.
# The environment; one of its own for each engine.
VENV  ?= .venv$(if $(filter gpu,$(EXTRA)),-gpu)
BIN   := $(VENV)/bin
# A Python 3.11 or 3.12 to make the environment with; found when none is named (make setup PYTHON=…).
PYTHON ?=
# Which engine: cpu, or gpu (then torch and vLLM in their CUDA builds, some 10 GB).
EXTRA  ?= cpu
# What setting up costs, for the message that begins it.
SIZE   := $(if $(filter gpu,$(EXTRA)),about 10 GB,about two minutes and 4 GB)
# Name of the run that `make run` makes: runs/NAME. A new one each time, so that it can be repeated.
RUN    ?= tiny-$(shell date +%m%d-%H%M%S)
OPTIONS ?=
# The rules of the game and its books: no engine, no learner, no Ray.
PURE_PARTS := game advantages buffers journal ledger metrics staleness config
PURE_TESTS := $(addprefix tests/,game advantages buffers journal ledger staleness config rewards paper \
	test_batch.py test_metrics.py test_extending.py)
LOCK   := requirements/$(EXTRA).lock
STAMP  := $(VENV)/.azr-set-up-$(EXTRA)
# PyTorch's own index holds the +cpu wheel; asked only when the configured indexes and find-links do not have it.
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu

.DEFAULT_GOAL := help
.PHONY: help setup run tour test check soak coverage guest clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP)  ## create .venv with the locked packages and azr itself (EXTRA=gpu for CUDA)

# The stamp is younger than what the environment was made from; editing either brings it up to date, in seconds.
$(STAMP): $(LOCK) pyproject.toml tools/install_locked.py
	@echo "azr: setting up $(VENV) ($(SIZE) the first time)"
	@python=$$(tools/find_python.sh "$(PYTHON)") && { test -x $(BIN)/python || "$$python" -m venv $(VENV); }
	@$(BIN)/python tools/install_locked.py $(LOCK) $(if $(filter cpu,$(EXTRA)),--torch-cpu-index $(TORCH_CPU_INDEX))
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup  ## train the embedded model by self-play for ten minutes (RUN=name, OPTIONS='key=value …')
	@$(BIN)/azr train --config tiny run.name=$(RUN) $(OPTIONS)

tour: setup  ## look at the machine, then run programs, good and hostile, in the sandbox
	@$(BIN)/azr doctor
	@echo
	@$(BIN)/azr exec benchmarks/programs/sample.jsonl | $(BIN)/python tools/tour.py benchmarks/programs/sample.jsonl

test: setup  ## all tests (the long forms are in `make soak`)
	@$(BIN)/python -m pytest -m "not soak"

check: setup  ## linter, formatter, strict types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

soak: setup  ## the long forms of tests, and half an hour of kills in a whole run; results are written
	@$(BIN)/python -m pytest -m soak
	@$(BIN)/azr bench soak

coverage: setup  ## statements and branches of the pure parts that their own tests reach; 95 % at least
	@$(BIN)/python -m pytest -m "not soak" -q $(PURE_TESTS) $(addprefix --cov=azr.,$(PURE_PARTS)) --cov-branch \
		--cov-report=term-missing:skip-covered --cov-fail-under=95

guest: setup  ## rebuild the WebAssembly guest (needs node and npm, takes minutes) and test what was built
	$(BIN)/python -m sandbox_wasm.guest_build
	$(BIN)/python -m pytest tests/sandbox_wasm tests/attacks -m "not soak"

clean:  ## remove what was built (not the results)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
