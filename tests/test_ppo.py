"""PPO: advantages against the released code's own loops, a critic that learns, bit-exact resume."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from small_models import short_recipe

import onerl
from onerl.training import ppo
from onerl.training.config import trl_config

torch.manual_seed(0)
SIZE = {"method": "ppo", "prompts_per_step": 4, "num_generations": 4, "max_completion_length": 24}
MASK = torch.tensor([[1.0, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])


def released_gae(rewards, values, mask, gamma=1.0, lam=1.0):
    """core_algos.compute_gae_advantage_return of the released code, before its whitening."""
    advantages, last = [], 0
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] if t < rewards.shape[1] - 1 else 0.0
        delta = rewards[:, t] + gamma * following - values[:, t]
        last = delta + gamma * lam * last
        advantages.append(last)
    advantages = torch.stack(advantages[::-1], 1)
    return advantages, advantages + values


def test_advantages_and_returns_are_the_released_codes():
    rewards, values = torch.randn(2, 4, 5, dtype=torch.float64) * MASK
    ours, theirs = ppo.gae(rewards, values, MASK), released_gae(rewards, values, MASK)
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other * MASK, atol=1e-12)


def test_what_lies_behind_an_answer_changes_nothing():
    rewards, values = torch.randn(2, 4, 5) * MASK
    noise = 100 * torch.randn(4, 5) * (1 - MASK)
    for clean, noisy in zip(
        ppo.gae(rewards, values, MASK), ppo.gae(rewards, values + noise, MASK), strict=True
    ):
        assert torch.equal(clean, noisy)


def test_the_reward_stands_at_the_last_token_and_the_kl_at_each():
    logps, reference = torch.randn(2, 4, 5)
    earned = ppo.token_rewards(torch.tensor([1.0, 0, 1, 0]), logps, reference, MASK, beta=0.1)
    expected = -0.1 * (logps - reference) * MASK
    expected[0, 3] += 1
    expected[2, 4] += 1
    assert torch.allclose(earned, expected)


def test_whitened_advantages_have_mean_0_and_variance_1_over_the_tokens():
    white = ppo.whitened(3 + 5 * torch.randn(4, 5), MASK)
    taken = white[MASK > 0]
    assert taken.mean().abs() < 1e-6
    assert taken.var() == pytest.approx(1, abs=1e-5)
    assert (white[MASK == 0] == 0).all()


def test_the_value_loss_takes_the_worse_of_the_value_and_the_clipped_one():
    values = torch.tensor([2.0, 0.2, -1.0])
    lost = ppo.value_loss(values, torch.zeros(3), torch.tensor([2.0, 0.0, 1.0]))
    assert lost.tolist() == pytest.approx([0.5 * 1.5**2, 0.5 * 0.2**2, 0.5 * 2.0**2])


def test_the_critic_learns_what_an_answer_earns(tmp_path, tiny_model_dir):
    recipe = short_recipe(
        tiny_model_dir, **SIZE, steps=12, save_every=12, learning_rate=0.0, beta=0.0
    )
    run = onerl.train(recipe, out=tmp_path / "run")
    metrics = run.metrics
    assert metrics["value_loss"].notna().all()
    assert metrics["value_loss"].tail(4).mean() < metrics["value_loss"].head(4).mean()


def test_a_killed_run_goes_on_bit_for_bit(tmp_path, tiny_model_dir):
    recipe = short_recipe(tiny_model_dir, **SIZE, steps=4, save_every=2)
    whole = onerl.train(recipe, out=tmp_path / "whole")
    script = (
        "import os, sys, onerl; from onerl import Recipe\n"
        "import onerl.training.trainer as t\n"
        "save = t.OneShotTrainer._save_checkpoint\n"
        "def die(self, *a):\n"
        "    save(self, *a)\n"
        "    os._exit(9) if self.rollout_step == 2 else None\n"
        "t.OneShotTrainer._save_checkpoint = die\n"
        "onerl.train(Recipe.load(sys.argv[1]), out=sys.argv[2])\n"
    )
    file = tmp_path / "recipe.yaml"
    file.write_text((tmp_path / "whole" / "recipe.yaml").read_text())
    killed = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script, str(file), str(killed)], env=environment, check=False
    )
    assert done.returncode == 9
    resumed = onerl.train(recipe, out=killed)
    timeless = [c for c in whole.metrics if not c.startswith("seconds")]
    pd.testing.assert_frame_equal(whole.metrics[timeless], resumed.metrics[timeless])
    sums = [
        hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()
        for path in (whole.checkpoints[-1][1], resumed.checkpoints[-1][1])
    ]
    assert sums[0] == sums[1]


@pytest.mark.parametrize("field", [{"lora_rank": 4}, {"updates_per_step": 2}])
def test_what_ppo_does_not_do_is_refused(field):
    with pytest.raises(onerl.RecipeError, match=f"{next(iter(field))} = .*method ppo allows"):
        onerl.Recipe.load("tiny", method="ppo", **field)


def test_a_critic_that_is_not_finite_is_not_saved(tmp_path, tiny_model_dir, monkeypatch):
    """The last update's: no later row of the metrics would show it."""
    update = ppo.PPOTrainer._update_critic

    def spoilt(self, batch, rows):
        total = update(self, batch, rows)
        if rows.stop < len(batch["returns"]):
            return total
        self.critic.head.bias.data.fill_(float("nan"))
        return total

    recipe = short_recipe(tiny_model_dir, **SIZE, steps=1, save_every=1)
    monkeypatch.setattr(ppo.PPOTrainer, "_update_critic", spoilt)
    with pytest.raises(ValueError, match="not finite"):
        onerl.train(recipe, out=tmp_path / "run")
    assert [step for step, _ in onerl.Run(tmp_path / "run").checkpoints] == [0]


def test_checkpointing_changes_the_critics_memory_and_not_its_numbers(
    tmp_path, tiny_model_dir, monkeypatch
):
    """As on a GPU, where it is always on."""
    recipe = short_recipe(tiny_model_dir, **SIZE, steps=2, save_every=2)
    plain = onerl.train(recipe, out=tmp_path / "plain").metrics

    def checkpointed(*arguments):
        config = trl_config(*arguments)
        config.gradient_checkpointing = True
        return config

    monkeypatch.setattr("onerl.training.trainer.trl_config", checkpointed)
    seen = []
    wrapped = ppo.Critic.forward
    monkeypatch.setattr(
        ppo.Critic,
        "forward",
        lambda self, *a: seen.append(self.body.is_gradient_checkpointing) or wrapped(self, *a),
    )
    other = onerl.train(recipe, out=tmp_path / "checkpointed").metrics
    assert all(seen)
    for name in ("loss", "value_loss", "grad_norm"):
        assert other[name].tolist() == pytest.approx(plain[name].tolist(), rel=1e-3, abs=1e-6)
