"""Weights cut over processes (FSDP2, DeepSpeed ZeRO): made whole to be written, cut to be loaded.

A run folder does not show how many processes wrote it: `checkpoints/` holds whole float32 weights
and `state/` Adam's whole moments, so a run may go on with another number of GPUs, or without
sharding. Every function here is collective: all processes call it, in the same order.

Covered: FSDP2 (`fully_shard`) and, but for resuming, DeepSpeed ZeRO-2. Not covered: FSDP1, ZeRO-3
(it cuts every model at loading, the base checkpoint's too), resuming under DeepSpeed, LoRA on
sharded weights (adapters need little memory: replicate them), the 8-bit optimiser on sharded ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor, distribute_tensor

from onerl.recipe import Recipe
from onerl.rollouts.backends import backend_for
from onerl.training import processes

Entry = TypeVar("Entry")
MOMENTS = ("exp_avg", "exp_avg_sq")


def is_fsdp(accelerator) -> bool:
    return accelerator.distributed_type == DistributedType.FSDP


def is_deepspeed(accelerator) -> bool:
    return accelerator.distributed_type == DistributedType.DEEPSPEED


def is_sharded(accelerator) -> bool:
    """Whether no process has the whole weights, so that every pass is a collective."""
    stage3 = is_deepspeed(accelerator) and accelerator.state.deepspeed_plugin.zero_stage == 3
    return stage3 or is_fsdp(accelerator)


def check(recipe: Recipe, accelerator) -> None:
    """Refuse what sharding does not cover, before anything is sampled.

    Raises:
        ValueError: in the first process (the others end), naming the setting and what is allowed.
    """

    def refuse() -> None:
        if is_deepspeed(accelerator) and is_sharded(accelerator):
            raise ValueError("zero_stage = 3: not supported; use params/accelerate/fsdp.yaml")
        if is_fsdp(accelerator) and accelerator.state.fsdp_plugin.fsdp_version != 2:
            raise ValueError("fsdp_version = 1: only FSDP2 is supported; set fsdp_version: 2")
        if is_sharded(accelerator) and not backend_for(recipe.backend, recipe.model).startswith(
            "vllm"
        ):
            raise ValueError(
                f"backend = {recipe.backend!r}: samples from whole weights, which no process holds"
                " under FSDP or ZeRO-3; set backend to vllm or vllm-server, or launch with"
                " params/accelerate/ddp.yaml"
            )
        cut = is_fsdp(accelerator) or is_deepspeed(accelerator)
        if cut and recipe.lora_rank:
            raise ValueError(
                f"lora_rank = {recipe.lora_rank}: adapters are trained on replicated weights only;"
                " launch with params/accelerate/ddp.yaml"
            )
        if cut and recipe.optimizer != "adamw":
            raise ValueError(
                f"optimizer = {recipe.optimizer!r}: FSDP and DeepSpeed allow adamw only"
            )

    processes.on_main_process(refuse)


def equal_passes(accelerator, plan: Sequence[Entry]) -> Iterator[tuple[Entry, bool]]:
    """The entries of `plan`, each with whether it counts; as many in every process when sharded.

    A process with fewer repeats its last entry, which then does not count.
    """
    missing = 0
    if is_sharded(accelerator):
        mine = torch.tensor([len(plan)], device=accelerator.device)
        missing = int(accelerator.gather(mine).max()) - len(plan)
    yield from ((entry, True) for entry in plan)
    yield from ((plan[-1], False) for _ in range(missing))


@contextmanager
def gradients(model, accelerator, last: bool) -> Iterator[None]:
    """Around each chunk's passes: gradients add up, and the step comes with the last chunk.

    Replicated gradients are exchanged once, with the last chunk; sharded ones with every chunk,
    because a process has no room for all of them.
    """
    if is_deepspeed(accelerator):  # accelerate lets it step whenever gradients are in sync
        accelerator.gradient_state._set_sync_gradients(last)
    with accelerator.no_sync(model) if not (last or is_sharded(accelerator)) else nullcontext():
        yield


def whole_weights(model, accelerator) -> dict[str, torch.Tensor] | None:
    """Float32 weights by name, on the CPU of the first process; None where they are not cut."""
    if is_fsdp(accelerator):
        return {name: _whole(tensor) for name, tensor in model.named_parameters()}
    if is_deepspeed(accelerator):
        from deepspeed.utils import safe_get_full_fp32_param

        return {name: _kept(safe_get_full_fp32_param(p)) for name, p in model.named_parameters()}
    return None


def set_weights(model, accelerator, weights: Mapping[str, torch.Tensor]) -> None:
    """Whole weights into a model that is cut already."""
    for name, parameter in model.named_parameters():
        if is_fsdp(accelerator):
            with torch.no_grad():
                parameter.copy_(_cut(weights[name], parameter))
        else:
            from deepspeed.utils import safe_set_full_fp32_param

            safe_set_full_fp32_param(parameter, weights[name].to(accelerator.device))


def whole_moments(model, optimizer, accelerator) -> dict[int, dict[str, Any]]:
    """Adam's state, {index of the parameter: {"step", "exp_avg", "exp_avg_sq"}}, whole."""
    if is_deepspeed(accelerator):
        from deepspeed.utils import safe_get_full_optimizer_state

        (step, *_) = (state["step"] for state in _inner(optimizer).state.values())
        return {
            i: {k: _kept(safe_get_full_optimizer_state(p, k)) for k in MOMENTS}
            | {"step": step.clone()}  # a file holds no tensor twice
            for i, p in enumerate(model.parameters())
        }
    state = optimizer.state_dict()["state"]
    if not is_fsdp(accelerator):
        return state
    return {i: {key: _whole(value) for key, value in kept.items()} for i, kept in state.items()}


def set_moments(model, optimizer, accelerator, moments: Mapping[int, dict[str, Any]]) -> None:
    """The inverse of `whole_moments`, into a fresh optimiser over the same parameters."""
    if is_deepspeed(accelerator):
        raise ValueError(
            "a run cannot be resumed under DeepSpeed, which makes its moments at the first step:"
            " go on with params/accelerate/ddp.yaml or fsdp.yaml, which read the same state"
        )
    if is_fsdp(accelerator):
        parameters = list(model.parameters())
        moments = {
            i: {k: _cut(v, parameters[i]) if k in MOMENTS else v for k, v in kept.items()}
            for i, kept in moments.items()
        }
    optimizer.load_state_dict({**optimizer.state_dict(), "state": dict(moments)})


def local_weights(model, optimizer, accelerator) -> list[torch.Tensor]:
    """What this process holds of the weights that are trained, without copying."""
    if is_deepspeed(accelerator):
        zero = optimizer.optimizer
        stage3 = getattr(zero, "fp32_partitioned_groups_flat", None)
        return [t.detach() for t in stage3 or zero.single_partition_of_fp32_groups]
    trained = [p.detach() for p in model.parameters() if p.requires_grad]
    return [p.to_local() if isinstance(p, DTensor) else p for p in trained]


def total_norm(parts: Sequence[torch.Tensor], accelerator) -> float:
    """The L2 norm of tensors that the processes hold parts of, or all of them the same."""
    norm = torch.stack(torch._foreach_norm(list(parts))).norm()
    if is_fsdp(accelerator) or is_deepspeed(accelerator):
        norm = accelerator.reduce(norm**2, "sum").sqrt()
    return norm.item()


def _whole(tensor: torch.Tensor) -> torch.Tensor | None:
    return _kept(tensor.full_tensor() if isinstance(tensor, DTensor) else tensor)


def _kept(tensor: torch.Tensor) -> torch.Tensor | None:
    """Copied to memory in the process that will write it, let go in the others."""
    return tensor.detach().cpu() if processes.is_main() else None


def _cut(tensor: torch.Tensor, like: DTensor) -> DTensor:
    """This process's part of a tensor that all processes hold."""
    tensor = tensor.to(like.device, like.dtype)
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def _inner(optimizer) -> torch.optim.Optimizer:
    """torch's optimiser inside accelerate's wrapper and DeepSpeed's."""
    return optimizer.optimizer.optimizer
