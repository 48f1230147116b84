"""The recipe as TRL's configuration; every default of TRL that is not the paper's is set."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from trl import GRPOConfig

from onerl.recipe import Recipe
from onerl.training import processes

OPTIMIZERS = {"adamw": "adamw_torch_fused", "adamw-8bit": "adamw_bnb_8bit"}


def check_optimizer(recipe: Recipe) -> None:
    """Raises ValueError for an optimiser whose package is not installed."""
    if recipe.optimizer == "adamw-8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(
            "optimizer = 'adamw-8bit': needs the package bitsandbytes, which is not installed;"
            " pip install 'onerl[8bit]', or set optimizer to adamw"
        )


def arguments(recipe: Recipe, out: Path) -> dict[str, Any]:
    """What TRL is told of every run, by its names; `out` is the run's folder."""
    on_gpu = torch.cuda.is_available()
    return {
        "output_dir": str(out),
        "seed": recipe.seed,
        "max_steps": recipe.steps,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "constant",
        "optim": OPTIMIZERS[recipe.optimizer],
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "model_init_kwargs": {
            "dtype": "float32",
            "trust_remote_code": False,
            "device_map": None,  # TRL's "auto" would spread the model over all GPUs in sight
        },
        "bf16": on_gpu,
        "activation_checkpointing": on_gpu,
        "use_cpu": not on_gpu,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": recipe.save_every,
        "report_to": "none",
        "disable_tqdm": True,
    }


def trl_config(recipe: Recipe, out: Path) -> GRPOConfig:
    """The configuration of one rank of a run with rewards; `out` is the run's folder."""
    updates = recipe.updates_per_step
    rollouts = recipe.prompts_per_step * recipe.num_generations
    shared = arguments(recipe, out)
    shared["max_steps"] *= updates
    shared["save_steps"] *= updates
    config = GRPOConfig(
        **shared,
        per_device_train_batch_size=rollouts // updates // processes.count(),
        steps_per_generation=updates,
        gradient_accumulation_steps=1,  # an update is one call of training_step
        num_generations=recipe.num_generations,
        max_completion_length=recipe.max_completion_length,
        temperature=recipe.temperature,
        epsilon=recipe.epsilon,
        beta=1.0,  # makes TRL score the reference, so that the KL is logged in every run;
        use_bias_correction_kl=False,  # its coefficient in the loss is the recipe's
        scale_rewards="none",  # advantages are scaled in _calculate_rewards
        shuffle_dataset=False,
    )
    return one_gpu(config)


def one_gpu(config):
    """`config` for a process that uses one GPU, whatever it sees; TRL refuses DataParallel."""
    config._n_gpu = min(config.n_gpu, 1)
    return config


def gpus_said(seen: int, used: int) -> str:
    """How many GPUs are used of those in sight, and how to use all; empty where there is none."""
    if seen == 0:
        return ""
    text = f"GPUs: {used} of {seen} used"
    if used < seen:
        text += (
            "; all: accelerate launch --config_file params/accelerate/ddp.yaml --num_processes"
            f" {seen} -m onerl.train …, or processes={seen} in Python and train.ipynb"
        )
    return text


ALPHA = 32
"""A layer is W + ALPHA / rank * B A. With a fixed ALPHA the best learning rate hardly depends on
the rank (Schulman et al. 2025, "LoRA Without Regret"), so a rate can be kept when it changes."""


def lora_config(recipe: Recipe):
    """The LoRA adapters that the recipe asks for; None for training every weight."""
    if recipe.lora_rank == 0:
        return None
    from peft import LoraConfig  # takes two seconds

    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=ALPHA,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
