"""What a model's name means: its folder, prompt format, end tokens, run and weights.

    locate("world")                     the shipped base model
    locate("Qwen/Qwen2.5-Math-1.5B")    a hub id; its files are fetched when they are needed
    locate(run.checkpoints[-1])         a (step, folder) pair; a folder alone will do as well
    locate(run)                         a run, or its folder: the last checkpoint
    locate("model.gguf")                a GGUF file, converted once into a folder (`gguf`)

`check_model` and `load` say in one line why a model cannot be used: a missing or torn file,
adapters in place of weights, a tensor that is missing or that the architecture does not have. A
folder's own Python code is never run. transformers is imported when it is first needed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from onerl.models.gguf import converted, is_gguf
from onerl.parameters import read_yaml
from onerl.problems.prompts import MATH_SYSTEM
from onerl.runs import Run
from onerl.world import EMBEDDED, FOLDER, World, is_world, world_of

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
INDEX = "model.safetensors.index.json"
SETUP = (  # what a model's answers depend on beside its weights
    *("config.json", "generation_config.json", "chat_template.jinja", "tokenizer_config.json"),
    *(*TOKENIZERS, "merges.txt", "special_tokens_map.json", "added_tokens.json"),
)
FETCHED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model")
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


@dataclass(frozen=True)
class Located:
    """One model, whatever it was called.

    name: what `from_pretrained` takes, a folder or a hub id. folder: None for a hub id. format: a
    prompt format of `onerl.problems.prompts`, or "chat", its own chat template. run, step: the
    folder of the run that it is a checkpoint of, and after how many steps; None where not known.
    """

    name: str
    folder: Path | None
    step: int | None
    format: str
    run: Path | None

    @cached_property
    def files(self) -> Path:
        """The folder that holds the model's files; those of a hub id are fetched."""
        return self.folder or _snapshot(self.name, allow_patterns=list(FETCHED))

    @cached_property
    def sha256(self) -> str:
        """Over the weights, so that other weights under the same name are told apart."""
        return self._sum(sorted(self.files.glob("*.safetensors")))

    @cached_property
    def setup_sha256(self) -> str:
        """Over configuration and tokenizer: what else decides how the model answers."""
        return self._sum([self.files / name for name in SETUP if (self.files / name).is_file()])

    def _sum(self, paths: list[Path]) -> str:
        check_files(self.files)
        digest = hashlib.sha256()
        for path in paths:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    @cached_property
    def stored_dtype(self) -> str:
        """What the weights are stored in, as config.json names it: float32, bfloat16, …"""
        config = _json(self.files / "config.json")
        parts = (config, config.get("text_config") or {})
        found = [part.get(key) for part in parts for key in ("dtype", "torch_dtype")]
        return next(filter(None, found), "float32").removeprefix("torch.")

    @cached_property
    def positions(self) -> int | None:
        """The longest sequence that the model knows, prompt and completion together, in tokens."""
        return _json(self.files / "config.json").get("max_position_embeddings")

    @cached_property
    def world(self) -> World:
        """Whose problems "world" and "world:…" mean for this model."""
        return EMBEDDED if self.folder is None else world_of(self.folder)

    @cached_property
    def tokenizer(self):
        return load_tokenizer(self.name)

    @cached_property
    def stops(self) -> set[int]:
        """Ids of the end tokens, by the rule of TRL and of the released code (reference 2.6)."""
        from transformers import AutoConfig, GenerationConfig

        try:
            config = GenerationConfig.from_pretrained(self.name)
        except OSError:  # an older checkpoint, with the tokens in its config
            config = AutoConfig.from_pretrained(self.name, trust_remote_code=False)
        ids = config.eos_token_id
        ids = ids if isinstance(ids, list) else [ids]
        return {self.tokenizer.eos_token_id, *ids} - {None}


def locate(model: Any) -> Located:
    """What the name of a model stands for.

    Args:
        model: "world", a folder, a hub id, a GGUF file, a (step, folder) pair of
            `Run.checkpoints`, a `Run` or its folder (its last checkpoint), or what `locate` has
            returned.

    Raises:
        ValueError: none of these, or a run without a checkpoint.
    """
    if isinstance(model, Located):
        return model
    step, place = model if isinstance(model, tuple) else (None, model)
    if not isinstance(place, Run | str | Path) or place == "":
        raise ValueError(
            f'model = {model!r}: allowed: "world", a folder, a hub id, a GGUF file, a run or a'
            " (step, folder) pair of its checkpoints"
        )
    run = place if isinstance(place, Run) else Run(place)
    is_run = (run.path / "recipe.yaml").is_file() and not (run.path / "config.json").is_file()
    if run is place or is_run:
        if not run.checkpoints:
            raise ValueError(f"model = {str(run.path)!r}: this run has no checkpoint yet")
        step, place = run.checkpoints[-1]
    if is_gguf(place):
        place = converted(Path(place))
    name = str(FOLDER if place == "world" else place)
    folder = Path(name)
    if not folder.is_dir():
        return Located(name, None, step, _format_by_name(name), None)
    run = folder.resolve().parent.parent
    if folder.resolve().parent.name != "checkpoints" or not (run / "recipe.yaml").is_file():
        return Located(name, folder, step, _format_of_folder(folder), None)
    if step is None and folder.name.removeprefix("step-").isdecimal():
        step = int(folder.name.removeprefix("step-"))
    recipe = read_yaml(run / "recipe.yaml")
    known = prompt_format(recipe.get("prompt", "auto"), recipe.get("model"))
    return Located(name, folder, step, known, run)


def prompt_format(prompt: str, model: Any) -> str:
    """The prompt format that a recipe or an evaluation names; "auto" is the model's own."""
    return locate(model).format if prompt == "auto" else prompt


def _format_of_folder(folder: Path) -> str:
    """By what lies in the folder: a world, a chat template that is known, or else its name."""
    if is_world(folder):
        return "world"
    template, config = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    text = None
    if template.is_file():
        text = template.read_text("utf-8")
    elif config.is_file():
        text = _json(config).get("chat_template")
    known = (known for mark, known in _BY_TEMPLATE if mark in (text or ""))
    return next(known, None) or _format_by_name(str(folder))


def _format_by_name(name: str) -> str:
    return next((known for mark, known in _BY_NAME if mark in name.lower()), "chat")


def load_tokenizer(model: str):
    """The tokenizer of a folder or a hub id.

    Raises:
        FileNotFoundError: it is nowhere to be had.
        ValueError: a file of the folder is torn, or the tokenizer is not one of transformers.
    """
    from transformers import AutoTokenizer

    if Path(model).is_dir():
        check_files(Path(model))
    try:
        return AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    except OSError:  # transformers explains at length, and a mistyped folder looks like a hub id
        raise _nowhere(model) from None
    except Exception as error:  # tokenizers raises its own
        text = _reason(error)
        raise ValueError(f"model = {model!r}: its tokenizer cannot be loaded: {text}") from None


def _reason(error: Exception) -> str:
    """What a library says about a folder, in one line."""
    text = " ".join(str(error).split())
    if "trust_remote_code" in text:
        return "it wants Python code of its own to be run (auto_map), which is never done"
    return text[:300]


def check_model(model: str | Path) -> None:
    """Refuses a folder or a hub id that cannot be had or is not whole, in one line.

    Of a hub id its existence, its licence and its list of files are asked for, or else the local
    cache is read; nothing is downloaded.

    Raises:
        FileNotFoundError: it is nowhere, or a file is missing.
        PermissionError: it is gated, and its licence not accepted.
        ValueError: a file is torn, or the weights are not those of the architecture.
    """
    folder = Path(model)
    if not folder.is_dir():
        files = _hub_files(model)
        if files is not None:
            if lacking := _lacking(files):
                raise FileNotFoundError(f"model = {model!r}: on the hub it lacks {lacking}")
            return
        folder = _snapshot(model, local_files_only=True)
    load(folder, device_map="meta")  # without its numbers


def check_files(folder: Path) -> None:
    """The part of `check_model` that needs no transformers: all files are there and readable."""
    files = {path.name for path in folder.iterdir()}
    if "adapter_config.json" in files:
        raise ValueError(
            f"model = {str(folder)!r}: holds adapters (adapter_config.json), which are no whole"
            " model; merge them into their base model and save that"
        )
    parts = _json(folder / INDEX).get("weight_map", {}).values() if INDEX in files else []
    if lacking := _lacking(files, parts):
        raise FileNotFoundError(f"model = {str(folder)!r}: the folder lacks {lacking}")
    for file in files & set(SETUP):
        if file.endswith(".json"):
            _json(folder / file)


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: is not whole JSON ({error}); get the file again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: holds no JSON object; get the file again")
    return content


def load(folder: Path, **how: Any):
    """The causal language model in a folder; every tensor must be there, and none beside them.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is torn, or the weights are not those of the architecture.
    """
    check_files(folder)
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)  # its table of wrong tensors says it at length
    logging.disable_progress_bar()
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder, output_loading_info=True, trust_remote_code=False, **how
        )
    except Exception as error:  # torch, safetensors and transformers each raise their own
        raise ValueError(f"model = {str(folder)!r}: cannot be loaded: {_reason(error)}") from None
    finally:
        logging.set_verbosity(before)
    for kind in ("missing", "unexpected", "mismatched"):
        if wrong := sorted(map(str, info[f"{kind}_keys"])):
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise ValueError(
                f"model = {str(folder)!r}: the weights are not those of its config.json; {kind}:"
                f" {wrong[0]}{more}"
            )
    return model


def _lacking(files: set[str], parts=()) -> str | None:
    """The first file that a model needs and `files` has not."""
    if "config.json" not in files:
        return "config.json"
    if not files & set(TOKENIZERS):
        return f"its tokenizer ({' or '.join(TOKENIZERS)})"
    if not files & {"model.safetensors", INDEX}:
        return "model.safetensors; weights are read from that format only"
    return min(set(parts) - files, default=None)


def _nowhere(model: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"model = {model!r}: no such folder, not in the local cache of the hub, and not to be had"
        " from the hub; set model to a folder that holds it"
    )


def _snapshot(model: str, **how: Any) -> Path:
    """The folder of a hub id, by huggingface_hub."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, **how))
    except (OSError, ValueError):
        raise _nowhere(model) from None


def _hub_files(model: str) -> set[str] | None:
    """The names of a hub id's files; None where the hub cannot be asked."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        HfApi().auth_check(model)
        return {file.rfilename for file in HfApi().model_info(model).siblings}
    except GatedRepoError:
        raise PermissionError(
            f"model = {model!r}: it is gated; accept its licence at https://huggingface.co/{model}"
            " and log in on this machine (hf auth login)"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise _nowhere(model) from None
    except Exception:  # offline, or whatever the network raises: a whole copy in the cache will do
        return None
