"""Files that are whole or invisible: written aside, synced, renamed.

Where one cannot be written, the OSError names it and says what to do (`named_errors`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PARTIAL = re.compile(r"(\..+\.(?:partial|former)|.+\.(\d+)\.partial)")  # names of writes cut short
OTHER = "choose another folder with out"
HINTS = {
    errno.ENOSPC: "the disk is full; free some space and start again, the run will resume",
    errno.EDQUOT: "your disk quota is used up; free some space and start again",
    errno.EFBIG: f"larger than a file may be here (ulimit -f); {OTHER}, the run will start there",
    errno.EACCES: f"the folder may not be written; {OTHER}",
    errno.EPERM: f"the folder may not be written; {OTHER}",
    errno.ENOTDIR: f"a file stands where a folder is wanted; {OTHER}",
    errno.EEXIST: f"a file stands where a folder is wanted; {OTHER}",
    errno.EROFS: f"the file system is read-only; {OTHER}",
    errno.ESTALE: "the network file system has lost it; start again, the run will resume",
    errno.EIO: "the disk or network file system fails to read or write; check it and start again",
}


def refusal(out: Path, reason: str, instead: str = OTHER) -> ValueError:
    """The error for a run's folder that may not be used, and what to do instead."""
    return ValueError(f"out = {str(out)!r}: {reason}; {instead}")


@contextlib.contextmanager
def atomic_dir(target: str | Path) -> Iterator[Path]:
    """A folder to fill, which appears under the name `target` whole or not at all.

    It replaces what stood there before, and removes what an interrupted write left. Its files get
    the permissions that the umask gives (safetensors' own are for the owner alone).
    """
    target = Path(target)
    aside = target.with_name(f".{target.name}.partial")
    with named_errors(target):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            yield aside
            readable = aside.stat().st_mode & 0o666
            for path in sorted(aside.rglob("*")):
                if path.is_file():
                    path.chmod(readable)
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
    """Append one JSON line and sync it; keys keep their order."""
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
    """A path to write, which appears under the name `file` whole or not at all."""
    file = Path(file)
    aside = file.with_name(f".{file.name}.partial")
    with named_errors(file):
        yield aside
        _sync(aside)
        aside.replace(file)


def remove_partial(folder: Path) -> None:
    """Remove what killed writers left below `folder`: `.NAME.partial`, `NAME.<pid>.partial`.

    What a process of this machine is still writing stays. Symbolic links are not followed.
    """
    for path in list(folder.rglob("*")):
        partial = PARTIAL.fullmatch(path.name)
        if not partial or path.is_symlink() or (partial[2] and _alive(int(partial[2]))):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (PermissionError, OverflowError):  # another user's, or no number of a process
        return True
    except ProcessLookupError:
        return False
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Says which path failed, and what to do about a full disk or a missing permission.

    Raises:
        OSError: with the path and a hint, in place of the error inside.
    """
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is None:  # safetensors' own error, such as "… File too large (os error 27)"
            code = re.search(r"(?:Os \{ code: |os error )(\d+)", str(error))
            number = int(code[1]) if code else None
        if number in HINTS:
            raise OSError(number, f"{path}: {HINTS[number]}") from error
        raise
