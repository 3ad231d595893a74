# vidtag: `make help` lists what there is. Every target sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup demo places own test test-slow test-faults check keys bench pictures dev mlflow clean
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false
export GX_ANALYTICS_ENABLED := false

help: ## print this list
	@sed -nE 's/^([a-z-]+):.*## /\1\t/p' Makefile

setup: ## make both environments and the settings (quick when nothing changed)
	@./set-up

demo: setup ## run the main job: from nothing to a promoted model and a located video
	@python -m orchestration.demo

places: setup ## after the demo: train, evaluate and register CityGuessr (the job name_places)
	dagster job execute -m orchestration.definitions -j name_places

own: setup ## with FOLDER=...: a model of the places that your own recordings show (docs/own-recordings.md)
	vidtag weights fetch efficientnet_lite0
	vidtag ingest "$(FOLDER)" --dataset own
	vidtag ingest --params params/own.yaml
	vidtag features --params params/own.yaml
	vidtag train revisit --params params/own.yaml
	vidtag bundle revisit --params params/own.yaml
	vidtag evaluate revisit --params params/own.yaml

check: setup ## lint, format and types
	ruff check . && ruff format --check .
	mypy

test: check ## check, then all tests but those of the next two
	pytest -n auto --maxprocesses 2 --dist loadfile -m "not slow and not faults"

test-slow: setup ## the slow tests: thousands of made-up recordings, more presets of the papers
	pytest -n auto --maxprocesses 2 --dist load -m slow

test-faults: setup ## kill the graph 100 times (VIDTAG_KILLS), fill the disk, alter files: 25 minutes
	pytest -n auto --maxprocesses 2 --dist load -m faults

keys: setup ## after a change of code: note in vidtag_ml/code.json which stages it makes out of date
	python -m vidtag_ml.workflow.code_key

bench: setup ## train and measure every model and ablation on Flyover: one table in out/benchmark
	vidtag benchmark

pictures: setup ## take the pictures of the map page in docs/ anew, by their test (needs Chromium)
	VIDTAG_PICTURES=docs pytest -q tests/vidtag_ml/plots/viewer/test_pictures.py

dev: setup ## open the asset graph: Dagster's UI on http://127.0.0.1:3000, data docs on 3001
	@python -m vidtag_assets.workspace.data_docs dagster dev

mlflow: setup ## open runs, metrics and the model registry on http://127.0.0.1:5000
	@python -m vidtag_assets.workspace.home
	mlflow ui --workers 1 --backend-store-uri sqlite:///mlflow.db

clean: ## remove both environments and the caches of tools (not data, out or mlflow.db)
	rm -rf .uv .venv .venv-dvc .mypy_cache .ruff_cache .pytest_cache
