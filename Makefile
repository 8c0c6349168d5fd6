# Two commands do all: make demo, make test. Both install what they need into .venv first.
# Another Python: make setup PYTHON=/path/to/python3.12. More extras: make setup EXTRAS=lite,export.
# The tests take all of them, so that nothing is skipped for want of a package.

EXTRAS ?= lite
TEST_EXTRAS := lite,dev,bench,export,openvino,ncnn,results,track,completion,serve,ray,large,hub
comma := ,
VENV := .venv
PY := $(VENV)/bin/python
STAMP = $(VENV)/.installed-$(subst $(comma),+,$(1))

# The first Python of the machine that is new enough, unless PYTHON names one.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$p" -c '$(NEW_ENOUGH)' 2>/dev/null && { echo "$$p"; break; }; done)

DEMO := configs/lighthead_shufflev2star_demo.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo test test-slow gpu-report lint format clean

help:  ## show these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(call STAMP,$(EXTRAS))  ## make .venv and install lighthead into it (pinned versions, wheels only)

setup-test: $(call STAMP,$(TEST_EXTRAS))

$(VENV)/.installed-%: pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "error: lighthead needs Python 3.11 or newer: make setup PYTHON=/path/to/python3.11" >&2; \
		exit 2; }
	@test -x $(PY) || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "error: $(PYTHON) cannot make a virtual environment: on Debian and Ubuntu," \
			"apt-get install -y python3-venv" >&2; exit 2; }
	@echo "installing into $(VENV) (torch brings about 4 GB of libraries; minutes)"
	$(PY) -m pip install --quiet --only-binary=:all: -c constraints.txt setuptools
	$(PY) -m pip install --quiet --only-binary=:all: -c constraints.txt --no-build-isolation \
		--editable '.[$(subst +,$(comma),$*)]'
	@$(PY) -c 'import lighthead'
	@touch $@

demo: setup  ## train on the data that ships, print the COCO table, draw boxes
	rm -rf work_dirs/demo outputs/demo
	$(PY) tools/train.py $(DEMO) --from-scratch --work-dir work_dirs/demo
	$(PY) tools/test.py $(DEMO) work_dirs/demo/best.pth --work-dir work_dirs/demo/test
	$(PY) tools/infer.py work_dirs/demo/best.pth data/demo/val --out-dir outputs/demo

test: setup-test  ## the tests, without the slow ones
	$(PY) -m pytest -n 2 -m 'not slow'

test-slow: setup-test  ## the slow tests: kills, resumes, trainings
	$(PY) -m pytest -n 2 --dist loadfile -m slow

GPU_FLAGS ?= --device cuda

gpu-report: setup-test  ## measure all that a GPU should be measured for, into outputs/gpu (25 minutes)
	$(PY) tools/speed.py gpu $(GPU_FLAGS) --out outputs/gpu

lint: setup-test  ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: setup-test  ## put the style right
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:  ## remove .venv and what the tools wrote
	rm -rf $(VENV) build dist *.egg-info work_dirs outputs .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
