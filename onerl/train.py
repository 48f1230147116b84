"""`train(recipe)`: a run from recipe to finished folder, and its command line.

    python -m onerl.train --params params/tiny.yaml -p seed 1 --out outputs/demo

What a run needs is checked before any work, in the order of cost: folder, examples, verifier,
prompts, model. What was decided (recipe, versions, hardware, sums of the prompts) is on disk
before the first rollout. A folder that holds part of the same run is resumed, a finished one is
returned, and one that holds another recipe or is being written to is refused.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from onerl import runs, verifier
from onerl.models import model_path
from onerl.recipe import Recipe
from onerl.runs import files
from onerl.runs.run import same_recipe
from onerl.training import processes
from onerl.training.processes import only_run
from onerl.training.rows import checked_rows


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
    program of its own on that many GPUs, whose progress is shown (`onerl.training.launch`).

    Raises:
        ValueError: the folder holds another recipe's run or another process is writing to it; an
            example has no label, or one that the verifier does not accept; a prompt is longer
            than `max_prompt_length`; the model suits no backend.
        RuntimeError: the program with several processes failed.
    """
    out = Path(out) if out is not None else run_folder(recipe)
    if (processes == 1 and config is None) or runs.Run(out).done:
        return _run(recipe, out, progress)
    from onerl.training.launch import launch

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

    from onerl.training import checkpoints
    from onerl.training.config import check_optimizer
    from onerl.training.progress import Reporter

    if recipe.method == "sft":
        from onerl.training.sft import SolutionTrainer as Trainer
    else:
        from onerl.training.trainer import OneShotTrainer as Trainer
    check_optimizer(recipe)
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    disable_progress_bar()  # one for every checkpoint written
    rows = processes.on_first(lambda: checked_rows(recipe, out))
    if not processes.is_first():
        verifier.self_test()  # of another machine, perhaps
    trainer = Trainer(recipe, model_path(recipe), Dataset.from_list(rows), out)
    trainer.add_callback(Reporter(recipe, progress))

    def begin() -> Path | None:
        """Where to go on from; the folder holds nothing beyond it."""
        found = checkpoints.newest_whole(out)
        step, folder = found if found else (0, None)
        checkpoints.rewind(out, step, folder)
        if folder is None:
            checkpoints.save_checkpoint(out, 0, trainer.model, trainer.processing_class)
        return folder

    folder = processes.on_first(begin)
    trainer.train(resume_from_checkpoint=str(folder) if folder else None)
    processes.on_first(lambda: files.write_text(out / "DONE", ""))


def show(recipe: Recipe, out: Path) -> None:
    """Print the dry run; raises SystemExit when something is missing."""
    from onerl.training.dry_run import dry_run

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
