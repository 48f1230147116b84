"""Every file that a run keeps has its size and its sha256, written with it.

A checkpoint's folder holds `sums.json`: {"files": {path in the run's folder: [bytes, sha256]}} of
its own files and of the rollouts of its step. Such a file ends with a sum of itself, so that a
changed one is noticed too. Runs from before have none, and nothing is said of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

SUMS = "sums.json"
SEAL = "sha256"


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """Hex sha256 of a text's UTF-8 bytes; lone surrogates count as they are."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sealed(values: Mapping[str, Any]) -> str:
    """`values` as JSON text that ends with a sum of itself, for `unsealed`."""
    return json.dumps({**values, SEAL: text_sha256(json.dumps(values))}, indent=1) + "\n"


def unsealed(file: Path) -> dict[str, Any]:
    """The values of a JSON file that `sealed` made; one without a sum is taken as it is.

    Raises:
        ValueError: the file is no JSON object, or is not as it was written.
        OSError: the file cannot be read.
    """
    values = json.loads(file.read_text("utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{file}: not a JSON object")
    seal = values.pop(SEAL, None)
    if seal is not None and seal != text_sha256(json.dumps(values)):
        raise ValueError(f"{file}: not as it was written")
    return values


def measured(paths: Mapping[str, Path]) -> dict[str, list]:
    """{name: [bytes, sha256]} of files by name, sorted by name."""
    return {name: [p.stat().st_size, file_sha256(p)] for name, p in sorted(paths.items())}


def altered(root: Path, files: Mapping[str, list | str], contents: bool) -> list[str]:
    """Names of the files below `root` that are missing or of another size; with `contents`, sum.

    Args:
        files: {name: [bytes, sha256]}, or the sha256 alone, as it was written once.
    """
    found = []
    for name, kept in files.items():
        path, (size, sum_) = root / name, (None, kept) if isinstance(kept, str) else kept
        try:
            whole = path.is_file() and size in (None, path.stat().st_size)
            whole = whole and (not contents or file_sha256(path) == sum_)
        except OSError:
            whole = False
        if not whole:
            found.append(name)
    return found


def damaged(root: Path, listing: str, contents: bool, needed: Collection[str] = ()) -> list[str]:
    """Names of files that a list of sums names and that are altered; its own, where itself is.

    Args:
        listing: the list's name below `root`; {"files": ...} as `altered` takes them, or,
            where some are needed, as states were written once, the files alone.
        needed: names that it must have.
    """
    try:
        values = unsealed(root / listing)
        kept = values.get("files", values if needed else {})
        return altered(root, kept, contents) if set(needed) <= set(kept) else [listing]
    except (OSError, ValueError, TypeError, AttributeError):
        return [listing]
