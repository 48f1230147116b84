"""Sharded weights and moments (FSDP2, DeepSpeed ZeRO-2): gathered for saving, sharded for loading.

A run folder does not show how many processes wrote it: `checkpoints/` holds full float32 weights
and `state/` Adam's full moments, so a run may go on with another number of GPUs, or without
sharding. Every function here is a collective: all ranks call it, in the same order.

Covered: FSDP2 (`fully_shard`) and, but for resuming, DeepSpeed ZeRO-2. Not covered: FSDP1, ZeRO-3
(it shards every model at loading, the base checkpoint's too), resuming under DeepSpeed, LoRA on
sharded weights (adapters need little memory: replicate them), the 8-bit optimiser on sharded ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from accelerate.utils import DistributedType
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.distributed.tensor import DTensor, distribute_tensor

from onerl.recipe import Recipe
from onerl.rollouts.backends import backend_for
from onerl.training import processes

Entry = TypeVar("Entry")
MOMENTS = ("exp_avg", "exp_avg_sq")


def is_fsdp(accelerator) -> bool:
    """Whether no rank has the full weights, so that every pass is a collective."""
    return accelerator.distributed_type == DistributedType.FSDP


def sum_in_float32(accelerator) -> None:
    """Only the weights of a pass are in the type of mixed precision; gradients and outputs are not.

    accelerate's own policy rounds the gradients that ranks add up, and the log-probabilities that
    leave the model, to bfloat16. The released code reduces in float32 (reference 2.1).
    """
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is not None and (policy := plugin.mixed_precision_policy):
        plugin.mixed_precision_policy = MixedPrecisionPolicy(
            param_dtype=policy.param_dtype, reduce_dtype=torch.float32, output_dtype=torch.float32
        )


def is_deepspeed(accelerator) -> bool:
    """Whether every rank has the full weights, and its shard of gradients and moments (ZeRO-2)."""
    return accelerator.distributed_type == DistributedType.DEEPSPEED


def check(recipe: Recipe, accelerator) -> None:
    """Refuse what sharding does not cover, before anything is sampled.

    Raises ValueError: in the main process (the others end), naming the setting and what is allowed.
    """

    def refuse() -> None:
        fsdp, deepspeed = is_fsdp(accelerator), is_deepspeed(accelerator)
        replicated = "launch with params/accelerate/ddp.yaml"
        if deepspeed and accelerator.state.deepspeed_plugin.zero_stage == 3:
            raise ValueError("zero_stage = 3: not supported; use params/accelerate/fsdp.yaml")
        if fsdp and accelerator.state.fsdp_plugin.fsdp_version != 2:
            raise ValueError("fsdp_version = 1: only FSDP2 is supported; set fsdp_version: 2")
        if fsdp and not backend_for(recipe.backend, recipe.model).startswith("vllm"):
            raise ValueError(
                f"backend = {recipe.backend!r}: samples from the full weights, which no process"
                f" holds under FSDP; set backend to vllm or vllm-server, or {replicated}"
            )
        if (fsdp or deepspeed) and recipe.lora_rank:
            raise ValueError(
                f"lora_rank = {recipe.lora_rank}: adapters are trained on replicated weights only;"
                f" {replicated}"
            )
        if (fsdp or deepspeed) and recipe.optimizer != "adamw":
            only = "FSDP and DeepSpeed allow adamw only"
            raise ValueError(f"optimizer = {recipe.optimizer!r}: {only}")

    processes.on_main_process(refuse)


def equal_passes(accelerator, plan: list[Entry]) -> list[tuple[Entry, bool]]:
    """The entries of `plan`, each with whether it counts; as many in every rank when sharded.

    A rank with fewer repeats its last entry, which then does not count.
    """
    missing = 0
    if is_fsdp(accelerator):
        mine = torch.tensor([len(plan)], device=accelerator.device)
        missing = int(accelerator.gather(mine).max()) - len(plan)
    return [(entry, True) for entry in plan] + [(entry, False) for entry in plan[-1:] * missing]


@contextmanager
def gradients(model, accelerator, last: bool) -> Iterator[None]:
    """Around each chunk's passes: gradients add up, and the step comes with the last chunk.

    Replicated gradients are reduced once, with the last chunk; sharded ones with every chunk,
    because a rank has no room for all of them.
    """
    if is_deepspeed(accelerator):  # accelerate lets it step whenever gradients are in sync
        accelerator.gradient_state._set_sync_gradients(last)
    with accelerator.no_sync(model) if not (last or is_fsdp(accelerator)) else nullcontext():
        yield


def gathered_weights(model, accelerator) -> dict[str, torch.Tensor | None] | None:
    """Full float32 weights by name, on the CPU, in the main process; None in place of each in the
    others, and None in place of all without sharding."""
    if is_fsdp(accelerator):
        return {name: _on_main(tensor) for name, tensor in model.named_parameters()}
    if is_deepspeed(accelerator):
        from deepspeed.utils import safe_get_full_fp32_param

        return {name: _on_main(safe_get_full_fp32_param(p)) for name, p in model.named_parameters()}
    return None


def set_weights(model, accelerator, weights: Mapping[str, torch.Tensor]) -> None:
    """Load full weights, which every rank holds, into a model that is sharded already."""
    for name, parameter in model.named_parameters():
        if is_fsdp(accelerator):
            with torch.no_grad():
                parameter.copy_(_shard(weights[name], parameter))
        else:
            from deepspeed.utils import safe_set_full_fp32_param

            safe_set_full_fp32_param(parameter, weights[name].to(accelerator.device))


def gathered_moments(model, optimizer, accelerator) -> dict[int, dict[str, Any]]:
    """Adam's full state, {index of the parameter: {"step", "exp_avg", "exp_avg_sq"}}."""
    if is_deepspeed(accelerator):
        from deepspeed.utils import safe_get_full_optimizer_state

        # torch's optimiser, inside accelerate's wrapper and DeepSpeed's
        step = next(iter(optimizer.optimizer.optimizer.state.values()))["step"]
        return {
            i: {k: _on_main(safe_get_full_optimizer_state(p, k)) for k in MOMENTS}
            | {"step": step.clone()}  # a file holds no tensor twice
            for i, p in enumerate(model.parameters())
        }
    state = optimizer.state_dict()["state"]
    if not is_fsdp(accelerator):
        return state
    return {i: {key: _on_main(value) for key, value in kept.items()} for i, kept in state.items()}


def set_moments(model, optimizer, accelerator, moments: Mapping[int, dict[str, Any]]) -> None:
    """Load what `gathered_moments` returned into a fresh optimiser over the same parameters.

    Raises ValueError under DeepSpeed, which cannot resume.
    """
    if is_deepspeed(accelerator):
        raise ValueError(
            "a run cannot be resumed under DeepSpeed, which makes its moments at the first step:"
            " go on with params/accelerate/ddp.yaml or fsdp.yaml, which read the same state"
        )
    if is_fsdp(accelerator):
        parameters = list(model.parameters())
        moments = {
            i: {k: _shard(v, parameters[i]) if k in MOMENTS else v for k, v in kept.items()}
            for i, kept in moments.items()
        }
    optimizer.load_state_dict({**optimizer.state_dict(), "state": dict(moments)})


def local_weights(model, optimizer, accelerator) -> list[torch.Tensor]:
    """This rank's shard of the weights that are trained, or all of them; no copies."""
    if is_deepspeed(accelerator):
        return [t.detach() for t in optimizer.optimizer.single_partition_of_fp32_groups]
    trained = [p.detach() for p in model.parameters() if p.requires_grad]
    return [p.to_local() if isinstance(p, DTensor) else p for p in trained]


def total_norm(parts: Sequence[torch.Tensor], accelerator) -> float:
    """The L2 norm of tensors that are sharded over the ranks, or replicated on them."""
    norm = torch.stack(torch._foreach_norm(list(parts))).norm()
    if is_fsdp(accelerator) or is_deepspeed(accelerator):
        norm = accelerator.reduce(norm**2, "sum").sqrt()
    return norm.item()


def _on_main(tensor: torch.Tensor) -> torch.Tensor | None:
    """Whole, and copied to memory in the main process, which will write it; None in the others."""
    whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole.detach().cpu() if processes.is_main() else None


def _shard(tensor: torch.Tensor, like: DTensor) -> DTensor:
    """This rank's shard of a tensor that all ranks hold."""
    tensor = tensor.to(like.device, like.dtype)
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
