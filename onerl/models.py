"""Whether a model can be had, asked before any work: one line says what is missing.

A folder must hold configuration, tokenizer and safetensors weights with all their parts. A model
of the hub must be in the local cache as such a folder, or be there to be fetched: its existence,
its licence and its list of files are asked for, nothing is downloaded. Not covered: whether the
weights are whole, which loading them shows.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from onerl import world
from onerl.problems.prompts import MATH_SYSTEM, STRINGS
from onerl.recipe import Recipe

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


_BY_NAME = (  # first hit wins, in the lower-cased name of a model
    ("qwen2.5-math", "qwen2.5-math"),
    ("r1-distill", "r1-distill"),
    ("deepscaler", "r1-distill"),
    ("llama-3.2", "llama-3.2"),
    ("-instruct", "chat"),
    ("qwen2.5", "qwen2.5"),
)
_BY_TEMPLATE = (  # first hit wins, in the text of a chat template
    ("<｜User｜>", "r1-distill"),
    ("Cutting Knowledge Date", "llama-3.2"),
    (MATH_SYSTEM.split(",")[0], "qwen2.5-math"),
)


def family_of(model: Any) -> str:
    """The prompt family of a model: a name of `STRINGS`, or "chat" (its own chat template).

    Args:
        model: a family's name, "world", a hub id, a checkpoint folder, or a tokenizer. For the
            checkpoint of a run, the run's recipe decides; a folder with world.json is a world's.
    """
    if not isinstance(model, (str, Path)):
        return _family_of_template(getattr(model, "chat_template", None), model.name_or_path)
    name = str(model)
    if name in STRINGS or name == "chat":
        return name
    folder = Path(name)
    if folder == world.FOLDER:
        return "world"
    if not folder.is_dir():
        return _family_of_template(None, name)
    for run in folder.resolve().parents[:2]:
        if (run / "recipe.yaml").is_file():
            recipe = yaml.safe_load((run / "recipe.yaml").read_text("utf-8"))
            return recipe["prompt"] if recipe["prompt"] != "auto" else family_of(recipe["model"])
    if world.is_world(folder):
        return "world"
    template = folder / "chat_template.jinja"
    config = folder / "tokenizer_config.json"
    if template.is_file():
        return _family_of_template(template.read_text("utf-8"), name)
    settings = json.loads(config.read_text("utf-8")) if config.is_file() else {}
    return _family_of_template(settings.get("chat_template"), name)


def _family_of_template(template: Any, name: str) -> str:
    text = template if isinstance(template, str) else ""
    for mark, family in _BY_TEMPLATE:
        if mark in text:
            return family
    folder_name = str(name).rstrip("/").lower()
    for mark, family in _BY_NAME:
        if mark in folder_name:
            return family
    return "chat"


def load_tokenizer(model: str):
    """The model's tokenizer; one line says what is missing when it cannot be had."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model)
    except OSError:  # transformers explains at length, and a mistyped folder looks like a hub id
        raise FileNotFoundError(
            f"model = {model!r}: no such folder, not in the local cache of the hub, and not to be"
            " had from the hub; set model to a folder that holds it"
        ) from None


def model_path(recipe: Recipe) -> str:
    """What `from_pretrained` takes: the shipped base model's folder for "world"."""
    if recipe.model != "world":
        return recipe.model
    return str(world.FOLDER)


STOP_TOKENS = ("<|im_end|>", "<|endoftext|>", "</s>")


def fingerprint(location: str) -> str:
    """sha256 over a folder's weights, so that kept answers are never taken for another model's."""
    digest = hashlib.sha256()
    weights = sorted(Path(location).glob("*.safetensors"))
    for file in weights:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest() if weights else location
