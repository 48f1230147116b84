"""`python -m onerl.train --dry-run`: what a run would be, take and need, without running it.

Prints the resolved recipe, each value with where it is from; rollouts and tokens; an estimate of
GPU memory and disk (`onerl.training.memory`); and a line for everything that the run needs,
found or missing. Data and configurations that come from the hub are fetched, as the run would;
weights are not.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from onerl import models, problems
from onerl.models import load_tokenizer, locate
from onerl.parameters import params_folder
from onerl.recipe import Recipe
from onerl.runs import claim
from onerl.training import memory
from onerl.training.rewards import check_reward, reward_source
from onerl.training.rows import check_lengths, training_rows


def dry_run(recipe: Recipe, out: Path) -> tuple[str, list[str]]:
    """The report, and a line for each thing that is missing."""
    checks = Checks()
    model = locate(recipe.model).name
    shape = checks.shape(model)
    parts = [marked(recipe), work(recipe)]
    if shape is None:
        parts.append("GPU memory and disk: not estimated, the model's configuration is not here\n")
        needed = 0.0
    else:
        backend = backend_of(recipe)
        parts.append(memory_tables(recipe, shape, backend))
        on_disk = memory.disk(recipe, shape)
        needed = sum(on_disk.values())
        parts.append(table("disk, in GB (estimate)", on_disk))
    checks.everything(recipe, model, out, needed)
    return "\n".join([*parts, checks.report()]), checks.missing


def marked(recipe: Recipe) -> str:
    """The recipe as YAML, a field a line, each with where its value is from."""
    preset = Recipe.load(recipe.preset).model_dump(mode="json")
    comments = (params_folder() / f"{recipe.preset}.yaml").read_text("utf-8")
    lines = []
    for name, value in recipe.model_dump(mode="json").items():
        if value != preset[name]:
            source = f"yours; preset: {one_line({name: preset[name]}).partition(': ')[2]}"
        elif line := re.search(rf"^{name}: [^#\n]*(?:# (.*))?$", comments, flags=re.MULTILINE):
            source = f"preset: {line[1]}" if line[1] else "preset"
        else:
            source = default_source(name)
        lines.append(f"{one_line({name: value}):<36}  # {source}\n")
    return "".join(lines)


def default_source(name: str) -> str:
    """Where the default of a field is from, and the paper's value where that is another."""
    field = Recipe.model_fields[name]
    source, paper = (field.json_schema_extra[key] for key in ("source", "paper"))
    if not source:
        return "default"
    return f"default, {source}" if paper == field.default else f"default; {source}: {paper}"


def one_line(values: dict[str, Any]) -> str:
    text = yaml.safe_dump(values, allow_unicode=True, width=10**6, default_flow_style=None)
    return text.strip().removeprefix("{").removesuffix("}")


def work(recipe: Recipe) -> str:
    if recipe.method == "sft":
        return f"the run: {recipe.steps:,} steps of fine-tuning on one solution, no rollouts\n"
    rollouts = recipe.prompts_per_step * recipe.num_generations
    tokens = rollouts * recipe.max_completion_length
    return (
        f"a step: {rollouts:,} rollouts ({recipe.prompts_per_step:,} prompts, copies included,"
        f" x {recipe.num_generations}), at most {tokens:,} tokens sampled,"
        f" {recipe.updates_per_step} update{'s' * (recipe.updates_per_step > 1)}\n"
        f"the run: {recipe.steps:,} steps, {recipe.steps * rollouts:,} rollouts,"
        f" at most {recipe.steps * tokens:,} tokens sampled\n"
    )


def backend_of(recipe: Recipe) -> str:
    """What would sample on the machine the recipe is for; on this one, "auto" may be torch."""
    if recipe.backend != "auto":
        return recipe.backend
    return "torch" if recipe.scale == "world" else "vllm"


def memory_tables(recipe: Recipe, shape: memory.Shape, backend: str) -> str:
    gpu = gpu_memory()
    phases = memory.gpu_memory(recipe, shape, backend, gpu)
    text = "".join(
        table(f"GPU memory while {doing}, in GB (estimate; rollouts by {backend})", phases[phase])
        for phase, doing in (("rollout", "sampling"), ("update", "updating"))
    )
    here = "no GPU here: the run would use the CPU" if gpu is None else f"this GPU has {gpu:.1f} GB"
    return f"{text}{here}\n"


def gpu_memory() -> float | None:
    """GB of this machine's first GPU, None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_properties(0).total_memory / memory.GB


def table(title: str, parts: dict[str, float]) -> str:
    width = max(map(len, [*parts, "total"]))
    rows = [*parts.items(), ("total", sum(parts.values()))]
    return "\n".join([title, *(f"  {name:<{width}} {size:9.2f}" for name, size in rows)]) + "\n"


class Checks:
    """Tries what the run needs, and keeps what was found and what was not, a line each."""

    def __init__(self):
        self.found: list[str] = []
        self.missing: list[str] = []

    def attempt(self, what: str, action: Callable[[], Any]) -> Any:
        try:
            result = action()
        except (OSError, ValueError) as error:
            line = " ".join(str(error).split())
            if line not in self.missing:
                self.missing.append(line)
            return None
        self.found.append(what if result is None else f"{what}: {result}")
        return result

    def shape(self, model: str) -> memory.Shape | None:
        from transformers import AutoConfig

        self.attempt(f"model {model}", lambda: models.check_model(model))
        try:
            return memory.shape_of(AutoConfig.from_pretrained(model, trust_remote_code=False))
        except (OSError, ValueError):
            return None

    def everything(self, recipe: Recipe, model: str, out: Path, needed: float) -> None:
        from onerl.rollouts import backends
        from onerl.training.config import check_optimizer

        tokenizer = None

        def read_tokenizer() -> None:
            nonlocal tokenizer
            tokenizer = load_tokenizer(model)

        def examples() -> str:
            rows = training_rows(recipe, tokenizer)
            if tokenizer is not None:
                check_lengths(recipe, rows, tokenizer)
            return f"{len(rows)} from {recipe.examples!r}"

        def backend() -> str:
            name = backends.backend_for(recipe.backend, recipe.model)
            if name == "vllm-server":
                reach(recipe.vllm_url)
            return name

        def reward() -> str:
            check_reward(recipe)
            sha = reward_source(recipe)
            return f"{recipe.reward}, sha256 {sha[:12]}" if sha else recipe.reward

        self.attempt("tokenizer", read_tokenizer)

        def solution() -> str:
            from onerl.training import sft

            (row,) = training_rows(recipe, tokenizer)
            return repr(sft.solution(recipe, row["answer"]))

        self.attempt("examples", examples)
        self.attempt("reward", reward)
        if recipe.method == "sft":
            self.attempt("solution", solution)
        for name in recipe.benchmarks:

            def count(name=name) -> str:
                return f"{len(problems.benchmark(name, recipe.world))} problems"

            self.attempt(f"benchmark {name}", count)
        self.attempt("backend", backend)
        self.attempt(f"optimizer {recipe.optimizer}", lambda: check_optimizer(recipe))
        self.attempt("out", lambda: check_out(recipe, out, needed))

    def report(self) -> str:
        lines = [*(f"found    {line}" for line in self.found)]
        return "\n".join([*lines, *(f"MISSING  {line}" for line in self.missing)]) + "\n"


def reach(url: str) -> None:
    """Raises OSError when no vLLM server answers there."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health/", timeout=5):
            pass
    except (OSError, ValueError) as error:
        raise OSError(f"vllm_url = {url!r}: no server answers there ({error})") from None


def check_out(recipe: Recipe, out: Path, needed: float) -> str:
    """Raises when the folder may not be written, is another run's, or its disk is too small."""
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise OSError(f"out = {str(out)!r}: {place} may not be written; choose another with out")
    claim.check_folder(out)
    claim.same_recipe(out, recipe)
    there = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / memory.GB
    free = shutil.disk_usage(place).free / memory.GB
    if free < needed - there:
        raise OSError(
            f"out = {str(out)!r}: {free:.0f} GB are free, the run takes about"
            f" {needed - there:.0f} GB more; raise save_every or choose another disk with out"
        )
    return f"{out}, {free:.0f} GB free"
