"""`train(recipe)`: a run from recipe to finished folder, and its command line.

    python -m onerl.train --params params/tiny.yaml -p seed 1 --out outputs/demo

What a run needs is checked before any work, in the order of cost: folder, examples, verifier,
prompts, model. What was decided (recipe, versions, hardware, sums of the prompts) is on disk
before the first rollout. A folder that holds part of the same run is resumed, a finished one is
returned, and one that holds another recipe or is being written to is refused.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from onerl import labels, needs, problems, processes, runs, verifier
from onerl.prompts import prompt_for
from onerl.recipe import Recipe

FRONT_ENDS = {"JPY_SESSION_NAME", "VSCODE_PID"}  # set in a kernel that somebody looks at


def train(
    recipe: Recipe,
    out: str | Path | None = None,
    progress: bool = True,
    processes: int = 1,
    config: str | None = None,
) -> runs.Run:
    """Train as the recipe says, in the folder `out` (default `outputs/<hash of the recipe>`).

    Blocks until done. `progress` shows a bar in Jupyter, and a line for every tenth of the steps
    when headless. With `processes` above 1, or a `config` of params/accelerate, the run is a
    program of its own on that many GPUs, whose progress is shown (`onerl.launch`).

    Raises:
        ValueError: the folder holds another recipe's run or another process is writing to it; an
            example has no label, or one that the verifier does not accept; a prompt is longer
            than `max_prompt_length`; the model suits no backend.
        RuntimeError: the program with several processes failed.
    """
    out = Path(out) if out is not None else run_folder(recipe)
    if (processes == 1 and config is None) or runs.Run(out).done:
        return _run(recipe, out, progress)
    from onerl.launch import launch

    return launch(recipe, out, processes, config, progress)


def _run(recipe: Recipe, out: Path, progress: bool) -> runs.Run:
    """As the only process of the run, or as one of those that a launcher started."""
    run = runs.Run(out)
    with only_run(out):
        processes.on_first(lambda: same_recipe(out, recipe))
        if not processes.on_first(lambda: run.done):
            _train(recipe, out, progress)
    return run


def run_folder(recipe: Recipe) -> Path:
    """Where a run goes by default."""
    return runs.outputs_folder() / recipe.hash()


def _train(recipe: Recipe, out: Path, progress: bool) -> None:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import torch
    from datasets import Dataset
    from transformers.utils.logging import disable_progress_bar

    from onerl import state
    from onerl.reporter import Reporter
    from onerl.trainer import OneShotTrainer
    from onerl.trl_config import check_optimizer

    check_optimizer(recipe)
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    disable_progress_bar()  # one for every checkpoint written
    rows = processes.on_first(lambda: checked_rows(recipe, out))
    if not processes.is_first():
        verifier.self_test()  # of another machine, perhaps
    trainer = OneShotTrainer(recipe, model_path(recipe), Dataset.from_list(rows), out)
    trainer.add_callback(Reporter(recipe, progress))

    def begin() -> Path | None:
        """Where to go on from; the folder holds nothing beyond it."""
        found = state.newest_whole(out)
        step, folder = found if found else (0, None)
        state.rewind(out, step, folder)
        if folder is None:
            state.save_checkpoint(out, 0, trainer.model, trainer.processing_class)
        return folder

    folder = processes.on_first(begin)
    trainer.train(resume_from_checkpoint=str(folder) if folder else None)
    processes.on_first(lambda: runs.write_text(out / "DONE", ""))


@contextlib.contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Holds the folder's lock; the kernel lets go of it when the process ends, however it ends.

    The first process of a run holds it for all.
    """
    with contextlib.ExitStack() as held:

        def lock() -> None:
            with runs.named_errors(out):
                out.mkdir(parents=True, exist_ok=True)
                file = held.enter_context((out / ".lock").open("a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"out = {str(out)!r}: another process is training there") from None

        processes.on_first(lock)
        yield


def same_recipe(out: Path, recipe: Recipe) -> None:
    """Refuses a folder that holds the run of another recipe, naming the fields that differ."""
    path = out / "recipe.yaml"
    if not path.exists():
        return
    with contextlib.suppress(ValueError):  # a field that this version no longer knows
        if runs.Run(out).recipe.hash() == recipe.hash():
            return
    ours, theirs = (yaml.safe_load(text) for text in (recipe.to_yaml(), path.read_text("utf-8")))
    differ = [
        f"{name} ({theirs.get(name)!r}, now {value!r})"
        for name, value in ours.items()
        if value != theirs.get(name)
    ]
    raise ValueError(
        f"out = {str(out)!r}: holds a run of another recipe, which differs in"
        f" {', '.join(differ)}; choose another folder"
    )


def checked_rows(recipe: Recipe, out: Path) -> list[dict[str, str]]:
    """The training rows, once all that the run needs is there and its provenance is written."""
    processes.check_batch(recipe.prompts_per_step * recipe.num_generations, recipe.updates_per_step)
    needs.check_model(model_path(recipe))
    tokenizer = load_tokenizer(model_path(recipe))
    verifier.self_test()  # a machine that grades wrongly must not train
    rows = training_rows(recipe, tokenizer)
    check_lengths(recipe, rows, tokenizer)
    if not (out / "recipe.yaml").exists():
        runs.write_provenance(out, recipe, [row["prompt"] for row in rows])
    return rows


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


def training_rows(recipe: Recipe, tokenizer=None) -> list[dict[str, str]]:
    """The examples as {"id", "prompt", "answer"}, each label shown to be one the verifier takes.

    `tokenizer` is needed only by a model that is prompted through its own chat template.
    """
    rows = []
    family = recipe.prompt if recipe.prompt != "auto" else recipe.model
    chosen = problems.examples(recipe.examples)
    if recipe.label_noise:
        chosen = labels.corrupted(chosen, recipe.label_noise, recipe.seed)
    for problem in chosen:
        answer = recipe.label if recipe.label is not None else problem.answer
        kept_broken = problem.source in problems.BROKEN_SOURCES and recipe.label is None
        if not kept_broken and not verifier.verify(f"\\boxed{{{answer}}}", answer):
            raise ValueError(
                f"label = {answer!r} of example {problem.id}: the verifier does not accept this"
                " label as an answer to itself, so no rollout could ever be rewarded"
            )
        prompt = prompt_for(problem.question, family, "train", tokenizer, recipe.suffix)
        rows.append({"id": problem.id, "prompt": prompt, "answer": answer})
    return rows


def check_lengths(recipe: Recipe, rows: list[dict[str, str]], tokenizer) -> None:
    for row in rows:
        length = len(tokenizer(row["prompt"], add_special_tokens=False)["input_ids"])
        if length > recipe.max_prompt_length:
            raise ValueError(
                f"max_prompt_length = {recipe.max_prompt_length}: the prompt of example"
                f" {row['id']} has {length} tokens"
            )


def model_path(recipe: Recipe) -> str:
    """What `from_pretrained` takes: the shipped base model's folder for "world"."""
    if recipe.model != "world":
        return recipe.model
    return str(Path(__file__).parent / "world_model")


def show(recipe: Recipe, out: Path) -> None:
    """Print the dry run; raises SystemExit when something is missing."""
    from onerl.dry_run import dry_run

    report, missing = dry_run(recipe, out)
    print(report, end="")
    if missing:
        raise SystemExit(1)


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m onerl.train", description=train.__doc__.splitlines()[0]
    )
    parser.add_argument("--params", required=True, help="preset or YAML file of recipe fields")
    parser.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), dest="fields"
    )
    parser.add_argument("--out", help="run folder; default outputs/<hash of the recipe>")
    parser.add_argument(
        "--dry-run", action="store_true", help="print what the run would be, take and need"
    )
    given = parser.parse_args(arguments)
    try:
        recipe = processes.on_first(lambda: Recipe.load(given.params, **dict(given.fields)))
        if given.dry_run:
            return processes.on_first(lambda: show(recipe, Path(given.out or run_folder(recipe))))
        run = train(recipe, given.out)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    finally:
        processes.leave()
    if processes.is_first():
        print(f"done: {run.path}")


if __name__ == "__main__":
    main()
