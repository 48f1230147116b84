"""The choice of a backend, and rows as distinct prompts; vLLM itself is in test_vllm.py."""

from importlib.util import find_spec

import pytest
import torch
from small_models import tiny_model

from onerl.recipe import Recipe
from onerl.rollouts import Rollout, backends
from onerl.rollouts.draws import stream_seed
from onerl.rollouts.shared_prompt import SharedPromptSampler
from onerl.train import train
from onerl.training.trainer import OneShotTrainer

without_vllm = pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")


class Echo:
    """Answers every request with its prompt and its seed."""

    def sample(self, prompts, request):
        return [
            Rollout(p, [*prompts[p], seed], [0.0], "stop")
            for p, seed in zip(request.owners(prompts), request.seeds, strict=True)
        ]


def test_every_row_gets_its_own_prompt_and_stream_in_the_order_of_the_rows():
    rows = [[1, 2], [3], [1, 2], [3], [1, 2]]
    sampled = backends.sample_rows(
        Echo(), rows, seed=7, step=3, first=100, max_new_tokens=1, eos_ids={1}, temperature=1.0
    )
    assert [rollout.token_ids[:-1] for rollout in sampled] == rows
    streams = [rollout.token_ids[-1] for rollout in sampled]
    assert streams == [stream_seed(7, 3, 100 + row) for row in range(5)]


def test_auto_takes_vllm_only_on_a_gpu_that_has_it_and_never_for_the_world(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert backends.backend_for("auto", "Qwen/Qwen2.5-Math-1.5B") == "vllm"
    assert backends.backend_for("auto", "world") == "torch"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert backends.backend_for("auto", "Qwen/Qwen2.5-Math-1.5B") == "torch"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    assert backends.backend_for("auto", "Qwen/Qwen2.5-Math-1.5B") == "torch"


@without_vllm
@pytest.mark.parametrize("backend", ["vllm", "vllm-server"])
def test_a_backend_that_is_not_installed_names_the_extra_before_any_work(tmp_path, backend):
    recipe = Recipe(model="no such model", backend=backend)
    with pytest.raises(ValueError, match=rf"backend = '{backend}'.*pip install -e '\.\[vllm\]'"):
        OneShotTrainer(recipe, "no such model", None, tmp_path)


def test_the_evaluation_sampler_holds_the_stored_weights_and_refuses_what_it_cannot(tiny_model_dir):
    sampler = backends.sampler_for("auto", tiny_model_dir)
    assert isinstance(sampler, SharedPromptSampler)
    stored = tiny_model().state_dict()
    assert all(torch.equal(v, stored[k]) for k, v in sampler.model.state_dict().items())
    with pytest.raises(ValueError, match=r"'vllm-server': evaluation allows auto, torch and vllm"):
        backends.sampler_for("vllm-server", tiny_model_dir)


def test_the_mismatch_of_sampler_and_trainer_is_measured(tiny_model_dir, tmp_path, monkeypatch):
    recipe = Recipe(
        model=str(tiny_model_dir),
        prompt="world",
        examples={"problem": "What is 1+1?", "answer": "2"},
        steps=1,
        prompts_per_step=1,
        num_generations=4,
        max_completion_length=12,
        max_sampler_mismatch=1,
        backend="torch",
    )
    found = train(recipe, tmp_path / "as it is", progress=False).metrics["sampler_mismatch"]
    assert 0 < found[0] < 1e-5
    exact = SharedPromptSampler.sample

    def off(self, prompts, request):
        return [
            Rollout(r.prompt_index, r.token_ids, [v - 0.25 for v in r.logprobs], r.finish)
            for r in exact(self, prompts, request)
        ]

    monkeypatch.setattr(SharedPromptSampler, "sample", off)
    found = train(recipe, tmp_path / "shifted", progress=False).metrics["sampler_mismatch"]
    assert found[0] == pytest.approx(0.25, abs=1e-5)
