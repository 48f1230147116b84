"""The sampler of a trainer: the one that the recipe's backend names."""

import torch
from transformers import TrainerCallback

from onerl.recipe import Recipe
from onerl.rollouts import Sampler
from onerl.rollouts.backends import backend_for
from onerl.rollouts.shared_prompt import SharedPromptSampler


class Closing(TrainerCallback):
    """Gives the sampler's memory back when training ends, for the evaluation that follows."""

    def __init__(self, sampler: Sampler):
        self.sampler = sampler

    def on_train_end(self, args, state, control, **_):
        self.sampler.close()


def training_sampler(recipe: Recipe, policy: torch.nn.Module, trainer) -> Sampler | None:
    """The sampler of a trainer's `policy` that the recipe names; None: TRL's own generation.

    Raises ValueError: the recipe's backend is not installed or does not suit the model.
    """
    backend = backend_for(recipe.backend, recipe.model)
    if backend == "transformers":
        return None
    if backend == "torch":
        return SharedPromptSampler(policy)
    from onerl.rollouts.vllm import VllmSampler, VllmServerSampler

    if backend == "vllm-server":
        sampler = VllmServerSampler(recipe.vllm_url, trainer.accelerator)
    else:
        longest = getattr(policy.config, "max_position_embeddings", None)
        wanted = recipe.max_prompt_length + recipe.max_completion_length
        sampler = VllmSampler(
            policy.config._name_or_path,
            trainer.accelerator,
            max_length=min(wanted, longest or wanted),
            memory=recipe.vllm_memory,
            sleep=recipe.vllm_sleep,
            tensor_parallel=recipe.vllm_tensor_parallel,
            dtype="bfloat16" if trainer.args.bf16 else "float32",  # as the trainer's own passes
        )
    trainer.add_callback(Closing(sampler))
    return sampler
