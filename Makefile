# Every target does its own set-up; `make help` lists them.
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Ansible starts Python twenty times: without compiled files that takes twice as long.
unexport PYTHONDONTWRITEBYTECODE
# A shell that has read .dev/env, or another chain's settings, means none of what is made or tried here.
unexport $(filter XIAN_%,$(.VARIABLES))

PLAY := $(BIN)/ansible-playbook -i inventories/dev
CONTRACTS := $(sort $(wildcard contracts/*.s.py contracts/genesis/*.s.py))

.PHONY: help dev dev-down test test-hosts as-root lint bench release lock toolchain stack-toolchain stack-there clean

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

dev: stack-toolchain ## A real node and the whole workflow backend on this machine, with one item through it
	@$(PLAY) playbooks/dev.yml
	@sed -n 's/^# \{0,1\}//p' .dev/env

dev-down: ## Stop what `make dev` started and remove what it made, its data too
	@python3 setup/dev_down.py

test: toolchain ## Unit, contract and integration tests; no root needed
	@$(BIN)/pytest --numprocesses auto --dist loadfile

test-hosts: as-root toolchain ## Scenarios on hosts that it boots, as root; one: make test-hosts ONLY=program
	@$(BIN)/python -m tests.hosts test $(ONLY)

lint: toolchain ## Style, types, layers, playbooks, YAML, contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy services/workflow_backend services/node/workflow_backend_node services/client/workflow_backend_client examples setup tests
	$(BIN)/lint-imports --no-logo
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline --strict
	$(BIN)/python setup/sync_client.py --check
	$(BIN)/python setup/lint_tasks.py
	$(BIN)/python setup/lint_contracts.py $(CONTRACTS)

bench: stack-there toolchain ## What the services do beside what the node allows; needs `make dev`
	@. .dev/env && $(BIN)/python -m tests.bench

release: toolchain ## One archive with all that a host runs, in dist/
	@$(BIN)/workflow-backend release build

lock: ## Renew the locked requirements with the newest versions that fit together
	@python3 setup/lock.py

clean: ## Remove the tools that set-up made; refuses while they run
	@python3 setup/clean.py

stack-there:
	@test -f .dev/env || { echo "error: no development stack: do this: make dev" >&2; exit 1; }

as-root:
	@[[ $$(id -u) -eq 0 ]] || { echo "error: only root can boot test hosts: do this: sudo make test-hosts" >&2; exit 1; }

toolchain stack-toolchain:
	@command -v python3 >/dev/null || \
	  { echo "error: python3 is missing: do this: sudo apt-get install python3 python3-venv" >&2; exit 1; }
	@python3 setup/toolchain.py $(if $(filter stack-%,$@),dev)
