"""The rows that a run trains on: prompts and labels, checked before any work."""

from __future__ import annotations

from pathlib import Path

from onerl import models, problems, verifier
from onerl.models import family_of, load_tokenizer, model_path
from onerl.problems import labels, released
from onerl.problems.prompts import prompt_for
from onerl.recipe import Recipe
from onerl.runs import provenance
from onerl.training import memory, processes
from onerl.training.rewards import check_reward


def checked_rows(recipe: Recipe, out: Path) -> list[dict[str, str]]:
    """The training rows, once all that the run needs is there and its provenance is written."""
    processes.check_batch(recipe.prompts_per_step * recipe.num_generations, recipe.updates_per_step)
    models.check_model(model_path(recipe))
    tokenizer = load_tokenizer(model_path(recipe))
    verifier.self_test()  # a machine that grades wrongly must not train
    rows = training_rows(recipe, tokenizer)
    check_lengths(recipe, rows, tokenizer)
    check_reward(recipe)
    if not (out / "recipe.yaml").exists():
        provenance.write_provenance(out, recipe, [row["prompt"] for row in rows])
    return rows


def training_rows(recipe: Recipe, tokenizer=None) -> list[dict[str, str]]:
    """The examples as {"id", "prompt", "answer"}, each label shown to be one the verifier takes.

    `tokenizer` is needed only by a model that is prompted through its own chat template.
    """
    rows = []
    family = family_of(recipe.model if recipe.prompt == "auto" else recipe.prompt)
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
        prompt = prompt_for(problem.question, family, "train", tokenizer, recipe.suffix)
        rows.append({"id": problem.id, "prompt": prompt, "answer": answer})
    return rows


def check_lengths(recipe: Recipe, rows: list[dict[str, str]], tokenizer) -> None:
    longest = 0
    for row in rows:
        length = len(tokenizer(row["prompt"], add_special_tokens=False)["input_ids"])
        if length > recipe.max_prompt_length:
            raise ValueError(
                f"max_prompt_length = {recipe.max_prompt_length}: the prompt of example"
                f" {row['id']} has {length} tokens"
            )
        longest = max(longest, length)
    memory.check_room(recipe, longest)
