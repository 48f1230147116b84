"""The training state of a run folder: written whole, found again, verified, loaded.

    checkpoints/step-000010/   weights and tokenizer, for `from_pretrained`; kept, with their sums
    state/step-000010/         optimiser state, LoRA adapters where there are any, the metrics so
                               far, provenance, and a manifest of sha256 sums; the newest two kept

A state is whole when every file of its manifest has its sum, and its checkpoint too. Rollouts,
data order and shuffles are functions of (seed, step), so weights, optimiser moments and the step
are all there is to save.
"""

import contextlib
import dataclasses
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerState

from onerl import runs
from onerl.rollouts.merged import has_adapters, merged_state, plain
from onerl.runs import files, provenance, sums
from onerl.runs.run import (
    MANIFEST,
    METRICS,
    checkpoint_damage,
    folder_name,
    state_damage,
    step_folders,
)
from onerl.world import is_world, world_of

KEPT_STATES = 2
ADAPTER = "adapter.safetensors"
OWN = re.compile(r"(?:step-(\d{6,})|\.step-\d{6,}(?:\.parquet)?\.(?:partial|former))(?:\.parquet)?")
KINDS = re.compile(r"\.(?:jsonl?|safetensors|jinja|model)$|^(?:merges|vocab)\.txt$")
LOST = (
    "%s is missing or damaged, and no state before it is left to make it again from; the rest of"
    " the run is whole"
)
logger = logging.getLogger(__name__)


def save_checkpoint(run: Path, step: int, model, tokenizer, weights: dict | None = None) -> Path:
    """Weights (safetensors, as trained), tokenizer and world, whole or not at all, with their sums.

    Adapters are merged into the weights written: every checkpoint is an ordinary model. `weights`
    are the gathered ones of a sharded model (`sharding`). Raises OSError.
    """
    target = run / "checkpoints" / folder_name(step)
    with files.atomic_dir(target) as folder:
        plain(model).save_pretrained(folder, state_dict=weights or merged_state(model))
        tokenizer.save_pretrained(folder)
        if is_world(run):
            world_of(run).save(folder)
        kept = {f"checkpoints/{target.name}/{p.name}": p for p in folder.iterdir()}
        rollouts = run / "rollouts" / f"{target.name}.parquet"
        if rollouts.exists():
            kept[f"rollouts/{rollouts.name}"] = rollouts
        (folder / sums.SUMS).write_text(sums.sealed({"files": sums.measured(kept)}))
    return target


def save_state(
    run: Path,
    step: int,
    model,
    moments: dict[int, dict[str, Any]],
    trainer_state: TrainerState,
    own: Mapping[str, dict[str, torch.Tensor]] | None = None,
) -> None:
    """What resuming after `step` needs besides its checkpoint; older states go once it is whole.

    `moments` is the optimiser's state by the index of the parameter, `own` the tensors of further
    files, by the file's name.

    Raises OSError: a file cannot be written, or does not read back as it was written.
    """
    target = run / "state" / folder_name(step)
    with files.atomic_dir(target) as folder:
        flat = [(i, *pair) for i, kept in moments.items() for pair in _flat(kept)]
        tensors = {f"{index}.{key}": value for index, key, value in flat}
        save_file(tensors, folder / "optimizer.safetensors")
        for name, kept in (own or {}).items():
            save_file(dict(_flat(kept)), folder / name)
        if has_adapters(model):
            from peft import get_peft_model_state_dict

            save_file(dict(_flat(get_peft_model_state_dict(model))), folder / ADAPTER)
        kept = dataclasses.replace(trainer_state, log_history=[])
        kept.save_to_json(str(folder / "trainer_state.json"))
        for name in (METRICS, provenance.FILE):
            if (run / name).exists():
                shutil.copyfile(run / name, folder / name)
        paths = {f"state/{target.name}/{p.name}": p for p in folder.iterdir()}
        checked = f"checkpoints/{target.name}/{sums.SUMS}"
        manifest = {"files": sums.measured(paths | {checked: run / checked})}
        (folder / MANIFEST).write_text(sums.sealed(manifest))
    if damaged := damage(run, target):
        raise OSError(f"{damaged} does not read back as it was written; is the disk failing?")
    drop_old_states(run)


def drop_old_states(run: Path) -> None:
    """Remove all states but the newest two."""
    for _, old in step_folders(run / "state")[:-KEPT_STATES]:
        _remove(old)


def damage(run: Path, state: Path) -> Path | None:
    """The first file of a state, or of its checkpoint, that is missing or altered; None: whole."""
    step = int(state.name.removeprefix("step-"))
    altered = state_damage(run, state, True) or checkpoint_damage(run, step, True)
    return run / altered[0] if altered else None


def whole_states(run: Path) -> list[tuple[int, Path]]:
    """(step, folder) of the states that are whole, newest first; damaged ones are reported."""
    whole = []
    for step, folder in reversed(step_folders(run / "state")):
        if damaged := damage(run, folder):
            logger.warning("%s is damaged; resuming from an earlier checkpoint", damaged)
        else:
            whole.append((step, folder))
    return whole


def resume_point(run: runs.Run) -> tuple[int, Path | None]:
    """The step to go on from and its state: (0, None) is the beginning.

    It is the newest whole state from which everything that is damaged is made again. What lies
    before every whole state cannot be: it is named, and stays as it is.

    Raises ValueError: the run is finished, and no state is left to make the damaged part of it
    again.
    """
    whole = whole_states(run.path)  # says what is wrong with a state
    found = [(path, step) for path, step in run.damage() if not path.startswith("state/")]
    oldest = whole[-1][0] if whole else 0
    first = min([step for _, step in found if step > oldest], default=float("inf"))
    for path, step in found:
        if step <= oldest:
            logger.warning(LOST, run.path / path)
    for step, folder in whole:
        if step < first:
            return step, folder
    reached = [step for step, _ in run.checkpoints if step > 0]
    if run.done:
        raise beyond_repair(run, found[0][0] if found else "state")
    if reached:
        logger.warning(
            "no whole state is left of %d steps: the run starts again from step 0", reached[-1]
        )
    return 0, None


def settled(run: runs.Run) -> bool:
    """Whether a finished run can be returned as it is: nothing damaged that can be made again.

    The sizes of all its files are looked at, and the sums of its last checkpoint and metrics.

    Raises ValueError: the last checkpoint is damaged, and cannot be made again.
    """
    last = max([step for step, _ in run.checkpoints], default=0)
    found = run.damage(contents=[last])
    oldest = min([step for step, _ in step_folders(run.path / "state")], default=float("inf"))
    for path, step in found:
        if step > oldest:
            logger.warning("%s is missing or damaged: it is made again", run.path / path)
            return False
    for path, step in found:
        if step >= last and path.startswith("checkpoints"):
            raise beyond_repair(run, path)
        logger.warning(LOST, run.path / path)
    return True


def beyond_repair(run: runs.Run, path: str) -> ValueError:
    """The error for a finished run whose damaged part no state is left to make again."""
    return ValueError(
        f"{run.path / path} is missing or damaged, and no whole state is left to make it again"
        " from; choose another folder with out, or delete the file DONE there to train again from"
        " step 0"
    )


def begin(run: runs.Run, model, tokenizer) -> Path | None:
    """The state to go on from; the folder holds nothing beyond it, and the base model at step 0.

    Raises ValueError when a file that no run wrote stands where one is read, written or removed.
    """
    step, state = resume_point(run)
    if state is not None:
        refuse_strangers(state)  # transformers would load some of them
    rewind(run.path, step, state)
    if checkpoint_damage(run.path, 0, contents=True) or state is None:
        refuse_strangers(run.path / "checkpoints" / folder_name(0))
        save_checkpoint(run.path, 0, model, tokenizer)
    return state


def finish(run: runs.Run) -> None:
    """Write the sum of the metrics, then DONE."""
    kept = sums.measured({METRICS: run.path / METRICS})
    files.write_text(run.path / MANIFEST, sums.sealed({"files": kept}))
    files.write_text(run.path / "DONE", "")


def rewind(run: Path, step: int, state: Path | None) -> None:
    """Drop what the folder holds beyond `step`: it is made again, and made the same.

    The metrics are those of `state`, whatever has become of the file since; None: of step 0. What
    killed writers left goes too. Names that no run gives stay. Raises as `refuse_strangers`.
    """
    dropped = []
    for kind in ("state", "checkpoints", "rollouts"):
        for path in (run / kind).glob("*"):
            match = OWN.fullmatch(path.name)
            ours = match and path.name.endswith(".parquet") == (kind == "rollouts")
            if match and (match[1] is None or (ours and int(match[1]) > step)):
                dropped.append(path)
    for path in dropped:
        refuse_strangers(path)
    for file in ("DONE", MANIFEST):  # of a finished run that is damaged
        (run / file).unlink(missing_ok=True)
    for path in dropped:
        _remove(path)
    drop_old_states(run)
    files.remove_partial(run / "evaluations")
    kept = (state / METRICS).read_text("utf-8") if state else ""
    now = (run / METRICS).read_bytes() if (run / METRICS).exists() else b""
    if not now.startswith(kept.encode()):
        logger.warning("%s was damaged; its rows up to step %d are restored", run / METRICS, step)
    files.write_text(run / METRICS, kept)


def refuse_strangers(path: Path) -> None:
    """Refuse to remove a symbolic link, or a folder with a file that its sums do not name.

    Where there are no sums, with a file of no kind that a checkpoint or state has. Raises
    ValueError, naming it.
    """
    known: set[str] = set()
    for name in (sums.SUMS, MANIFEST):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            values = sums.unsealed(path / name)
            names = {Path(entry).name for entry in values.get("files", values)}
            known |= names | {name} if names else set()
    strange = [path] if path.is_symlink() else []
    if path.is_dir() and not strange and not path.name.startswith("."):
        inside = sorted(path.iterdir())
        strange = [p for p in inside if p.name not in known and (known or not KINDS.search(p.name))]
    if strange:
        raise ValueError(
            f"{strange[0]}: no file of this run, and it stands where the run removes and writes;"
            " move it away"
        )


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def load_weights(model: torch.nn.Module, run: Path, state: Path) -> None:
    """What is trained, as it was at that state, into `model`, bit for bit."""
    if (state / ADAPTER).exists():
        from peft import set_peft_model_state_dict

        found = set_peft_model_state_dict(model, load_file(state / ADAPTER))
        if found.unexpected_keys:
            layer = found.unexpected_keys[0]
            raise ValueError(f"{state / ADAPTER}: {layer} fits no layer of the model")
    else:
        model.load_state_dict(read_weights(run, state), strict=False)


def read_weights(run: Path, state: Path) -> dict[str, torch.Tensor]:
    """The full weights as they were at that state, by name."""
    return load_file(run / "checkpoints" / state.name / "model.safetensors")


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
