# make demo    one real 1-shot RLVR run on the embedded world, table and figure at the end
# make test    pytest and nbval
# Both build .venv first, through `make setup`, which does nothing when .venv is current.
#
# Variables:
#   TORCH=cpu       on Linux, take torch's CPU build (0.2 GB) instead of the one with CUDA (3 GB)
#   PYTHON=python3  the Python (3.11 or newer) that .venv is made with

PYTHON ?= python3
TORCH ?=
TORCH_VERSION := 2.13.0
READY := .venv/ready

# One thread each: the embedded world's matrices are too small for more. Real models set their own.
export OMP_NUM_THREADS ?= 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)

NOTEBOOKS := notebooks/index.ipynb notebooks/base_model.ipynb notebooks/train.ipynb notebooks/ablation.ipynb

.PHONY: setup demo test lint clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "onerl needs Python 3.11 or newer, and $(PYTHON) is older: make setup PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),cpu)
	PIP_INDEX_URL=https://download.pytorch.org/whl/cpu .venv/bin/python -m pip install --quiet torch==$(TORCH_VERSION)
else
	.venv/bin/python -m pip install --quiet torch==$(TORCH_VERSION)
endif
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	@mkdir -p outputs/demo
	papermill notebooks/train.ipynb outputs/demo/train.ipynb --log-output --no-progress-bar

test: setup
	pytest tests --nbval $(NOTEBOOKS) --nbval-cell-timeout 900

lint: setup
	ruff check .
	ruff format --check .

clean:
	rm -rf .venv .pytest_cache .ruff_cache
