# `make` alone lists what there is. Variables: PYTHON, TARGET, TEMPLATE, STACK_NAME, MESSAGE, TO, KICK,
# USER_ID, ENDPOINT, YES, BENCH, SECTIONS, PEERS, SOAK_SECONDS, SOAK_SEED, IAC=terraform, PARAMETERS="Name=value ...", TAGS="key=value ...", USAGE and
# everything in .env.example, on the command line or in the environment.

# Taken as they were typed: neither make nor the shell reads anything into a message.
override MESSAGE := $(value MESSAGE)
override TO := $(or $(value TO),all)
override KICK := $(value KICK)
override USER_ID := $(or $(value USER_ID),demo)
PYTHON ?= python3
TARGET ?= embedded
# What integration-test runs on where no TARGET is named: the dev container says localstack.
INTEGRATION_TARGET ?= embedded
TEMPLATE ?= infra/template.yaml
STACK_NAME ?= socketstack
export

.DEFAULT_GOAL := help
.PHONY: help setup local-up local-down logs token ticket push kick doctor build fmt lint scan types \
	test integration-test parity bench soak check aws-deploy aws-destroy aws-cost clean

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[36m%-17s\033[0m %s\n", $$1, $$2}' Makefile

setup: ## make .venv with everything for development
	@scripts/venv dev

local-up: ## start the engine, build, deploy, and serve the page (TARGET=embedded, docker, localstack, localstack-host)
	@scripts/run local-up

local-down: ## stop everything that local-up started
	@scripts/run local-down

logs: ## follow every step: handshake, decision, route, function, reply
	@scripts/run logs

token: ## mint a short-lived token (USER_ID=demo)
	@scripts/run token

ticket: ## issue a one-time ticket, where ConnectTickets=true (USER_ID=demo)
	@scripts/run ticket

push: ## send MESSAGE="text" to clients (TO=all, TO=user:NAME, TO=connection:ID)
	@scripts/run push

kick: ## close connections (KICK=user:NAME, KICK=connection:ID or KICK=all)
	@scripts/run kick

doctor: ## examine the deployed API and try handshakes that must fail (any TARGET)
	@scripts/run doctor

build: ## build functions and layers into .build (TARGET=embedded or aws)
	@scripts/run build

fmt: ## format the sources
	@scripts/venv dev
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix-only --quiet .

lint: ## check style, template and formatting
	@scripts/venv dev
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/cfn-lint "$$TEMPLATE"

scan: ## look for what is insecure in template and Terraform module (checkov)
	@scripts/scan

types: ## check types, strictly
	@scripts/venv dev
	@scripts/types

test: ## run every test that this machine can run (ARGS="-k name" for some)
	@scripts/venv dev
	@.venv/bin/pytest $(ARGS)

integration-test: TARGET := $(if $(filter file,$(origin TARGET)),$(INTEGRATION_TARGET),$(TARGET))
integration-test: ## run the example system against TARGET; on aws against the stack STACK_NAME, and asks first
	@scripts/run integration-test $(ARGS)

parity: ## check AWS's rules from outside (any TARGET; ENDPOINT=http://host:port for another tool)
	@scripts/run parity $(ARGS)

bench: ## measure against other servers (BENCH=quick|full, SECTIONS="echo idle", PEERS=no, ENDPOINT=...)
	@scripts/venv dev
	@.venv/bin/python -m benchmarks

soak: ## use the engine at random for SOAK_SECONDS=600: counts must come out even, nothing may leak
	@scripts/venv dev
	@.venv/bin/python -m benchmarks.soak

check: lint types test ## everything that a change must pass

aws-deploy: ## deploy to the AWS account of your credentials, and try it; asks first (YES=1 agrees)
	@scripts/run aws-deploy

aws-destroy: ## delete the stack and its packages from AWS; asks first (YES=1 agrees)
	@scripts/run aws-destroy

aws-cost: ## estimate a month on AWS (USAGE="connections=1000 messages-per-minute=1")
	@scripts/run aws-cost

clean: ## stop what runs and remove everything made here but .venv
	@test ! -x .venv/bin/socketstack || scripts/run local-down
	@rm -rf .build .socketstack .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage dist
