"""The GPU benchmark imports and plans its work without a GPU; its shares are arithmetic."""

import argparse
import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import Qwen2Config

from onerl.training import memory

FILE = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("gpu_benchmark", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def given(**changes):
    return argparse.Namespace(**{"small": False, "backend": "torch", "steps": 3} | changes)


def test_a_step_is_1024_rollouts_of_up_to_1024_tokens_on_the_papers_shape(gpu):
    recipe = gpu.recipe_for(given(), Path("model"))
    assert recipe.prompts_per_step * recipe.num_generations == 1024
    assert recipe.max_completion_length == 1024
    shape = memory.shape_of(Qwen2Config(**gpu.SHAPE))
    assert shape.parameters == 1_543_714_304


def test_shares_are_of_the_least_arithmetic_and_traffic(gpu):
    recipe = gpu.recipe_for(given(), Path("model"))
    shape = memory.shape_of(Qwen2Config(**gpu.SHAPE))
    result = {"mean_completion_tokens": 1000, "prompt_tokens": 0, "update_s": 100, "rollout_s": 50}
    shares = gpu.shares(result, {"matmul_tflops": 500, "copy_gb_per_s": 2000}, recipe, shape)
    forward = 2 * 1.5437e9 + 4 * 28 * 1536 * 500
    assert shares["update_share_of_matmul"] == pytest.approx(
        4 * forward * 1_024_000 / 100 / 500e12, rel=1e-3
    )
    traffic = 1000 * (2 * 1.5437e9 + 1024 * 500 * 28672)
    assert shares["rollout_share_of_copy"] == pytest.approx(traffic / 50 / 2e12, rel=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_it_refuses_to_pass_a_cpu_off_as_a_gpu(gpu, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="no GPU here"):
        gpu.main()
