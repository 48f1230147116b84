"""What is measured of every update: its row of metrics.jsonl, and whether all of it is finite."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_leaves
from transformers import TrainerCallback

from onerl.runs import Run, files
from onerl.runs.run import METRICS
from onerl.training import processes, sharding

MEANS = (
    *("update_norm", "weight_norm", "completion_length", "truncated", "clip_frac"),
    "sampler_mismatch",  # not with backend transformers
    "value_loss",  # of method ppo
)
STATUSES = ("ok", "no-answer", "unparseable", "timeout")  # counted in every row, even when 0
ENGINE_ADVICE = (
    "the engine does not sample from the weights that are trained: try vllm_sleep = false, a"
    " server's --dtype as the trainer's (bfloat16 on most GPUs), another version of vLLM, or"
    " backend torch"
)


class UpdateNorm(TrainerCallback):
    """Keeps in `value` the L2 norm of the last step's change, Adam's drift included.

    `weights` is the norm of the weights themselves, after the step. Both are of the weights that
    are trained, and neither is finite once a single weight is not.

    Costs a copy of the weights that are trained, or of this process's part of them, around the
    step; with DeepSpeed, which steps inside the last backward, during the whole update.
    """

    def __init__(self, trainer):
        self.trainer, self.value, self.weights = trainer, 0.0, 0.0

    def _weights(self) -> list[torch.Tensor]:
        trainer = self.trainer
        return sharding.local_weights(trainer.model, trainer.optimizer, trainer.accelerator)

    def on_step_begin(self, args, state, control, **_):
        if sharding.is_deepspeed(self.trainer.accelerator):
            self.before = [weight.clone() for weight in self._weights()]

    def on_pre_optimizer_step(self, args, state, control, **_):
        if not sharding.is_deepspeed(self.trainer.accelerator):
            self.before = [weight.clone() for weight in self._weights()]

    def on_optimizer_step(self, args, state, control, **_):
        after, accelerator = self._weights(), self.trainer.accelerator
        torch._foreach_sub_(self.before, after)  # in place: no second copy
        self.value = sharding.total_norm(self.before, accelerator)
        self.weights = sharding.total_norm(after, accelerator)
        del self.before


def row(trainer, logs: Mapping[str, float]) -> dict[str, Any]:
    """The row of the update that `trainer` has just made; means over the rollouts of all ranks.

    Collective. Lengths and the largest pass in tokens, entropy and KL in nats a token, times in
    seconds; update_norm and weight_norm are L2 norms over the weights that are trained. `logs` has
    loss, grad_norm and learning_rate of the update.
    """
    groups = trainer.rewards.view(-1, trainer.num_generations)
    mask = trainer.batch["completion_mask"]
    counts = Counter(trainer._logs["extra"]["status"])
    ends = torch.tensor(trainer.eos_token_ids, device=mask.device)
    ended = torch.isin(trainer.batch["completion_ids"], ends)
    largest = torch.tensor([trainer.largest_pass], device=mask.device)
    norms = {"update_norm": trainer.update_norm.value, "weight_norm": trainer.update_norm.weights}
    reduced = {
        "completion_length": mask.sum(1).float().mean(),
        "truncated": 1 - (ended & (mask == 1)).any(1).float().mean(),
        # one rank that diverges shows in the mean, so that all of them stop
        **{name: torch.tensor(value, device=mask.device) for name, value in norms.items()},
        **trainer.terms,
    }
    means = {k: trainer.accelerator.reduce(v, "mean").item() for k, v in reduced.items()}
    return {
        "step": (trainer._step - 1) // trainer.args.steps_per_generation + 1,
        "update": trainer._step,
        "reward": trainer.rewards.mean().item(),
        "reward_std": trainer.rewards.std().item(),
        **by_example(trainer._logs["extra"]),
        "frac_zero_std": (groups == groups[:, :1]).all(1).float().mean().item(),
        **{key: means[key] for key in ("policy_loss", "kl", "entropy")},
        "loss": logs["loss"],
        "grad_norm": logs["grad_norm"],
        **{key: means[key] for key in MEANS if key in means},
        "largest_pass": trainer.accelerator.gather(largest).max().item(),
        **{f"status/{name}": counts[name] for name in (*STATUSES, *sorted(counts))},
        "learning_rate": logs["learning_rate"],
        **{f"seconds/{name}": value for name, value in trainer.seconds.items()},
        "seconds/step": time.perf_counter() - trainer.started,
    }


def by_example(records) -> dict:
    """{"by_example": {example: share of right rollouts}}, or nothing for a single example."""
    right = defaultdict(list)
    for example, correct in zip(records.get("id", ()), records["correct"], strict=False):
        right[example].append(correct)
    if len(right) < 2:
        return {}
    return {"by_example": {k: sum(v) / len(v) for k, v in right.items()}}


def record(row: Mapping[str, Any], out: Path, most_mismatch: float = math.inf) -> None:
    """Append a row to metrics.jsonl of the run in `out`, with null for a number that is not finite.

    Raises ValueError, on every rank, when there is one, or when the sampler's log-probabilities
    are further from the trainer's than `most_mismatch`: which, what is kept, what to try.
    """
    bad = [k for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)]
    if processes.is_main():
        files.append_jsonl(out / METRICS, {**row, **dict.fromkeys(bad)})
    mismatch = row.get("sampler_mismatch", 0.0)
    if not bad and mismatch <= most_mismatch:
        return
    advice = "a lower learning_rate or beta may help, in another folder"
    if "reward" in bad:
        advice = "every reward must be a finite number"
    elif bad in ([], ["sampler_mismatch"]):  # the policy is sound: it is the engine that is not
        advice = ENGINE_ADVICE
    what = "not finite: " + ", ".join(f"{name} ({row[name]})" for name in bad)
    if not bad:
        what = f"sampler_mismatch = {mismatch:.3g} is over max_sampler_mismatch = {most_mismatch:g}"
    kept = Run(out).checkpoints[-1:]
    raise ValueError(
        f"step {row['step']}: {what}; the run stops and saves nothing of this update,"
        f" its last checkpoint is of step {kept[0][0] if kept else 0}; {advice}"
    )


def check_state(step: int, weights: Any, moments: Any) -> None:
    """Raises ValueError when a weight or a moment of the optimiser is NaN or infinite.

    Both are tensors in mappings or sequences, nested as they come.
    """
    for what, values in (("weight", weights), ("moment of the optimiser", moments)):
        for value in tree_leaves(values):
            if torch.is_tensor(value) and not torch.isfinite(value).all():
                raise ValueError(
                    f"step {step}: a {what} is not finite; the run stops and keeps its earlier"
                    " checkpoints; a lower learning_rate or max_grad_norm may help"
                )
