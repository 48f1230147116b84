"""LoRA: low-rank adapters in place of training every weight (recipe field `lora_rank`).

The paper trains every weight; adapters are for a GPU that cannot hold a gradient and two moments
for each of them. The reference model is then the policy with its adapters off, so it needs no
memory of its own.

Covered: adapters on all linear layers but the output layer, without dropout, on one process or on
several with replicated weights. Not covered: sharded weights, quantised base models.

The adapters are never merged into the weights that are trained: `merge_adapter` followed by
`unmerge_adapter` leaves other float32 values behind, so a resumed run would differ. What needs
merged weights gets its own: the sampler in the projections that it fuses at every call anyway
(`merged_weight`), a checkpoint in the tensors that it writes (`merged_state`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from onerl.recipe import Recipe

if TYPE_CHECKING:  # importing it takes two seconds, and evaluation does without
    from peft import LoraConfig, PeftModel

ALPHA = 32
"""A layer is W + ALPHA / rank * B A. With a fixed ALPHA the best learning rate hardly depends on
the rank (Schulman et al. 2025, "LoRA Without Regret"), so a rate can be kept when it changes."""


def lora_config(recipe: Recipe) -> LoraConfig | None:
    """The adapters that the recipe asks for, None for training every weight."""
    if recipe.lora_rank == 0:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=ALPHA,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def has_adapters(module: torch.nn.Module) -> bool:
    """Whether PEFT has wrapped this model, or this layer."""
    return hasattr(module, "get_base_model") or hasattr(module, "get_delta_weight")


def plain(model: torch.nn.Module) -> torch.nn.Module:
    """The causal language model inside PEFT's wrapper; its linear layers keep their adapters."""
    return model.get_base_model() if has_adapters(model) else model


def merged_weight(linear: torch.nn.Module) -> torch.Tensor:
    """The weight that the layer acts with: its own, plus its active adapter where it has one."""
    weight = linear.weight
    if not has_adapters(linear) or linear.disable_adapters:
        return weight
    for name in linear.active_adapters:
        weight = weight + linear.get_delta_weight(name).to(weight.dtype)
    return weight


@torch.no_grad()
def merged_state(model: torch.nn.Module) -> dict[str, torch.Tensor] | None:
    """The tensors of an ordinary model that acts like this one; None when it has no adapters."""
    if not has_adapters(model):
        return None
    layers = dict(plain(model).named_modules())
    state = {}
    for name, tensor in plain(model).state_dict().items():
        owner, _, rest = name.partition(".base_layer.")
        if rest:
            state[f"{owner}.{rest}"] = merged_weight(layers[owner]) if rest == "weight" else tensor
        elif ".lora_" not in name:
            state[name] = tensor
    return state


def save_adapter(model: torch.nn.Module, file: Path) -> None:
    """The adapters as trained, for `load_adapter`; no file for a model without."""
    if has_adapters(model):
        from peft import get_peft_model_state_dict

        tensors = get_peft_model_state_dict(model)
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, file)


def load_adapter(model: PeftModel, file: Path) -> None:
    """Adapters written by `save_adapter` into `model`, bit for bit."""
    from peft import set_peft_model_state_dict

    found = set_peft_model_state_dict(model, load_file(file))
    if found.unexpected_keys:
        raise ValueError(f"{file}: {found.unexpected_keys[0]} fits no layer of the model")
