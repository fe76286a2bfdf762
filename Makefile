# Batuta: everything that a newcomer and the tests need. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install test-tools test-servers run test test-fast lint audit bench simulate faults containers

BIN := .venv/bin
SERVERS := $(BIN)/python -m tests.support.servers --
# Two workers share the servers; a file stays with one worker, so a server that its tests own starts once.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

help: ## Say what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Make .venv with the saga command in it
	@scripts/install

run: install ## Start the API, a coordinator and the demo participants on port 8003
	@$(BIN)/saga demo

test-tools: ## Add what the tests and linters need to .venv
	@scripts/install tests

test-servers: test-tools ## Get a RabbitMQ and a mongod for the tests
	@scripts/test-servers

test: test-servers lint audit ## Run the linters and all tests on real servers (some minutes)
	$(SERVERS) $(PYTEST) -m "not faults"

test-fast: test-tools ## Run the tests that need no server (seconds)
	$(PYTEST) -m "not servers and not acceptance and not faults"

lint: test-tools ## Check style, types, the direction of imports and the container files
	@scripts/lint

audit: test-tools ## Look for known vulnerabilities in the locked packages
	@$(BIN)/python scripts/audit.py

bench: test-servers ## Measure everything beside its baselines (an hour); SUBJECTS="throughput start" for some
	@$(BIN)/python -m benchmarks $(SUBJECTS)

simulate: test-tools ## Run the coordinators under seeded faults: SEEDS=2000, or SEED=7 for one run again
	@$(BIN)/python -m tests.simulation

faults: test-servers ## Kill processes and servers, the long matrix
	$(SERVERS) $(BIN)/python -m pytest -m faults

containers: test-tools ## Build the image, run docker-compose.yml, break it, take it down (Docker, or podman as root)
	@$(BIN)/python -m tests.containers
