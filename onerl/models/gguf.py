"""A GGUF file as a model: converted once into an ordinary folder of the user's cache.

transformers reads the file, but what it makes of it is not yet the model that was quantised: a
tied embedding comes back as two matrices that differ by quantisation noise, one of several end
tokens is left, and the result refuses to be saved. `converted` mends the three and says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from onerl.runs import files

CONVERTED = "gguf.json"
TIED_WITHIN = 0.12  # relative distance of two quantised copies of one matrix; 4 bits make 0.04
# Tokens that end a turn or a text; llama.cpp stops at every one of them that a vocabulary has.
END_TOKENS = (
    *("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>"),
    *("<eos>", "</s>", "<|end|>", "<｜end▁of▁sentence｜>"),
)


def is_gguf(model: Any) -> bool:
    """Whether a model's name is that of a GGUF file."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() == ".gguf"


def cache_folder() -> Path:
    """Where converted models are kept: `onerl` in XDG_CACHE_HOME, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onerl"


def converted(file: Path) -> Path:
    """The folder of an ordinary float32 model made of a GGUF file; made at the first call.

    Beside the model lies gguf.json: the file's name, bytes and sha256, its own account of its
    origin, and what was changed. A file with other bytes gets another folder.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: the package gguf is not installed.
        ValueError: the file is torn, or transformers does not know its architecture.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f"model = {str(file)!r}: no such GGUF file")
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ValueError(f"model = {str(file)!r}: is not a GGUF file (it starts otherwise)")
        stream.seek(0)
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    folder = cache_folder() / f"{file.stem}-{sha256[:12]}"
    if not (folder / CONVERTED).is_file():
        _convert(file, sha256, folder)
    return folder


def _convert(file: Path, sha256: str, folder: Path) -> None:
    try:
        import gguf
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"model = {str(file)!r}: reading GGUF needs the package gguf; pip install 'onerl[gguf]'"
        ) from None
    print(
        f"{file.name}: converting it into {folder}, once; about a minute for 0.5 B parameters",
        file=sys.stderr,
    )
    try:
        reader = gguf.GGUFReader(file)
        model, tokenizer = _loaded(file)
    except Exception as error:  # gguf, numpy and transformers each raise their own
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"model = {str(file)!r}: cannot be read as GGUF: {reason}") from None
    changes = [*_tie(model, reader), *_end_tokens(model, tokenizer)]
    about = {
        "file": file.name,
        "bytes": file.stat().st_size,
        "sha256": sha256,
        "general": {
            key.removeprefix("general."): field.contents()
            for key, field in reader.fields.items()
            if key.startswith("general.")
        },
        "parameters": model.num_parameters(),
        "changes": changes,
    }
    with files.atomic_dir(folder) as aside:
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        (aside / CONVERTED).write_text(json.dumps(about, indent=1, default=str), "utf-8")
    for change in changes:
        print(f"{file.name}: {change}", file=sys.stderr)


def _loaded(file: Path) -> tuple[Any, Any]:
    """Model and tokenizer as transformers reads them, dequantised to float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"gguf_file": file.name, "trust_remote_code": False}
    with contextlib.redirect_stderr(open(os.devnull, "w")):
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **where)
    model.hf_quantizer = None  # the numbers are dequantised; this mark alone forbids saving them
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model, tokenizer


def _tie(model, reader) -> list[str]:
    """Make one matrix of an embedding and a head that are two quantised copies of one.

    The copy with more bits a weight is kept, which is nearer to the matrix before quantisation.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if (
        head is None
        or head.weight is embedding.weight
        or head.weight.shape != embedding.weight.shape
    ):
        return []
    distance = ((head.weight - embedding.weight).norm() / embedding.weight.norm()).item()
    if distance > TIED_WITHIN:
        return []
    bits = {t.name: t.n_bytes / t.n_elements for t in reader.tensors}
    if bits["output.weight"] > bits["token_embd.weight"]:
        embedding.weight.data.copy_(head.weight.data)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    return [
        "embedding and head are two quantised copies of one matrix (relative distance"
        f" {distance:.3f}) and are tied again"
    ]


def _end_tokens(model, tokenizer) -> list[str]:
    """Let an answer end at every end token of the vocabulary; the file names only one."""
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    known = {i for i in special if tokenizer.convert_ids_to_tokens(i) in END_TOKENS}
    stops = sorted((known | {tokenizer.eos_token_id}) - {None})
    model.generation_config.eos_token_id = stops
    return [f"an answer ends at {', '.join(tokenizer.convert_ids_to_tokens(stops))}"]
