"""Whether a model can be had, asked before any work: one line says what is missing.

A folder must hold configuration, tokenizer and safetensors weights with all their parts. A model
of the hub must be in the local cache as such a folder, or be there to be fetched: its existence,
its licence and its list of files are asked for, nothing is downloaded. Not covered: whether the
weights are whole, which loading them shows.
"""

from __future__ import annotations

import json
from pathlib import Path

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
INDEX = "model.safetensors.index.json"


def check_model(model: str) -> None:
    """Raises FileNotFoundError or PermissionError, in one line, when `model` cannot be had.

    Args:
        model: a folder or a hub id.
    """
    if Path(model).is_dir():
        check_folder(Path(model), f"model = {model!r}")
    else:
        _check_hub(model)


def check_folder(folder: Path, name: str) -> None:
    """Raises FileNotFoundError when a model's folder lacks a file; `name` begins the message."""
    files = {path.name for path in folder.iterdir()}
    parts = []
    if INDEX in files:
        parts = json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values()
    if lacking := _lacking(files, parts):
        raise FileNotFoundError(f"{name}: the folder {folder} lacks {lacking}")


def _lacking(files: set[str], parts=()) -> str | None:
    """The first file that a model needs and `files` has not."""
    if "config.json" not in files:
        return "config.json"
    if not files & set(TOKENIZERS):
        return f"its tokenizer ({' or '.join(TOKENIZERS)})"
    if not files & {"model.safetensors", INDEX}:
        return "model.safetensors; weights are read from that format only"
    return min(set(parts) - files, default=None)


def _check_hub(model: str) -> None:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    nowhere = FileNotFoundError(
        f"model = {model!r}: no such folder, not in the local cache of the hub, and not to be had"
        " from the hub; set model to a folder that holds it"
    )
    if constants.HF_HUB_OFFLINE:
        return _check_cache(model, nowhere)
    try:
        HfApi().auth_check(model)
        files = {file.rfilename for file in HfApi().model_info(model).siblings}
    except GatedRepoError:
        raise PermissionError(
            f"model = {model!r}: it is gated; accept its licence at https://huggingface.co/{model}"
            " and log in on this machine (hf auth login)"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise nowhere from None
    except Exception:  # whatever the network raises; a whole copy in the cache will do
        return _check_cache(model, nowhere)
    if lacking := _lacking(files):
        raise FileNotFoundError(f"model = {model!r}: on the hub it lacks {lacking}")


def _check_cache(model: str, nowhere: Exception) -> None:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(model, local_files_only=True)
    except (OSError, ValueError):
        raise nowhere from None
    check_folder(Path(folder), f"model = {model!r}")
