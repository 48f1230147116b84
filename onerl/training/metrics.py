"""How far an optimiser step moves the weights: a metric of every update."""

from __future__ import annotations

import torch
from transformers import TrainerCallback

from onerl.training import sharding


class UpdateNorm(TrainerCallback):
    """Keeps in `value` the L2 norm of the last step's change, Adam's drift included.

    Costs a copy of the weights that are trained, or of this process's part of them, around the
    step; with DeepSpeed, which steps inside the last backward, during the whole update.
    """

    def __init__(self, trainer):
        self.trainer, self.value = trainer, float("nan")

    def _weights(self) -> list[torch.Tensor]:
        trainer = self.trainer
        return sharding.local_weights(trainer.model, trainer.optimizer, trainer.accelerator)

    def _remember(self) -> None:
        self.before = [weight.clone() for weight in self._weights()]

    def on_step_begin(self, args, state, control, **_):
        if sharding.is_deepspeed(self.trainer.accelerator):
            self._remember()

    def on_pre_optimizer_step(self, args, state, control, **_):
        if not sharding.is_deepspeed(self.trainer.accelerator):
            self._remember()

    def on_optimizer_step(self, args, state, control, **_):
        torch._foreach_sub_(self.before, self._weights())  # in place: no second copy
        self.value = sharding.total_norm(self.before, self.trainer.accelerator)
        del self.before
