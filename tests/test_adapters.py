"""LoRA trains adapters alone; everything outside the trainer sees an ordinary model."""

import hashlib
import shutil
from importlib.util import find_spec

import pytest
import torch
from datasets import Dataset
from peft import get_peft_model
from safetensors.torch import load_file
from small_models import character_tokenizer, short_recipe, tiny_model
from transformers import AutoModelForCausalLM, TrainerState

from onerl import evaluate
from onerl.evaluation import Protocol
from onerl.rollouts import Request, merged
from onerl.rollouts.draws import stream_seed
from onerl.rollouts.shared_prompt import SharedPromptSampler
from onerl.train import train
from onerl.training import config
from onerl.training.checkpoints import read_moments, save_checkpoint, save_state
from onerl.training.trainer import OneShotTrainer


@pytest.fixture(scope="module")
def recipe(tiny_model_dir):
    return short_recipe(
        tiny_model_dir,
        steps=6,
        prompts_per_step=2,
        max_completion_length=16,
        learning_rate=1e-2,
        temperature=1.0,
        lora_rank=4,
        token_budget=100,
    )


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    return train(recipe, tmp_path_factory.mktemp("lora"), progress=False)


@pytest.fixture
def adapted(recipe):
    """A model with adapters that do something."""
    model = get_peft_model(tiny_model(), config.lora_config(recipe))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    return model.eval()


def weights(run, step):
    return load_file(run.path / "checkpoints" / f"step-{step:06d}" / "model.safetensors")


def test_adapters_sit_on_every_linear_layer_but_the_output(adapted):
    linear = {n for n, m in tiny_model().named_modules() if isinstance(m, torch.nn.Linear)}
    with_adapter = {
        name
        for name, module in merged.plain(adapted).named_modules()
        if merged.has_adapters(module)
    }
    assert with_adapter == linear - {"lm_head"}
    assert all("lora_" in n for n, p in adapted.named_parameters() if p.requires_grad)


def test_merged_weights_make_an_ordinary_model_that_acts_the_same(adapted):
    ordinary = tiny_model(seed=1)
    ordinary.load_state_dict(merged.merged_state(adapted))
    ids = torch.randint(3, 90, (2, 30), generator=torch.manual_seed(0))
    with torch.no_grad():
        expected, base = adapted(ids).logits, tiny_model()(ids).logits
        assert torch.allclose(ordinary(ids).logits, expected, atol=1e-4)
    assert (expected - base).abs().max() > 0.1


def test_the_sampler_samples_from_the_adapted_policy(adapted):
    ordinary = tiny_model(seed=1)
    ordinary.load_state_dict(merged.merged_state(adapted))
    tokens = []
    for model in (merged.plain(adapted), ordinary, tiny_model()):
        rollouts = SharedPromptSampler(model).sample(
            [[5, 6, 7]],
            Request([16], 20, {1}, 1.0, [stream_seed(0, 0, i) for i in range(16)]),
        )
        tokens.append([rollout.token_ids for rollout in rollouts])
    assert tokens[0] == tokens[1]
    assert tokens[0] != tokens[2]


def test_the_gradient_of_the_adapters_is_that_of_the_merged_weights(recipe, tmp_path, adapted):
    """dL/dB = s dL/dW A^T and dL/dA = s B^T dL/dW, with dL/dW of the ordinary model."""
    rows = Dataset.from_list([{"prompt": "1+1=", "answer": "2"}])
    ours = OneShotTrainer(recipe, recipe.model, rows, tmp_path / "ours")
    theirs = OneShotTrainer(recipe.replace(lora_rank=0), recipe.model, rows, tmp_path / "theirs")
    ours.model.load_state_dict(adapted.state_dict())
    theirs.model.load_state_dict(merged.merged_state(adapted))
    draw = torch.manual_seed(0)
    batch = {
        "prompt_ids": torch.randint(3, 90, (1, 6), generator=draw).expand(8, -1),
        "prompt_mask": torch.ones(8, 6, dtype=torch.long),
        "completion_ids": torch.randint(3, 90, (8, 12), generator=draw),
        "completion_mask": torch.ones(8, 12, dtype=torch.long),
        "advantages": torch.randn(8, generator=draw),
        "ref_per_token_logps": torch.full((8, 12), -4.0),
    }
    losses = []
    for trainer in (ours, theirs):
        trainer.terms = dict.fromkeys(("policy_loss", "kl", "entropy", "clip_frac"), 0.0)
        losses.append(trainer.backward(trainer.model, batch).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    whole = dict(theirs.model.named_modules())
    for name, layer in merged.plain(ours.model).named_modules():
        if hasattr(layer, "get_delta_weight"):
            a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            grad, scale = whole[name].weight.grad, layer.scaling["default"]
            assert torch.allclose(b.grad, scale * grad @ a.T, rtol=1e-3, atol=1e-5), name
            assert torch.allclose(a.grad, scale * b.T @ grad, rtol=1e-3, atol=1e-5), name
            assert a.grad.abs().max() > 1e-3


def test_the_reference_is_the_base_model_and_the_kl_starts_at_zero(whole):
    kl = whole.metrics["kl"]
    assert kl.iloc[0] == pytest.approx(0, abs=1e-9)
    assert kl.iloc[-1] > 1e-4


def test_checkpoints_are_ordinary_models_and_the_first_is_the_base(whole, tiny_model_dir, tmp_path):
    base, last = load_file(tiny_model_dir / "model.safetensors"), weights(whole, 6)
    assert weights(whole, 0).keys() == last.keys() == base.keys()
    assert all(torch.equal(base[name], tensor) for name, tensor in weights(whole, 0).items())
    moved = {name for name in base if not torch.equal(base[name], last[name])}
    assert moved == {n for n in base if n.endswith("proj.weight")}
    folder = whole.checkpoints[-1][1]
    assert not list(folder.rglob("adapter*"))
    loaded = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    assert all(torch.equal(last[name], loaded[name]) for name in last)
    report = evaluate(folder, ["world"], limit=2, protocol=Protocol(max_completion_length=4))
    assert len(report.records) == 2


TIMED = ("metrics.jsonl", "manifest.json", "provenance.json")  # have times in them


def test_a_resumed_run_of_adapters_is_the_uninterrupted_one(recipe, whole, tmp_path):
    def sums(folder):
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for kind in ("checkpoints", "state", "rollouts")
            for path in sorted((folder / kind).rglob("*"))
            if path.is_file() and path.name not in TIMED
        }

    shutil.copytree(whole.path, tmp_path / "again")
    (tmp_path / "again" / "DONE").unlink()
    shutil.rmtree(tmp_path / "again" / "state" / "step-000006")
    train(recipe, tmp_path / "again", progress=False)
    assert sums(tmp_path / "again") == sums(whole.path)
    train(recipe, tmp_path / "same", progress=False)
    assert sums(tmp_path / "same") == sums(whole.path)
    train(recipe.replace(seed=1), tmp_path / "other", progress=False)
    assert sums(tmp_path / "other") != sums(whole.path)


def test_the_state_of_adapters_is_as_small_as_they_are(whole):
    (adapter,) = (whole.path / "state" / "step-000006").glob("adapter.safetensors")
    size = sum(tensor.numel() for tensor in load_file(adapter).values())
    moments = load_file(whole.path / "state" / "step-000006" / "optimizer.safetensors")
    assert sum(t.numel() for n, t in moments.items() if "exp_avg" in n) == 2 * size
    assert size < sum(tensor.numel() for tensor in weights(whole, 0).values())


def test_the_8_bit_optimiser_is_refused_in_one_line_without_its_package(
    recipe, tmp_path, monkeypatch
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(ValueError, match=r"^optimizer = 'adamw-8bit': needs .*bitsandbytes.*$"):
        train(recipe.replace(optimizer="adamw-8bit"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "recipe.yaml").exists()


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_a_resumed_run_in_8_bits_is_the_uninterrupted_one(recipe, tmp_path):
    small = recipe.replace(optimizer="adamw-8bit", lora_rank=0, learning_rate=1e-3, steps=4)
    run = train(small, tmp_path / "whole", progress=False)
    state = load_file(run.path / "state" / "step-000004" / "optimizer.safetensors")
    assert any(tensor.dtype == torch.uint8 for tensor in state.values())
    shutil.copytree(run.path, tmp_path / "again")
    (tmp_path / "again" / "DONE").unlink()
    shutil.rmtree(tmp_path / "again" / "state" / "step-000004")
    train(small, tmp_path / "again", progress=False)
    for name in (
        "checkpoints/step-000004/model.safetensors",
        "state/step-000004/optimizer.safetensors",
    ):
        assert (tmp_path / "again" / name).read_bytes() == (run.path / name).read_bytes()


def test_nested_moments_and_counts_survive_the_state_file(tmp_path):
    """The layout of bitsandbytes, on a machine without it."""
    table, step = torch.arange(4.0), {"a": 3, "b": torch.tensor(2.0)}
    moments = {
        0: {"step": step["a"], "wrapped": {"state1": torch.tensor([1, 2]).byte(), "qmap": table}},
        1: {"step": step["b"], "wrapped": {"state1": torch.tensor([3, 4]).byte(), "qmap": table}},
    }

    save_checkpoint(tmp_path, 1, tiny_model(), character_tokenizer())
    save_state(tmp_path, 1, tiny_model(), moments, TrainerState())
    loaded = read_moments(tmp_path / "state" / "step-000001")
    first, second = loaded[0], loaded[1]
    assert first["step"] == 3
    assert isinstance(first["step"], int)
    assert torch.equal(second["step"], step["b"])
    assert torch.equal(second["wrapped"]["state1"], moments[1]["wrapped"]["state1"])
    assert torch.equal(first["wrapped"]["qmap"], table)
