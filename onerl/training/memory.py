"""Estimates GPU memory and disk of a run from its recipe and the model's shape alone.

In decimal gigabytes, for one process that holds the full model: the big tensors are counted, what
allocators and kernels add is not. Checked on no GPU yet. Not counted: sharded weights, and the
memory of an evaluation.

A GPU is as full as its fuller phase: it holds the engine while rollouts are sampled; gradients and
activations, and an engine that does not sleep, while the weights are updated.
"""

import math
from dataclasses import dataclass

import torch

from onerl.models import locate
from onerl.recipe import Recipe
from onerl.rollouts.shared_prompt import CACHE_BYTES
from onerl.runs import provenance
from onerl.training import processes

GB = 1e9
HEAD_TOKENS, HEAD_WIDTH = 4096, 32768  # TRL's fused output layer works in tiles of so many logits
HEAD_TILES = 3  # logits, their exponentials and their gradient, in float32
RUNTIME = 1.0  # GB: CUDA context, libraries, what a sleeping engine keeps
TOKEN_BYTES = 48
"""Of a token of a rollout, while its step lasts: ids and mask, alone and behind the prompt, as
8-byte integers, and four log-probabilities or entropies as floats."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that its memory depends on, in numbers, not in bytes."""

    parameters: int
    embedding: int
    fused: int  # in the projections that the shared-prompt sampler copies
    adapters_per_rank: int  # numbers in the LoRA adapters of rank 1
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    cache_per_token: int  # keys and values of one token in all layers


def shape_of(config) -> Shape:
    """The shape of a transformers configuration's causal language model; no weights are made."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    output, text = model.get_output_embeddings(), config.get_text_config()
    linear = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not output
    }
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    fused = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
    return Shape(
        parameters=sum(p.numel() for p in model.parameters()),
        embedding=model.get_input_embeddings().weight.numel(),
        fused=sum(m.weight.numel() for name, m in linear.items() if name.endswith(fused)),
        adapters_per_rank=sum(m.in_features + m.out_features for m in linear.values()),
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        intermediate=text.intermediate_size,
        vocabulary=text.vocab_size,
        cache_per_token=2 * text.num_hidden_layers * text.num_key_value_heads * head,
    )


def gpu_memory(recipe: Recipe, shape: Shape, backend: str, gpu: float | None) -> dict[str, dict]:
    """Gigabytes by part in each phase: {"rollout": {part: GB}, "update": {part: GB}}.

    Args:
        backend: what samples: torch, transformers, vllm or vllm-server.
        gpu: the GPU's memory in GB, of which a colocated vLLM takes its share; None: it is
            counted with the least it can work with, its weights and 32 rollouts of full length.
    """
    trained = shape.adapters_per_rank * recipe.lora_rank or shape.parameters
    moments = 8 * trained
    if recipe.optimizer == "adamw-8bit":  # but for embeddings, which transformers keeps in 32 bits
        coarse = trained if recipe.lora_rank else trained - shape.embedding
        moments -= 6 * coarse
    held = {
        "weights, float32": 4 * shape.parameters,
        "LoRA adapters, float32": 4 * trained if recipe.lora_rank else 0,
        "moments of the optimiser": moments,
        "reference model, float32": 0 if recipe.lora_rank else 4 * shape.parameters,
        "critic and its moments": 12 * shape.parameters if recipe.method == "ppo" else 0,
    }
    rollouts = recipe.prompts_per_step * recipe.num_generations
    rows = min(32, rollouts)
    length = recipe.max_prompt_length + recipe.max_completion_length
    cache = 2 * shape.cache_per_token * rows * length
    engine = {
        "torch": {"fused projections, float32": 4 * shape.fused, "cache": CACHE_BYTES},
        "transformers": {"cache, float32": 2 * cache / rows * recipe.prompts_per_step},
        "vllm": {"vLLM": recipe.vllm_memory * gpu * GB if gpu else 2 * shape.parameters + cache},
        "vllm-server": {},
    }[backend]
    tokens = min(recipe.token_budget, rollouts * length)
    tile = HEAD_TILES * 4 * min(HEAD_TOKENS, tokens) * min(HEAD_WIDTH, shape.vocabulary)
    passes = {
        "bfloat16 copies of the weights": 2 * trained,
        "activations kept, float32": 4 * tokens * shape.layers * shape.hidden,
        "activations of one layer": tokens * (40 * shape.hidden + 16 * shape.intermediate),
        "tile of logits, float32": tile,
    }
    step = {"weights before the update": 4 * trained}
    update = {"gradients, float32": 4 * trained}
    update |= passes if sum(passes.values()) > sum(step.values()) else step
    if backend == "vllm" and not recipe.vllm_sleep:
        update |= engine
    return {
        phase: {name: size / GB for name, size in (held | parts).items() if size}
        | {"CUDA and libraries": RUNTIME}
        for phase, parts in (("rollout", engine), ("update", update))
    }


def check_room(recipe: Recipe, prompt: int) -> None:
    """Refuse answers that the model has no positions for, and steps that no memory here can hold.

    A lower bound, so that nothing is refused that could have run: of a step, only its tokens.
    `prompt` is the tokens of the longest prompt.

    Raises ValueError: naming the field, and what is allowed.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(locate(recipe.model).name).get_text_config()
    positions = getattr(config, "max_position_embeddings", None)
    if positions and prompt + recipe.max_completion_length > positions:
        raise ValueError(
            f"max_completion_length = {recipe.max_completion_length}: the model has {positions}"
            f" positions, of which the prompt takes {prompt}: must be at most {positions - prompt}"
        )
    rollouts = recipe.prompts_per_step * recipe.num_generations
    needed = rollouts * (prompt + recipe.max_completion_length) * TOKEN_BYTES / GB
    here = provenance.hardware()["memory_gib"]
    if here and needed > here * 2**30 / GB * processes.count():
        raise ValueError(
            f"prompts_per_step * num_generations = {recipe.prompts_per_step} *"
            f" {recipe.num_generations}: the tokens of {rollouts:,} rollouts of"
            f" max_completion_length = {recipe.max_completion_length} take up to {needed:,.0f} GB,"
            f" and this machine has {here} GiB"
        )


def disk(recipe: Recipe, shape: Shape) -> dict[str, float]:
    """Gigabytes by part of the run's folder at its end; those of the rollouts are a bound."""
    trained = shape.adapters_per_rank * recipe.lora_rank or shape.parameters
    saved, checkpoint = math.ceil(recipe.steps / recipe.save_every), 4 * shape.parameters
    per_number = 2 if recipe.optimizer == "adamw-8bit" else 8
    if recipe.lora_rank:
        per_number += 4  # the adapters themselves
    rollouts = recipe.prompts_per_step * recipe.num_generations
    text = 4 * rollouts * recipe.max_completion_length  # four characters to a token
    return {
        f"{saved + 1} checkpoints of {checkpoint / GB:.3g} GB": checkpoint * (saved + 1) / GB,
        "optimiser state of the newest two": 2 * per_number * trained / GB,
        "rollouts of the steps with a checkpoint, at most": text * saved / GB,
    }
