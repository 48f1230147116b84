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
from typing import Any

import filelock
import yaml

from onerl.parameters import RecipeError, read_yaml
from onerl.recipe import Recipe
from onerl.runs import files, provenance
from onerl.runs.files import refusal
from onerl.world import is_world, world_of

EARLY = {
    *(".lock", "provenance.json", "solution.txt", "reward.py"),
    *("job.yaml", "job.log", "launch.yaml", "launch.log"),
}
"""What stands in a run's folder before its recipe does."""
FOLDERS = {"rollouts", "checkpoints", "state", "evaluations"}
WRITTEN = EARLY | FOLDERS | {"recipe.yaml", "metrics.jsonl", "manifest.json", "DONE"}
NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
PATIENCE = 1.0  # seconds to wait for the lock, which another process may hold to look at it


def check_folder(out: Path) -> None:
    """Refuse a folder that no run of ours may write to.

    Raises:
        ValueError: `out` is a file or a link to nothing; it holds something and no recipe of
            ours; or a name of ours in it is a symbolic link, which may lead to another's files.
    """
    if out.is_symlink() and not out.exists():
        raise refusal(out, "is a symbolic link to nothing")
    if out.exists() and not out.is_dir():
        raise refusal(out, "is a file, and a folder is needed")
    with files.named_errors(out):
        names = sorted(os.listdir(out)) if out.exists() else []
    for name in [name for name in names if name in WRITTEN]:
        if (out / name).is_symlink():
            reason = "is a symbolic link, and a run writes and removes files there"
            raise refusal(out, f"{name} {reason}")
        if (out / name).is_dir() != (name in FOLDERS):
            reason = f"is a {'file' if name in FOLDERS else 'folder'}, and a run has something else"
            raise refusal(
                out, f"{name} {reason} under that name; move it away", f"or {files.OTHER}"
            )
    foreign = [n for n in names if n not in EARLY and not files.PARTIAL.fullmatch(n)]
    if foreign and not _begun(out):
        reason = f"holds {foreign[0]!r} and is no run's folder, so nothing is written to it"
        raise refusal(out, reason)


def _begun(out: Path) -> bool:
    """Whether the folder holds a run: its recipe, or its provenance where that is damaged."""
    with contextlib.suppress(RecipeError):
        if {"model", "examples", "steps"} <= set(read_yaml(out / "recipe.yaml")):
            return True
    return provenance.recorded_hash(out) is not None


def same_recipe(out: Path, recipe: Recipe) -> None:
    """Refuse a folder that holds the run of another recipe, naming the fields that differ.

    A damaged recipe is passed where the provenance has this recipe's hash: it is written again.

    Raises:
        ValueError: naming the fields, or what is wrong with the file.
    """
    path, ours = out / "recipe.yaml", recipe.model_dump(mode="json")
    written, recorded = provenance.recipe_of(out), provenance.recorded_hash(out)
    if not path.exists() and recorded is None:
        return
    theirs: Any = None
    with contextlib.suppress(RecipeError):
        read_yaml(path)  # refuses what is no recipe; here the numbers are wanted as such
        theirs = yaml.safe_load(path.read_text("utf-8"))
    theirs = theirs if isinstance(theirs, dict) else {}
    if unknown := sorted(set(theirs) - set(ours)):
        reason = f"its recipe has the field {unknown[0]}, which this version of onerl does not know"
        raise refusal(out, reason, f"use the newer version, or {files.OTHER}")
    if is_world(out) and world_of(out) != recipe.world:
        reason = "holds a run in another world than that of"
        raise refusal(out, f"{reason} model = {recipe.model!r} is now")
    if recipe.hash() in (written, recorded):
        return
    if not theirs or (recorded and recorded != written):
        raise refusal(out, "its recipe.yaml is lost or damaged")
    differ = [
        f"{name} ({theirs.get(name)!r}, now {value!r})"
        for name, value in ours.items()
        if value != theirs.get(name)
    ]
    reason = f"holds a run of another recipe, which differs in {', '.join(differ)}"
    raise refusal(out, reason, "choose another folder")


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
    with contextlib.ExitStack() as held:
        try:
            with files.named_errors(out):
                held.enter_context(file)
            folder = held.enter_context(_opened(out))
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
            reason = f"its file system has no file locks ({error.strerror}), which keep two"
            instead = "mount it with flock, or choose a folder on another file system with out"
            raise refusal(out, f"{reason} processes out of one run", instead) from None
        yield


def busy(out: Path) -> bool:
    """Whether a process is training in the folder: it then holds the folder's lock."""
    for path in (out / ".lock", out):
        if path.exists():
            with _opened(path) as descriptor:
                if not _locked(descriptor):
                    return True
    return False


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The descriptor of a file or folder; closing it lets go of its lock."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Lock an open file or folder; False when another process has it."""
    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError:  # some file systems lock no folders, and none that is open for reading
        return True
