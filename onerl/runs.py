"""A run's folder: what was decided, what happened, what came out.

    recipe.yaml        the resolved recipe      } both written before any work
    provenance.json    versions, git, hardware  }
    metrics.jsonl      a row per optimiser step
    rollouts/          sampled answers and grades of the steps with a checkpoint
    checkpoints/       step-000000 (the base model), …: whole folders for `from_pretrained`
    state/             optimiser state and metrics for resuming (`onerl.state`)
    launch.log         what a run that was started as a program said (`onerl.launch`)
    evaluations/       records of evaluations
    DONE               there once the run is finished

A folder or file under its final name is whole: it was written aside, synced and renamed.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onerl.prompts import prompt_sha256

if TYPE_CHECKING:
    import pandas as pd

    from onerl.recipe import Recipe

PACKAGES = (
    *("onerl", "torch", "transformers", "tokenizers", "trl", "accelerate", "datasets", "numpy"),
    *("sympy", "math-verify", "vllm"),
)


def outputs_folder() -> Path:
    """Where runs go by default: `outputs/` of the checkout, or else of the working directory.

    The same folder for papermill at the repository's root and for Jupyter in `notebooks/`.
    """
    checkout = Path(__file__).parents[1]
    return (checkout if (checkout / "pyproject.toml").exists() else Path.cwd()) / "outputs"


class Run:
    """A run folder, finished or not. Reading it needs neither torch nor the model."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {'done' if self.done else 'not finished'})"

    @property
    def recipe(self) -> Recipe:
        from onerl.recipe import Recipe

        return Recipe.load(self.path / "recipe.yaml")

    @property
    def done(self) -> bool:
        return (self.path / "DONE").exists()

    @property
    def metrics(self) -> pd.DataFrame:
        """A row per optimiser step; no rows before the first. A torn last line is left out."""
        import pandas as pd

        return pd.DataFrame(self._rows()).drop(columns="by_example", errors="ignore")

    @property
    def history(self) -> pd.DataFrame:
        """The share of right rollouts, a row per step and a column per example.

        NaN where an example was not visited. Empty for a run on a single example, whose share is
        the metric `reward`.
        """
        import pandas as pd

        rows = {row["step"]: row["by_example"] for row in self._rows() if "by_example" in row}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("step")

    def _rows(self) -> list[dict[str, Any]]:
        file = self.path / "metrics.jsonl"
        lines = file.read_text("utf-8").splitlines(keepends=True) if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def checkpoints(self) -> list[tuple[int, Path]]:
        """(step, folder) pairs, oldest first; step 0 is the base model."""
        folders = sorted((self.path / "checkpoints").glob("step-*[0-9]"))
        return [(int(folder.name.removeprefix("step-")), folder) for folder in folders]


@contextlib.contextmanager
def atomic_dir(target: str | Path) -> Iterator[Path]:
    """A folder to fill, which appears under the name `target` whole or not at all.

    What stood there before is replaced. A leftover of an interrupted write is removed.

    Raises:
        OSError: the disk is full or the folder cannot be written; the message names it, and
            what stood there before is untouched.
    """
    target = Path(target)
    aside = target.with_name(f".{target.name}.partial")
    with named_errors(target):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            yield aside
            for path in sorted(aside.rglob("*")):
                _sync(path)
            _sync(aside)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        former = target.with_name(f".{target.name}.former")
        shutil.rmtree(former, ignore_errors=True)
        if target.exists():
            target.rename(former)  # removing it under its own name would show a part of it
        aside.rename(target)
        _sync(target.parent)
        shutil.rmtree(former, ignore_errors=True)


def append_jsonl(file: str | Path, row: dict[str, Any]) -> None:
    """Append one JSON line and sync it; keys keep their order.

    Raises:
        OSError: the file cannot be written; the message names it.
    """
    with named_errors(Path(file)), Path(file).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def write_text(file: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_file(file) as aside:
        aside.write_text(text, "utf-8")


@contextlib.contextmanager
def atomic_file(file: str | Path) -> Iterator[Path]:
    """A path to write, which appears under the name `file` whole or not at all.

    Raises:
        OSError: the file cannot be written; the message names it.
    """
    file = Path(file)
    aside = file.with_name(f".{file.name}.partial")
    with named_errors(file):
        yield aside
        _sync(aside)
        aside.replace(file)


def write_provenance(out: str | Path, recipe: Recipe, prompts: Sequence[str]) -> None:
    """Write `provenance.json`, then `recipe.yaml`: what this run is, before it does anything.

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
    folder = Path(__file__).parent
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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Says which path failed, and what to do about a full disk or a missing permission."""
    hints = {
        errno.ENOSPC: "the disk is full; free some space and start again, the run will resume",
        errno.EDQUOT: "your disk quota is used up; free some space and start again",
        errno.EACCES: "the folder may not be written; choose another with out",
        errno.ENOTDIR: "a file stands where a folder is wanted; choose another with out",
        errno.EROFS: "the file system is read-only; choose another folder with out",
    }
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is None and "No space left on device" in str(error):  # safetensors' own error
            number = errno.ENOSPC
        if number in hints:
            raise OSError(number, f"{path}: {hints[number]}") from error
        raise
