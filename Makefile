PY := .venv/bin/python
export OMP_NUM_THREADS ?= 1

.PHONY: help setup check test bench wheel table-more

help:  ## what can be made
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/'

setup:  ## a virtual environment in .venv with everything that development needs
	python3 -m venv .venv
	.venv/bin/pip install -q -c constraints.txt -e '.[dev]'

check:  ## lint and types
	.venv/bin/ruff check .
	.venv/bin/mypy

test:  ## the tests
	$(PY) -m pytest -q -n auto --dist worksteal

bench:  ## measure every speed claim into bench/results.json; fails where a target is missed
	mkdir -p build
	$(PY) -m pytest -q bench/bench_*.py --benchmark-only --benchmark-json build/bench.json; status=$$?; \
	$(PY) bench/results.py build/bench.json && exit $$status

wheel:  ## the wheel, built and looked over
	rm -rf dist
	$(PY) -m build -q --wheel --outdir dist .
	.venv/bin/check-wheel-contents dist

table-more:  ## go on training a shipped table's plan (DATA=its folder of images, HOURS=2, WORKERS=1, PLAN=cifar10-16px)
	$(if $(DATA),,$(error give DATA=FOLDER, the folder of the data set's images; README.md says what it must hold))
	$(PY) -m pnas_tables.build --plan $(or $(PLAN),cifar10-16px) --data $(DATA) \
		--workers $(or $(WORKERS),1) --hours $(or $(HOURS),2)
