"""Runs that diverge on purpose: a gradient, weight, moment or log-probability is wrong."""

import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch

from onerl.rollouts.shared_prompt import SharedPromptSampler
from onerl.train import train
from onerl.training.metrics import UpdateNorm
from onerl.training.trainer import OneShotTrainer

BAD = {"nan": float("nan"), "inf": float("inf"), "huge": 1e30}  # huge: only their norm is infinite
KINDS = (*(f"gradient {name}" for name in BAD), "weight nan", "weight inf", "moment inf")


def train_poisoned(recipe, out: Path, kind: str, step: int, rank: int | None = None):
    """Train; at `step` a number is spoilt, in one process of several or (None) in all."""
    what, _, value = kind.partition(" ")
    backward, after = OneShotTrainer.backward, UpdateNorm.on_optimizer_step

    def mine(trainer, now) -> bool:
        return now == step and rank in (None, int(os.environ.get("RANK", 0)))

    def spoilt_backward(self, model, batch):
        total = backward(self, model, batch)
        if what == "gradient" and mine(self, self._step + 1):
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.grad.fill_(BAD[value])
        return total

    def spoilt_update(self, *arguments, **others):
        optimizer = self.trainer.optimizer
        if mine(self.trainer, self.trainer._step):
            (parameter, *_) = (p for p in self.trainer.model.parameters() if p.requires_grad)
            spoilt = parameter if what == "weight" else None
            if what == "moment":
                spoilt = optimizer.state[parameter]["exp_avg_sq"]
            if spoilt is not None:
                with torch.no_grad():
                    spoilt.view(-1)[0] = BAD[value]
        after(self, *arguments, **others)

    with (
        patch.object(OneShotTrainer, "backward", spoilt_backward),
        patch.object(UpdateNorm, "on_optimizer_step", spoilt_update),
    ):
        train(recipe, out, progress=False)


def train_with_engine(recipe, out: Path, shift: float, step: int, rank: int | None = None):
    """Train; from `step` on `shift` is added to the sampler's log-probabilities."""
    exact = SharedPromptSampler.sample
    calls = []

    def off(self, prompts, request):
        calls.append(prompts)
        mine = len(calls) >= step and rank in (None, int(os.environ.get("RANK", 0)))
        return [
            replace(r, logprobs=[v + (shift if mine else 0) for v in r.logprobs])
            for r in exact(self, prompts, request)
        ]

    with patch.object(SharedPromptSampler, "sample", off):
        train(recipe, out, progress=False)


def in_one_line(train_wrong, recipe, out: Path, what, step: int, rank: int, said: Path):
    """What a process says at the end goes to a file of its own."""
    try:
        train_wrong(recipe, out, what, step, rank)
    except ValueError as error:
        (said / f"rank-{os.environ['RANK']}").write_text(str(error))
        raise SystemExit(1) from None
