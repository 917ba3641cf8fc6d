# Every target needs Python 3.11 or newer; `env` makes the rest. `make` alone prints what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh
ENV ?= .venv
PYTHON ?= python3
BIN := $(ENV)/bin
STAMP := $(ENV)/.complete
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.complete
export PYTHON

.PHONY: help env demo demo-verify test test-quick simulate smoke browser foreign check lint types imports format bench bench-quick peers chaos chaos-long topics lock clean

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## make the virtual environment (hashed lock, then this tree and the client)

$(STAMP): requirements/dev.txt pyproject.toml client/pyproject.toml ops/scripts/env
	@ops/scripts/env $(ENV) requirements/dev.txt
	@touch $@

demo: $(STAMP) ## a fleet, an incident and its page, on a real broker, on this machine
	@$(BIN)/tocsin demo $(ARGS)

demo-verify: $(STAMP) ## the demo, then its ledger checked: nothing lost, nothing counted twice
	@$(BIN)/tocsin demo --verify $(ARGS)

test: $(STAMP) ## all tests, on a real broker (ARGS="-k word" chooses)
	@$(BIN)/python -m pytest $(ARGS)

test-quick: $(STAMP) ## the tests that need no broker and no patience
	@$(BIN)/python -m pytest -m "not broker and not slow" $(ARGS)

simulate: $(STAMP) ## many worlds on a virtual clock, with faults (ARGS="--seeds 5000 --from 0")
	@PYTHONPATH=.:client/src $(BIN)/python -m tests.simulation $(ARGS)

smoke: $(STAMP) ## Kafka Streams' own SmokeTestDriver judges a job of ours that is killed as it runs (ARGS=--quick)
	@PYTHONPATH=.:client/src $(BIN)/python -m tests.foreign.smoke $(ARGS)

foreign: $(STAMP) ## clients and an identity provider that others wrote, against the gateway (brings them first; Go, where it is)
	@$(BIN)/python -m tests.foreign.bring
	@TOCSIN_FOREIGN=1 $(BIN)/python -m pytest -m foreign tests/foreign $(ARGS)

browser: $(STAMP) ## the page's script in a real Chromium (ops/scripts/debian-chromium installs it)
	@$(BIN)/python -m pytest tests/browser $(ARGS)

check: lint types imports ## what CI checks before the tests

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

imports: $(STAMP)
	@PYTHONPATH=.:client/src $(BIN)/lint-imports --no-logo

format: $(STAMP) ## rewrite the code in the house's form
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

peers: $(PEERS_STAMP) ## the environment of the benchmark's peers, whose pins are not ours

$(PEERS_STAMP): requirements/peers.txt ops/scripts/env
	@ops/scripts/env $(PEERS) requirements/peers.txt bare
	@touch $@

bench: $(STAMP) $(PEERS_STAMP) ## the benchmark, with its peers, on this machine
	@$(BIN)/python -m bench $(ARGS)

bench-quick: $(STAMP) $(PEERS_STAMP) ## the benchmark in its short form
	@$(BIN)/python -m bench --quick $(ARGS)

chaos: $(STAMP) ## faults on a cluster of three brokers, judged by a ledger; three minutes, fixed seeds
	@$(BIN)/python -m proof $(ARGS)

chaos-long: $(STAMP) ## the same with hundreds of kills
	@$(BIN)/python -m proof --long $(ARGS)

topics: $(STAMP) ## print the table of topics
	@$(BIN)/tocsin topics $(ARGS)

lock: ## write requirements/*.txt anew (needs uv)
	@ops/scripts/lock $(ARGS)

clean: ## remove what was built (the environment, caches, the demo's broker files)
	@rm -rf $(ENV) $(PEERS) .tocsin .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
