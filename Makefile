# deepgpu. `make help` lists the targets; each makes what it needs, in a virtual environment built once.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
FASHION := /usr/share/datasets/fashion-mnist
# Two test processes on a small machine: the threads of NumPy's BLAS and of PyTorch would only get in each other's way.
TEST_ENV := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=2

.PHONY: help train data examples test test-full lint typecheck format bench bench-quick kernels-check gpu-report wheel-check clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/run: pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	touch $@

.venv/dev: .venv/run
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

train: data  ## train a ResNet on Fashion-MNIST (a few minutes on 2 cores)
	$(BIN)/deepgpu train --model resnet8 --data fashion-mnist --epochs 5 --device auto --out runs/fashion-mnist

data: .venv/run  ## get Fashion-MNIST: from Debian's package where apt and root are there, else by download
	@if [ -d $(FASHION) ]; then \
	  echo "Fashion-MNIST is in $(FASHION)"; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && apt-get install -qq -y dataset-fashion-mnist; \
	else \
	  $(BIN)/deepgpu data fashion-mnist --download; \
	fi

.venv/examples: .venv/run
	$(BIN)/python -m pip install --quiet --editable '.[examples]'
	touch $@

examples: data .venv/examples  ## the studies of the course in quick mode, and their gallery (a few minutes)
	$(BIN)/python examples/gallery.py

test: .venv/dev  ## all tests that need no GPU
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-full: .venv/dev  ## the same, and the large grids of the kernels' tests
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not gpu' $(ARGS)

lint: .venv/dev  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/dev  ## put files into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: .venv/dev  ## types
	$(BIN)/mypy

bench: .venv/dev  ## kernel benchmarks against PyTorch
	$(BIN)/python -m benchmarks $(ARGS)

bench-quick: .venv/dev  ## fewer rounds, only the main cases
	$(BIN)/python -m benchmarks --quick --rounds 2 $(ARGS)

kernels-check: .venv/dev  ## compile every CUDA kernel for six architectures, hold it to its bounds, write the table
	$(BIN)/python -m deepgpu.backends.cuda.judge --write kernels/README.md $(ARGS)

gpu-report:  ## all tests and benchmarks on this machine's GPU, in nine minutes; fails without one
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m benchmarks.gpu $(ARGS)

wheel-check: .venv/dev  ## build the wheel, look into it, use it without the checkout
	$(BIN)/python -m pytest tests/test_wheel.py

clean:  ## remove the virtual environment, caches and build leftovers
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
