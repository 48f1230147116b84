"""Files that are whole or invisible: written aside, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any


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
