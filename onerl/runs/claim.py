"""Whose folder it is: ours or a stranger's, another recipe's, another process's.

A run may begin in an empty folder and go on in one that holds its recipe. Anything else is
refused before a file is touched, so that nothing is removed or replaced that no run wrote.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import filelock
import yaml

from onerl.parameters import RecipeError, read_yaml
from onerl.recipe import Recipe
from onerl.runs import files, sums
from onerl.world import is_world, world_of

EARLY = {
    *(".lock", "provenance.json", "solution.txt", "reward.py"),
    *("job.yaml", "job.log", "launch.yaml", "launch.log"),
}
"""What stands in a run's folder before its recipe does."""

WRITTEN = EARLY | {
    *("recipe.yaml", "metrics.jsonl", "rollouts", "checkpoints", "state", "evaluations", "DONE"),
    "manifest.json",
}
NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
PATIENCE = 1.0  # seconds to wait for the lock, which another process may hold to look at it


def check_folder(out: Path) -> None:
    """Refuse a folder that no run of ours may write to.

    Raises:
        ValueError: `out` is a file or a link to nothing; it holds something and no recipe of
            ours; or a name of ours in it is a symbolic link, which may lead to another's files.
    """
    if out.is_symlink() and not out.exists():
        raise ValueError(f"out = {str(out)!r}: is a symbolic link to nothing; {files.OTHER}")
    if out.exists() and not out.is_dir():
        raise ValueError(f"out = {str(out)!r}: is a file, and a folder is needed; {files.OTHER}")
    with files.named_errors(out):
        names = sorted(os.listdir(out)) if out.exists() else []
    for name in names:
        if name in WRITTEN and (out / name).is_symlink():
            raise ValueError(
                f"out = {str(out)!r}: {name} is a symbolic link, and a run writes and removes"
                f" files there; {files.OTHER}"
            )
    if begun(out):
        return
    foreign = [n for n in names if n not in EARLY and not files.PARTIAL.fullmatch(n)]
    if foreign:
        raise ValueError(
            f"out = {str(out)!r}: holds {foreign[0]!r} and is no run's folder, so nothing is"
            f" written to it; {files.OTHER}"
        )


def begun(out: Path) -> bool:
    """Whether the folder holds a run: its recipe, or its provenance where that is damaged."""
    if (out / "recipe.yaml").is_file():
        with contextlib.suppress(RecipeError):
            if {"model", "examples", "steps"} <= set(read_yaml(out / "recipe.yaml")):
                return True
        return recorded_hash(out) is not None
    return False


def recorded_hash(out: Path) -> str | None:
    """The recipe's hash as the provenance has it, None where that is missing or damaged."""
    try:
        return sums.unsealed(out / "provenance.json").get("recipe_hash")
    except (OSError, ValueError):
        return None


def same_recipe(out: Path, recipe: Recipe) -> None:
    """Refuse a folder that holds the run of another recipe, naming the fields that differ.

    A recipe file that is damaged is passed where the provenance has this recipe's hash: it is
    written again.

    Raises:
        ValueError: naming the fields, or what is wrong with the file.
    """
    path = out / "recipe.yaml"
    if not path.exists():
        return
    try:
        theirs = read_yaml(path)
        if not isinstance(theirs, dict):
            raise RecipeError(f"{path}: must be a YAML mapping")
    except RecipeError as error:
        if recorded_hash(out) == recipe.hash():
            return
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"out = {str(out)!r}: its recipe is damaged ({reason}); {files.OTHER}"
        ) from None
    if unknown := sorted(set(theirs) - set(Recipe.model_fields)):
        raise ValueError(
            f"out = {str(out)!r}: its recipe has the field {unknown[0]}, which this version of"
            f" onerl does not know; use the newer version, or {files.OTHER}"
        )
    if is_world(out) and world_of(out) != recipe.world:
        raise ValueError(
            f"out = {str(out)!r}: holds a run in another world than that of model ="
            f" {recipe.model!r} is now; {files.OTHER}"
        )
    with contextlib.suppress(ValueError):  # a value that this version no longer allows
        if Recipe.load(path).hash() == recipe.hash():
            return
    ours, theirs = yaml.safe_load(recipe.to_yaml()), yaml.safe_load(path.read_text("utf-8"))
    differ = [
        f"{name} ({theirs.get(name)!r}, now {value!r})"
        for name, value in ours.items()
        if value != theirs.get(name)
    ]
    raise ValueError(
        f"out = {str(out)!r}: holds a run of another recipe, which differs in"
        f" {', '.join(differ)}; choose another folder"
    )


@contextlib.contextmanager
def lock(out: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel lets go of it when the process ends, however it ends.

    Two locks are held, the file `.lock` and the folder itself, so that a second process is
    refused even after somebody has deleted the file.

    Raises:
        ValueError: another process holds one of them, or the file system has no locks.
        OSError: the folder cannot be written.
    """
    with files.named_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    file = filelock.FileLock(out / ".lock", timeout=PATIENCE, fallback_to_soft=False)
    with contextlib.ExitStack() as stack:
        folder = os.open(out, os.O_RDONLY)
        stack.callback(os.close, folder)
        try:
            with files.named_errors(out):
                file.acquire()
            stack.callback(file.release)
            until = time.monotonic() + PATIENCE
            while not _locked(folder):
                if time.monotonic() > until:
                    raise filelock.Timeout(str(out))
                time.sleep(0.05)
        except filelock.Timeout:
            raise ValueError(f"out = {str(out)!r}: another process is training there") from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise ValueError(
                f"out = {str(out)!r}: its file system has no file locks ({error.strerror}), which"
                " keep two processes out of one run; mount it with flock, or choose a folder on"
                " another file system with out"
            ) from None
        yield


def busy(out: Path) -> bool:
    """Whether a process is training in the folder: it then holds the folder's lock."""
    for path in (out / ".lock", out):
        if path.exists():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if not _locked(descriptor):
                    return True
            finally:
                os.close(descriptor)
    return False


def _locked(descriptor: int) -> bool:
    """Lock an open file or folder; False when another process has it."""
    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError:  # some file systems lock no folders, and none that is open for reading
        return True
