"""What a GPU or several would switch on, as far as a processor can show it."""

import gc
import os
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import short_recipe
from together import launched, together, train_sharded
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers import PreTrainedModel

import onerl
from onerl.training import config, sharding
from onerl.training.batches import chunks, pass_tokens
from onerl.training.trainer import OneShotTrainer

SMALL = {"prompts_per_step": 4, "num_generations": 4, "max_completion_length": 24, "steps": 2}


def test_one_process_keeps_the_model_on_one_gpu(tmp_path, tiny_model_dir, monkeypatch):
    """TRL would spread it over all of them, and refuse several GPUs without a launcher."""
    made = config.trl_config(short_recipe(tiny_model_dir, **SMALL), tmp_path)
    assert made.model_init_kwargs["device_map"] is None
    made._n_gpu = 8
    assert config.one_gpu(made).n_gpu == 1


def test_it_is_said_how_many_gpus_are_used_and_how_to_use_all():
    assert config.gpus_said(0, 1) == ""
    assert config.gpus_said(1, 1) == "GPUs: 1 of 1 used"
    said = config.gpus_said(8, 1)
    assert said.startswith("GPUs: 1 of 8 used")
    assert "--num_processes 8" in said
    assert "processes=8" in said


rollouts = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 200)), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(rollouts, st.integers(1, 3000), st.booleans())
def test_no_pass_of_several_rollouts_exceeds_the_budget(rollouts, budget, shared):
    prompts = [tuple(range(size)) for size, _ in rollouts]
    lengths = [length for _, length in rollouts]
    groups = chunks(prompts, lengths, range(len(rollouts)), budget, shared)
    assert sorted(row for group in groups for row in group) == list(range(len(rollouts)))
    for group in groups:
        assert len({prompts[row] for row in group}) == 1
        width = max(1, *(lengths[row] for row in group), 0)
        cost = pass_tokens(len(prompts[group[0]]), width, len(group), shared)
        assert len(group) == 1 or cost <= budget


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_what_goes_through_the_model_is_what_the_budget_counts(
    tmp_path, tiny_model_dir, monkeypatch, checkpointing, method
):
    """Measured at the embedding: tokens of each pass, of policy, reference and critic."""
    monkeypatch.setattr(OneShotTrainer, "shares_prompt", not checkpointing)
    passes = []
    embed = torch.nn.Embedding.forward

    def counted(self, ids):
        passes.append(ids.numel())
        return embed(self, ids)

    recipe = short_recipe(tiny_model_dir, **SMALL, method=method, token_budget=150)
    sample = OneShotTrainer._generate_single_turn

    def unseen(self, *arguments, **options):  # the sampler has a budget of its own
        done = sample(self, *arguments, **options)
        passes.clear()
        return done

    monkeypatch.setattr(torch.nn.Embedding, "forward", counted)
    monkeypatch.setattr(OneShotTrainer, "_generate_single_turn", unseen)
    run = onerl.train(recipe, out=tmp_path / "run")
    assert passes
    assert max(passes) <= 150
    assert run.metrics["largest_pass"].between(1, 150).all()
    assert max(passes) <= run.metrics["largest_pass"].max()


def test_no_model_is_left_alive_by_a_run(tmp_path, tiny_model_dir):
    def alive():
        kinds = OneShotTrainer, PreTrainedModel
        return sum(isinstance(thing, kinds) for thing in gc.get_objects())

    gc.collect()
    before = alive()
    gc.disable()
    try:
        onerl.train(short_recipe(tiny_model_dir, **SMALL), out=tmp_path / "run")
        assert alive() <= before
    finally:
        gc.enable()


def test_under_fsdp_gradients_are_summed_and_outputs_left_in_float32():
    half = MixedPrecisionPolicy(torch.bfloat16, torch.bfloat16, torch.bfloat16)
    plugin = SimpleNamespace(mixed_precision_policy=half)
    sharding.sum_in_float32(SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin)))
    policy = plugin.mixed_precision_policy
    assert policy.param_dtype == torch.bfloat16
    assert policy.reduce_dtype == policy.output_dtype == torch.float32
    none = SimpleNamespace(state=SimpleNamespace(fsdp_plugin=None))
    sharding.sum_in_float32(none)  # nothing to do without FSDP


def _sharded_in_bfloat16(recipe, folder):
    """A sharded run whose model's outputs are looked at; what is wrong ends the process."""
    score = OneShotTrainer._score

    def seen(self, *arguments):
        logps, entropies = score(self, *arguments)
        assert self.accelerator.mixed_precision == "bf16"
        assert logps.dtype == torch.float32, logps.dtype
        assert not torch.equal(logps.bfloat16().float(), logps), "rounded on the way out"
        (folder / os.environ["RANK"]).write_text("seen")
        return logps, entropies

    OneShotTrainer._score = seen
    train_sharded(recipe, folder / "run", folder / "gradients")


def test_log_probabilities_leave_a_sharded_model_unrounded(tmp_path, tiny_model_dir):
    recipe = short_recipe(tiny_model_dir, **SMALL | {"steps": 1})
    environment = launched("fsdp") | {"ACCELERATE_MIXED_PRECISION": "bf16"}
    codes = together(_sharded_in_bfloat16, recipe, tmp_path, environment=environment)
    assert codes == [0, 0]
    assert (tmp_path / "0").exists()
    assert (tmp_path / "1").exists()
