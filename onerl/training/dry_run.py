"""`python -m onerl.train --dry-run`: what a run would be, take and need, without running it.

Prints the resolved recipe, each value with where it is from; rollouts and tokens; an estimate of
GPU memory and disk (`onerl.training.memory`); and a line for everything that the run needs,
found or missing. Data and configurations that come from the hub are fetched, as the run would;
weights are not.
"""

import contextlib
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoConfig

from onerl import models, problems
from onerl.parameters import params_folder
from onerl.recipe import Recipe
from onerl.rollouts.backends import backend_for
from onerl.runs import claim
from onerl.training import memory, processes
from onerl.training.config import check_optimizer, gpus_said
from onerl.training.rewards import check_reward, reward_source
from onerl.training.rows import check_lengths, training_rows


def dry_run(recipe: Recipe, out: Path) -> tuple[str, list[str]]:
    """The report, and a line for each thing that is missing."""
    with hub_asked_once() if recipe.scale != "world" else contextlib.nullcontext():
        return _looked_for(recipe, out)


def _looked_for(recipe: Recipe, out: Path) -> tuple[str, list[str]]:
    found, missing = [], []

    def attempt(what: str, action: Callable[[], Any]) -> Any:
        try:
            result = action()
        except (OSError, ValueError) as error:
            line = " ".join(str(error).split())
            if line not in missing:
                missing.append(line)
            return None
        found.append(f"{what}: {result}" if isinstance(result, str) else what)
        return result

    model = models.locate(recipe.model).name
    attempt(f"model {model}", lambda: models.check_model(model))
    tokenizer = attempt("tokenizer", lambda: models.load_tokenizer(model))
    attempt("examples", lambda: examples_of(recipe, tokenizer))
    attempt("reward", lambda: reward_of(recipe))
    if recipe.method == "sft":
        attempt("solution", lambda: solution_of(recipe, tokenizer))
    for name in recipe.benchmarks:
        attempt(f"benchmark {name}", lambda name=name: problems_of(recipe, name))
    attempt("backend", lambda: backend_of(recipe))
    attempt(f"optimizer {recipe.optimizer}", lambda: check_optimizer(recipe))
    parts, needed = estimates(recipe, model)
    attempt("out", lambda: check_out(recipe, out, needed))
    lines = [
        *(f"found    {line}" for line in found),
        *(f"WARNING  {line}" for line in warnings_of(recipe, missing)),
        *(f"MISSING  {line}" for line in missing),
    ]
    return "\n".join([marked(recipe), work(recipe), *parts, *lines]) + "\n", missing


@contextmanager
def hub_asked_once() -> Iterator[None]:
    """Asks the hub once; while it does not answer, nothing inside asks again."""
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    try:
        if not any(before):
            urllib.request.urlopen(constants.ENDPOINT, timeout=5).close()
    except urllib.error.HTTPError:
        pass  # it answers
    except (OSError, ValueError):
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def warnings_of(recipe: Recipe, missing: list[str]) -> Iterator[str]:
    """What would run, but not as the recipe is meant; what may be missing for want of a network."""
    from huggingface_hub import constants

    if missing and constants.HF_HUB_OFFLINE:
        yield "the hub does not answer, or is not to be asked: only this machine was looked at"
    with contextlib.suppress(ValueError):
        if recipe.scale != "world" and backend_for(recipe.backend, recipe.model) == "torch":
            yield (
                "ROLLOUTS BY TORCH, NOT BY VLLM: our own sampler, with which a step of the paper's"
                " size takes hours; pip install 'onerl[vllm]' on a machine with a GPU"
            )


def marked(recipe: Recipe) -> str:
    """The recipe as YAML, a field a line, each with where its value is from."""
    preset = Recipe.load(recipe.preset).model_dump(mode="json")
    comments = (params_folder() / f"{recipe.preset}.yaml").read_text("utf-8")
    lines = []
    for name, value in recipe.model_dump(mode="json").items():
        field = Recipe.model_fields[name]
        origin, paper = (field.json_schema_extra[key] for key in ("source", "paper"))
        if value != preset[name]:
            source = f"yours; preset: {one_line({name: preset[name]}).partition(': ')[2]}"
        elif line := re.search(rf"^{name}: [^#\n]*(?:# (.*))?$", comments, flags=re.MULTILINE):
            source = f"preset: {line[1]}" if line[1] else "preset"
        elif not origin:
            source = "default"
        else:
            same = paper == field.default
            source = f"default, {origin}" if same else f"default; {origin}: {paper}"
        lines.append(f"{one_line({name: value}):<36}  # {source}\n")
    return "".join(lines)


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


def estimates(recipe: Recipe, model: str) -> tuple[list[str], float]:
    """Tables of GPU memory and disk, and the disk's GB; of a model that is not here a sentence."""
    try:
        shape = memory.shape_of(AutoConfig.from_pretrained(model, trust_remote_code=False))
    except (OSError, ValueError):
        return ["GPU memory and disk: not estimated, the model's configuration is not here\n"], 0.0
    # what samples on the machine that the recipe is for; on this one, "auto" may be torch
    usual = "torch" if recipe.scale == "world" else "vllm"
    backend = usual if recipe.backend == "auto" else recipe.backend
    gpu, here = None, "no GPU here: the run would use the CPU"
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0).total_memory / memory.GB
        here = f"this GPU has {gpu:.1f} GB"
        here += f"; {gpus_said(torch.cuda.device_count(), processes.count())}"
    phases = memory.gpu_memory(recipe, shape, backend, gpu)
    tables = "".join(
        table(f"GPU memory while {doing}, in GB (estimate; rollouts by {backend})", phases[phase])
        for phase, doing in (("rollout", "sampling"), ("update", "updating"))
    )
    disk = memory.disk(recipe, shape)
    return [f"{tables}{here}\n", table("disk, in GB (estimate)", disk)], sum(disk.values())


def table(title: str, parts: dict[str, float]) -> str:
    width = max(map(len, [*parts, "total"]))
    rows = [*parts.items(), ("total", sum(parts.values()))]
    return "\n".join([title, *(f"  {name:<{width}} {size:9.2f}" for name, size in rows)]) + "\n"


def examples_of(recipe: Recipe, tokenizer) -> str:
    rows = training_rows(recipe, tokenizer)
    if tokenizer is not None:
        check_lengths(recipe, rows, tokenizer)
    return f"{len(rows)} from {recipe.examples!r}"


def reward_of(recipe: Recipe) -> str:
    check_reward(recipe)
    sha = reward_source(recipe)
    return f"{recipe.reward}, sha256 {sha[:12]}" if sha else recipe.reward


def solution_of(recipe: Recipe, tokenizer) -> str:
    from onerl.training import sft

    (row,) = training_rows(recipe, tokenizer)
    return repr(sft.solution(recipe, row["answer"]))


def problems_of(recipe: Recipe, name: str) -> str:
    return f"{len(problems.benchmark(name, recipe.world))} problems"


def backend_of(recipe: Recipe) -> str:
    name = backend_for(recipe.backend, recipe.model)
    if name == "vllm-server":
        reach(recipe.vllm_url)
    return name


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
