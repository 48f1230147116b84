"""What a run was made from and with: inputs, versions, commit, hardware, and every start.

`provenance.json` has what the first start was made with and, under "resumed", the same of every
later one. Its inputs are sums (sha256) of what the result depends on and a name does not fix:
examples, prompts, weights of the model, source of an own reward. They are compared when a run is
resumed and when a finished one is returned.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onerl.parameters import RecipeError, read_yaml
from onerl.problems.prompts import prompt_sha256
from onerl.recipe import Recipe
from onerl.runs import files, sums

FILE = "provenance.json"
PACKAGES = (
    *("onerl", "torch", "transformers", "tokenizers", "trl", "accelerate", "datasets", "numpy"),
    *("mpmath", "vllm"),
)
SECRET = r"(?:[\w.-]*[_.-])?(?:token|(?:api|access)?key|secret|passw(?:or)?d|auth|credentials?)"
MASKS = (  # what is not kept of a command or an address
    (re.compile(r"(\w://)[^/@\s]+@"), r"\1***@"),  # user:password@host
    (re.compile(rf"(?i)(^|[?&\s-])({SECRET}=)[^&\s]+"), r"\1\2***"),
    (re.compile(r"\b(?:hf_|sk-|ghp_|gho_|github_pat_|glpat-|xox[bp]-|AKIA)[\w-]{8,}"), "***"),
    (re.compile(r"(?i)\b(Bearer\s+)\S+"), r"\1***"),
)


def write_provenance(
    out: Path,
    recipe: Recipe,
    prompts: Sequence[str] = (),
    inputs: Mapping[str, str] | None = None,
    used: Mapping[str, Any] | None = None,
) -> None:
    """Write what this start is made with, before it does anything; then world and recipe.

    Args:
        prompts: the rendered training prompts; their sha256 are kept.
        inputs: sums of what the run is made from, by name.
        used: settings that change the bits of a run and are not in the recipe's hash.
    """
    out.mkdir(parents=True, exist_ok=True)
    start = {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": masked([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "packages": _versions(),
        "git": git_commit(),
        "hardware": hardware(),
        "used": dict(used or {}),
    }
    if first := read(out):
        values = {**first, "resumed": [*first.get("resumed", []), start]}
    else:
        sums_of_prompts = sorted({prompt_sha256(prompt) for prompt in prompts})
        values = {"recipe_hash": recipe.hash(), "prompt_sha256": sums_of_prompts}
        values |= {"inputs": dict(inputs or {}), **start}
    files.write_text(out / FILE, sums.sealed(values))
    if recipe.scale == "world":
        recipe.world.save(out)
    file = out / "recipe.yaml"  # a cut one lacks fields, which its preset would fill in
    if recipe_of(out) != recipe.hash() or not set(Recipe.model_fields) <= set(read_yaml(file)):
        public = recipe.replace(vllm_url=masked([recipe.vllm_url])[0])
        files.write_text(file, public.to_yaml())


def write_recipe(file: Path, recipe: Recipe) -> None:
    """A recipe file for a program that we start; for the owner alone where it has a password."""
    with files.atomic_file(file) as aside:
        aside.touch(0o600 if masked([recipe.vllm_url]) != [recipe.vllm_url] else 0o666)
        aside.write_text(recipe.to_yaml(), "utf-8")


def recipe_of(out: Path) -> str | None:
    """The hash of the recipe in a run's folder; None where it cannot be read."""
    try:
        return Recipe.load(out / "recipe.yaml").hash()
    except RecipeError:
        return None


def read(out: Path) -> dict[str, Any] | None:
    """The provenance of the run in `out`; None where there is none, or it is damaged."""
    try:
        return sums.unsealed(out / FILE)
    except (OSError, ValueError):
        return None


def recorded_hash(out: Path) -> str | None:
    """The recipe's hash as the provenance has it, None where that is missing or damaged."""
    return (read(out) or {}).get("recipe_hash")


def same_inputs(out: Path, inputs: Mapping[str, str], prompts: Sequence[str]) -> None:
    """Refuse a folder whose run was made from other inputs than there are now.

    Of a run that was recorded before it kept them, the prompts are compared. An input that is not
    known now, such as a model that is gone, is passed.

    Raises:
        ValueError: naming each input that changed, with the beginnings of both sums.
    """
    recorded = read(out) or {}
    before = recorded.get("inputs") or {}
    changed = [
        f"{name} ({before[name][:12]} then, {inputs[name][:12]} now)"
        for name in before
        if name in inputs and before[name] != inputs[name]
    ]
    kept = recorded.get("prompt_sha256")
    if not before and kept and prompts and kept != sorted({prompt_sha256(p) for p in prompts}):
        changed = ["prompts"]
    if changed:
        reason = f"holds a run that was made from other inputs, by sha256: {', '.join(changed)}"
        raise files.refusal(out, reason, f"bring them back, or {files.OTHER}")


def masked(words: Sequence[str]) -> list[str]:
    """A command's words without passwords, tokens and keys."""
    shown, hide = [], False
    for word in words:
        text = "***" if hide else word
        for pattern, instead in MASKS:
            text = pattern.sub(instead, text)
        shown.append(text)
        hide = not hide and bool(re.fullmatch(rf"(?i)-{{0,2}}{SECRET}", word))
    return shown


def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, memory in GiB, and GPUs once torch is loaded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pages = os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in os.sysconf_names else 0
    info = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*:(.*)", info.read_text(), re.M) if info.exists() else None
    found: dict[str, Any] = {
        "machine": platform.machine(),
        "cpu": named[1].strip() if named else platform.processor(),
        "cores": cores,
        "memory_gib": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**30) if pages else None,
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        found["gpus"] = [torch.cuda.get_device_name(i) for i in devices]
    return found


def git_commit() -> dict[str, Any] | None:
    """Commit of the checkout that onerl is imported from, and whether it was changed since."""
    git = ["git", "-C", str(Path(__file__).parents[1])]
    try:
        commit = subprocess.check_output(
            [*git, "rev-parse", "HEAD"], stderr=subprocess.DEVNULL, text=True
        )
        status = subprocess.check_output([*git, "status", "--porcelain", "--", "."], text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "changed": bool(status.strip())}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
