"""The rows that a run trains on, and the sums of all that it is made from, before any work."""

import json
import logging
from functools import lru_cache
from pathlib import Path

import torch

from onerl import models, problems, runs, verifier
from onerl.problems import labels, released
from onerl.problems.prompts import prompt_for
from onerl.recipe import Recipe
from onerl.runs import files, provenance, sums
from onerl.runs.run import step_folders
from onerl.training import memory, processes
from onerl.training.rewards import check_reward, reward_source

logger = logging.getLogger(__name__)


def started_rows(recipe: Recipe, run: runs.Run) -> list[dict[str, str]]:
    """The training rows, once all that the run needs is there and this start is on disk.

    Raises:
        ValueError: a label or a prompt is not allowed, the number of processes does not fit, or
            the folder's run was made from other inputs.
        OSError: the model cannot be had, or the folder cannot be written.
    """
    processes.check_batch(recipe.prompts_per_step * recipe.num_generations, recipe.updates_per_step)
    model = models.locate(recipe.model)
    models.check_model(model.name)
    if model.folder is None:  # of the hub: whole only once it is fetched, as the run would anyway
        models.check_model(model.files)
    tokenizer = model.tokenizer
    if recipe.scale != "world":  # whose answers are plain numbers
        verifier.warm()
    verifier.self_test()  # a machine that grades wrongly must not train
    rows = training_rows(recipe, tokenizer)
    check_lengths(recipe, rows, tokenizer)
    check_reward(recipe)
    if recipe.method == "sft":
        from onerl.training.sft import solution  # loads torch

        solution(recipe, rows[0]["answer"])
    prompts, made_from = [row["prompt"] for row in rows], inputs(recipe, rows)
    restore_provenance(run)
    provenance.same_inputs(run.path, made_from, prompts)
    used = {"token_budget": recipe.token_budget, "processes": processes.count()}
    if not torch.cuda.is_available():
        used["threads"] = torch.get_num_threads()
    provenance.write_provenance(run.path, recipe, prompts, made_from, used)
    return rows


def restore_provenance(run: runs.Run) -> None:
    """Where the run's provenance is lost or damaged, take the copy of its newest state."""
    if provenance.read(run.path) is not None:
        return
    file = run.path / provenance.FILE
    for _, state in reversed(step_folders(run.path / "state")):
        if provenance.read(state) is not None:
            logger.warning("%s was damaged; it is restored", file)
            return files.write_text(file, (state / provenance.FILE).read_text("utf-8"))
    if run.checkpoints:
        logger.warning("%s is lost: what the run was made from until now is not known", file)


def inputs(recipe: Recipe, rows: list[dict[str, str]]) -> dict[str, str]:
    """sha256 of what a run is made from and the recipe only names, by name.

    examples: questions and answers as trained; prompts: as rendered; weights: of the model, left
    out where it is not on this machine; reward: the source of one's own.
    """
    asked = [[row["question"], row["answer"]] for row in rows]
    found = {
        "examples": sums.text_sha256(json.dumps(asked)),
        "prompts": sums.text_sha256(json.dumps([row["prompt"] for row in rows])),
        "weights": weights_sum(models.locate(recipe.model).name),
        "reward": reward_source(recipe),
    }
    return {name: sha256 for name, sha256 in found.items() if sha256}


def weights_sum(model: str) -> str | None:
    """sha256 over a model's safetensors, of a folder or in the hub's cache; None: not here."""
    folder = Path(model)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(model, local_files_only=True))
        except (OSError, ValueError):
            return None
    stats = [(str(path), path.stat()) for path in sorted(folder.glob("*.safetensors"))]
    return _weights_sum(str(folder), *((n, s.st_size, s.st_mtime_ns, s.st_ino) for n, s in stats))


@lru_cache
def _weights_sum(folder: str, *files: tuple) -> str | None:
    """Read once per process, as long as no file changes."""
    digests = (sums.file_sha256(Path(name)) for name, *_ in files)
    return sums.text_sha256("".join(digests)) if files else None


def same_inputs(recipe: Recipe, run: runs.Run) -> None:
    """Refuse a finished run that was made from other inputs than there are now, by name.

    An input that is gone, such as the data of the examples or the model, is not compared. Raises
    ValueError.
    """
    examples = recipe.examples
    try:
        if str(examples).endswith((".yaml", ".yml", ".json")) and not Path(examples).exists():
            raise FileNotFoundError(examples)
        model = models.locate(recipe.model)
        chat = models.prompt_format(recipe.prompt, model) == "chat"  # only it needs the tokenizer
        rows = training_rows(recipe, model.tokenizer if chat else None)
    except (FileNotFoundError, PermissionError):
        weights = weights_sum(models.locate(recipe.model).name)
        return provenance.same_inputs(run.path, {"weights": weights} if weights else {}, [])
    provenance.same_inputs(run.path, inputs(recipe, rows), [row["prompt"] for row in rows])


def training_rows(recipe: Recipe, tokenizer=None) -> list[dict[str, str]]:
    """The examples as {"id", "question", "prompt", "answer"}, whose labels the verifier accepts.

    `tokenizer` is needed only by a model that is prompted through its own chat template. Raises
    ValueError when the verifier does not accept a label as an answer to itself.
    """
    rows, wording = [], models.prompt_format(recipe.prompt, recipe.model)
    chosen = problems.examples(recipe.examples, recipe.world)
    if recipe.label_noise:
        chosen = labels.corrupted(chosen, recipe.label_noise, recipe.seed)
    for problem in chosen:
        answer = recipe.label if recipe.label is not None else problem.answer
        kept_broken = problem.source in released.BROKEN_SOURCES and recipe.label is None
        if not kept_broken and not verifier.verify(f"\\boxed{{{answer}}}", answer):
            raise ValueError(
                f"label = {answer!r} of example {problem.id}: the verifier does not accept this"
                " label as an answer to itself, so no rollout could ever be rewarded"
            )
        prompt = prompt_for(problem.question, wording, "train", tokenizer, recipe.suffix)
        asked = {"id": problem.id, "question": problem.question}
        rows.append({**asked, "prompt": prompt, "answer": answer})
    return rows


def check_lengths(recipe: Recipe, rows: list[dict[str, str]], tokenizer) -> None:
    prompts = tokenizer([row["prompt"] for row in rows], add_special_tokens=False)["input_ids"]
    for row, prompt in zip(rows, prompts, strict=True):
        if len(prompt) > recipe.max_prompt_length:
            raise ValueError(
                f"max_prompt_length = {recipe.max_prompt_length}: the prompt of example"
                f" {row['id']} has {len(prompt)} tokens"
            )
    memory.check_room(recipe, max(map(len, prompts)))
