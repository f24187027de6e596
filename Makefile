# make run: set up and run the whole lifecycle on the bundled data. make test: set up, lint, types, tests.
VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := $(VENV)/bin
EXPERIMENT ?= elec
STREAM ?= elec
WORKERS ?= -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup run test test-all lint ui figures bench backtest policies monitor setup-batch batch prefect secrets stores-test containers-test taxi pictures docs lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 is needed, this is " + sys.version.split()[0]) if sys.version_info[:2] != (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.txt requirements.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c requirements.lock
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c requirements.lock
	@touch $@

$(VENV)/monitor.stamp: requirements-monitoring.txt requirements-embedded.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-monitoring.txt -r requirements-embedded.txt -c requirements.lock
	@touch $@

$(VENV)/batch.stamp: requirements-batch.txt $(VENV)/monitor.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-batch.txt -c requirements.lock
	@touch $@

$(VENV)/spark.stamp: requirements-spark.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-spark.txt -c requirements.lock
	@touch $@

$(VENV)/docs.stamp: requirements-docs.txt $(VENV)/monitor.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt -c requirements.lock
	@touch $@

setup: $(VENV)/run.stamp ## the environment, in .venv

run: $(VENV)/run.stamp ## the whole lifecycle on ELEC; then `make ui` shows it
	$(BIN)/python lifecycle.py --mlflow_experiment_name $(EXPERIMENT) --report report.html

figures: $(VENV)/run.stamp ## the lifecycles of the README and their figures
	$(BIN)/python -m benchmarks.figures

bench: $(VENV)/run.stamp ## scoring through TorchServe, beside the original's way
	$(BIN)/python -m benchmarks.scoring

backtest: $(VENV)/run.stamp ## ELEC under every retraining policy; which to choose
	$(BIN)/python backtest.py --mlflow_experiment_name $(EXPERIMENT) --jobs 2 --plot backtest.png

monitor: $(VENV)/monitor.stamp ## the services around the model, on a replay of ELEC; Ctrl-C ends them
	$(BIN)/python -m monitoring local

setup-batch: $(VENV)/batch.stamp ## the environment with what batch monitoring needs

batch: $(VENV)/batch.stamp ## measure and report the last month of a stream in the prediction log: make batch STREAM=taxi
	$(BIN)/python -m monitoring batch run --stream $(STREAM) --window last-month

prefect: $(VENV)/batch.stamp ## a Prefect server on this machine, for `monitoring batch serve`
	PREFECT_SERVER_ANALYTICS_ENABLED=false $(BIN)/prefect server start --host 127.0.0.1 --port 4200

secrets: ## the passwords of docker-compose.yaml, in .env, made once
	@if [ -e .env ]; then echo ".env is there already: its passwords stay"; else umask 077 && sh ops/docker/secrets.sh > .env.new && mv .env.new .env && echo "wrote .env"; fi

stores-test: $(VENV)/dev.stamp ## the main paths on SQLite, PostgreSQL and with a login, and a store that is unreachable for a minute; needs Debian's postgresql
	$(BIN)/python -m pytest -m slow tests/end_to_end/test_stores.py tests/end_to_end/test_store_faults.py

containers-test: $(VENV)/dev.stamp ## docker-compose.yaml run for real, as root on Debian: start, drift, restart, kill; about 25 minutes
	DRIFTLOOP_CONTAINERS=1 $(BIN)/python -m pytest -v -x --tb=short -p no:cacheprovider -o log_cli=true -o log_cli_level=INFO -o log_cli_format='%(asctime)s %(message)s' --log-file=containers-test.log --log-file-level=INFO --log-file-format='%(asctime)s %(message)s' tests/end_to_end/containers

policies: $(VENV)/run.stamp ## the policies compared, as benchmarks/policies.md shows them
	$(BIN)/python -m benchmarks.policies

taxi: $(VENV)/run.stamp ## the New York taxi example: a regression, week by week through 2020
	$(BIN)/python lifecycle.py --learner examples.nyc_taxi.learner:TAXI --mlflow_experiment_name taxi --report taxi.html

pictures: $(VENV)/dev.stamp ## take docs/images again; needs Debian's chromium and chromium-driver
	$(BIN)/python -m docs.take_screenshots

docs: $(VENV)/docs.stamp ## README and docs as a site, in site/; writes their tables first; a dead link fails
	$(BIN)/python -m docs.tables
	$(BIN)/mkdocs build --strict

lint: $(VENV)/dev.stamp ## ruff, mypy, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## lint and the tests, about 20 minutes
	$(BIN)/python -m pytest $(WORKERS)

test-all: lint ## the slow tests, too
	$(BIN)/python -m pytest $(WORKERS) -m 'slow or not slow'

ui: $(VENV)/run.stamp ## the MLflow UI on what was run here, with the address of the newest run; Ctrl-C ends it
	$(BIN)/python -m driftloop.ui

lock: $(VENV)/dev.stamp ## write down what is installed, after a change of the pins
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' > requirements.lock

clean: ## remove the environment; runs and data stay
	rm -rf $(VENV)
