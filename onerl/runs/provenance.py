"""What a run was made with: versions, commit, hardware, sums of its prompts."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onerl.problems.prompts import prompt_sha256
from onerl.recipe import Recipe
from onerl.runs.files import write_text

PACKAGES = (
    *("onerl", "torch", "transformers", "tokenizers", "trl", "accelerate", "datasets", "numpy"),
    *("sympy", "math-verify", "vllm"),
)


def write_provenance(out: str | Path, recipe: Recipe, prompts: Sequence[str]) -> None:
    """Write provenance.json, world.json and recipe.yaml: what this run is, before it does anything.

    Args:
        prompts: the rendered training prompts; their sha256 are kept.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    provenance = {
        "recipe_hash": recipe.hash(),
        "prompt_sha256": sorted({prompt_sha256(prompt) for prompt in prompts}),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "git": git_commit(),
        "hardware": hardware(),
    }
    write_text(out / "provenance.json", json.dumps(provenance, indent=1) + "\n")
    if recipe.scale == "world":
        recipe.world.save(out)
    write_text(out / "recipe.yaml", recipe.to_yaml())


def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, memory in GiB, and GPUs once torch is loaded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pages = os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in os.sysconf_names else 0
    found: dict[str, Any] = {
        "machine": platform.machine(),
        "cpu": _cpu_name(),
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
    folder = Path(__file__).parents[1]
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "changed": bool(status)}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
