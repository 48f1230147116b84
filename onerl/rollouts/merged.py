"""Weights with their LoRA adapters added in, for the sampler and for checkpoints.

The paper trains every weight; adapters are for a GPU that cannot hold a gradient and two moments
for each of them. Covered: adapters on all linear layers but the output layer, without dropout, on
one process or on several with replicated weights. Not covered: sharded weights, quantised bases.

PEFT's `merge_adapter` followed by `unmerge_adapter` leaves other float32 values behind, so a
resumed run would differ. What needs merged weights gets its own: the sampler in the projections
that it fuses at every call (`merged_weight`), a checkpoint in the tensors that it writes
(`merged_state`).
"""

from __future__ import annotations

import torch


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
