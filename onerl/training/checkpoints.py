"""The training state of a run folder: written whole, found again, verified, loaded.

    checkpoints/step-000010/   weights and tokenizer, for `from_pretrained`; kept
    state/step-000010/         optimiser state, LoRA adapters where there are any, the metrics so
                               far, and a manifest of sha256 sums; the newest two kept

A state is whole when every file of its manifest, the checkpoint's weights among them, has its
sum. Rollouts, data order and shuffles are functions of (seed, step), so weights, optimiser
moments and the step are all there is to save.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, load_model, save_file
from transformers import TrainerState

from onerl import runs
from onerl.rollouts.merged import has_adapters, merged_state, plain
from onerl.runs import files
from onerl.runs.run import folder_name
from onerl.world import is_world, world_of

if TYPE_CHECKING:  # importing it takes two seconds
    from peft import PeftModel

KEPT_STATES = 2
ADAPTER = "adapter.safetensors"
METRICS = "metrics.jsonl"
logger = logging.getLogger(__name__)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_checkpoint(run: Path, step: int, model, tokenizer, weights: dict | None = None) -> Path:
    """Weights (safetensors, as trained), tokenizer and the run's world, whole or not at all.

    Adapters are merged into the weights written: every checkpoint is an ordinary model. `weights`
    are those of a model that has none whole itself (`onerl.training.sharding`).
    """
    target = run / "checkpoints" / folder_name(step)
    with files.atomic_dir(target) as folder:
        plain(model).save_pretrained(folder, state_dict=weights or merged_state(model))
        tokenizer.save_pretrained(folder)
        if is_world(run):
            world_of(run).save(folder)
    return target


def save_state(
    run: Path, step: int, model, moments: dict[int, dict[str, Any]], trainer_state: TrainerState
) -> None:
    """What resuming after `step` needs besides its checkpoint; older states go once it is whole.

    Args:
        moments: the optimiser's state by the index of the parameter.

    Raises:
        OSError: a file cannot be written, or does not read back as it was written.
    """
    checkpoint = run / "checkpoints" / folder_name(step)
    target = run / "state" / folder_name(step)
    with files.atomic_dir(target) as folder:
        folder = Path(folder)
        tensors = {
            f"{index}.{key}": value for index, kept in moments.items() for key, value in _flat(kept)
        }
        save_file(tensors, folder / "optimizer.safetensors")
        save_adapter(model, folder / ADAPTER)
        kept = dataclasses.replace(trainer_state, log_history=[])
        kept.save_to_json(str(folder / "trainer_state.json"))
        if (run / METRICS).exists():
            shutil.copyfile(run / METRICS, folder / METRICS)
        summed = {f"state/{target.name}/{p.name}": p for p in folder.iterdir()}
        summed |= {f"checkpoints/{target.name}/{p.name}": p for p in checkpoint.iterdir()}
        sums = {name: file_sha256(path) for name, path in sorted(summed.items())}
        (folder / "manifest.json").write_text(json.dumps(sums, indent=1))
    if damaged := damage(run, target):
        raise OSError(f"{damaged} does not read back as it was written; is the disk failing?")
    for old in sorted((run / "state").glob("step-*"))[:-KEPT_STATES]:
        shutil.rmtree(old)


def damage(run: Path, state: Path) -> str | None:
    """The first file of a state that is missing or altered; None when it is whole."""
    manifest = state / "manifest.json"
    try:
        sums = json.loads(manifest.read_text())
        for name, expected in sums.items():
            if file_sha256(run / name) != expected:
                return str(run / name)
    except (OSError, ValueError) as error:
        return str(getattr(error, "filename", None) or manifest)
    return None


def newest_whole(run: Path) -> tuple[int, Path] | None:
    """The newest state that is whole, as (step, folder); damaged ones are reported and passed."""
    for folder in sorted((run / "state").glob("step-*"), reverse=True):
        damaged = damage(run, folder)
        if damaged is None:
            return int(folder.name.removeprefix("step-")), folder
        logger.warning("%s is damaged; resuming from an earlier checkpoint", damaged)
    for reached, _ in runs.Run(run).checkpoints[-1:]:
        if reached:
            logger.warning(
                "no whole state is left of %d steps: the run starts again from step 0", reached
            )
    return None


def rewind(run: Path, step: int, state: Path | None) -> None:
    """Drop what the folder holds beyond `step`: it is made again, and made the same.

    The metrics are those of `state`, whatever has become of the file since; None: of step 0.
    """
    for kind in ("state", "checkpoints", "rollouts"):
        for path in (run / kind).glob("*"):
            if path.name.startswith(".") or path.stem > folder_name(step):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    kept = (state / METRICS).read_text("utf-8") if state else ""
    now = (run / METRICS).read_bytes() if (run / METRICS).exists() else b""
    if not now.startswith(kept.encode()):
        logger.warning("%s was damaged; its rows up to step %d are restored", run / METRICS, step)
    files.write_text(run / METRICS, kept)


def load_weights(model: torch.nn.Module, run: Path, state: Path) -> None:
    """What is trained, as it was at that state, into `model`, bit for bit."""
    if (state / ADAPTER).exists():
        load_adapter(model, state / ADAPTER)
    else:
        load_model(model, _weights_file(run, state), strict=False)


def read_weights(run: Path, state: Path) -> dict[str, torch.Tensor]:
    """The whole weights as they were at that state, by name."""
    return load_file(_weights_file(run, state))


def _weights_file(run: Path, state: Path) -> Path:
    return run / "checkpoints" / state.name / "model.safetensors"


def read_moments(state: Path) -> dict[int, dict[str, Any]]:
    """The optimiser's state that `save_state` was given."""
    moments: dict[int, dict[str, Any]] = {}
    for name, tensor in load_file(state / "optimizer.safetensors").items():
        index, *keys, last = name.split(".")
        place = moments.setdefault(int(index), {})
        for key in keys:
            place = place.setdefault(key, {})
        place[last] = tensor.item() if tensor.dtype == torch.int64 else tensor
    return moments


def _flat(moments: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """Named tensors; bitsandbytes counts steps in ints, nests what is in 8 bits, shares tables."""
    for key, value in moments.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", tensor.clone()) for inner, tensor in _flat(value))
        else:
            yield key, torch.as_tensor(value).detach().cpu().contiguous()


def save_adapter(model: torch.nn.Module, file: Path) -> None:
    """The adapters as trained, for `load_adapter`; no file for a model without."""
    if has_adapters(model):
        from peft import get_peft_model_state_dict

        tensors = get_peft_model_state_dict(model)
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, file)


def load_adapter(model: PeftModel, file: Path) -> None:
    """Adapters written by `save_adapter` into `model`, bit for bit."""
    from peft import set_peft_model_state_dict

    found = set_peft_model_state_dict(model, load_file(file))
    if found.unexpected_keys:
        raise ValueError(f"{file}: {found.unexpected_keys[0]} fits no layer of the model")
