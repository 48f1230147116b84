"""`train(recipe)`: a run from recipe to finished folder, and its command line.

    python -m onerl.train --params params/tiny.yaml -p seed 1 --out outputs/demo

What a run needs is checked before any work, in the order of cost: folder, examples, verifier,
prompts, model. What was decided is on disk before the first rollout. A folder that holds part of
the same run is resumed, a finished one is returned, what is damaged in it is made again, and a
folder of another recipe, other inputs, another process or none of ours is refused.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
from pathlib import Path

from onerl import runs, verifier
from onerl.models import locate
from onerl.recipe import Recipe
from onerl.runs import claim, provenance
from onerl.training import processes
from onerl.training.children import command_line
from onerl.training.processes import only_run
from onerl.training.rows import started_rows

logger = logging.getLogger(__name__)


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
        ValueError: the folder holds another recipe's run, one that was made from other inputs, or
            what no run wrote; another process is writing to it; an example has no label, or one
            that the verifier does not accept; a prompt is longer than `max_prompt_length`; the
            model suits no backend.
        OSError: the folder cannot be written, or the model or data cannot be had.
        RuntimeError: the program with several processes failed.
    """
    out = Path(out) if out is not None else run_folder(recipe)
    if processes == 1 and config is None:
        return _run(recipe, out, progress)
    if _returned(runs.Run(out), recipe):
        return runs.Run(out)
    from onerl.training.launch import launch

    return launch(recipe, out, processes, config, progress)


def _run(recipe: Recipe, out: Path, progress: bool) -> runs.Run:
    """As the only process of the run, or as one of those that a launcher started."""
    run = runs.Run(out)
    finished = processes.on_main_process(lambda: run.done)
    if processes.on_main_process(lambda: _returned(run, recipe)):
        return run  # without the lock: it may lie on a read-only disk
    with only_run(out):
        if not finished and processes.on_main_process(lambda: _returned(run, recipe)):
            return run  # another process has just finished it
        _train(processes.on_main_process(lambda: begun_with(recipe, out)), run, progress)
    gc.collect()  # the trainer and its models stand in circles of references
    return run


def _returned(run: runs.Run, recipe: Recipe) -> bool:
    """Whether the run is finished and can be returned as it is; raises ValueError as `train`."""
    claim.check_folder(run.path)
    claim.same_recipe(run.path, recipe)
    if not run.done:
        return False
    from onerl.training.checkpoints import settled
    from onerl.training.rows import same_inputs

    same_inputs(recipe, run)
    return settled(run)


def run_folder(recipe: Recipe) -> Path:
    """Where a run goes by default."""
    return runs.outputs_folder() / recipe.hash()


def begun_with(recipe: Recipe, out: Path) -> Recipe:
    """The recipe with the settings that the run in `out` began with, where others change its bits.

    They are not part of a recipe's hash: `token_budget`, and on a CPU `threads`. Raises ValueError
    where the folder holds the run of another recipe.
    """
    claim.same_recipe(out, recipe)
    used = (provenance.read(out) or {}).get("used") or {}
    began, now = used.get("processes", processes.count()), processes.count()
    if began != now:
        reason = "so its bits will not be those of a run that was left alone"
        logger.warning("%d processes: the run began with %d, %s", now, began, reason)
    kept = {name: used[name] for name in ("token_budget", "threads") if used.get(name)}
    for name, value in kept.items():
        ours = getattr(recipe, name)
        if ours not in (value, None):
            reason = "which is kept, for its bits depend on it"
            logger.warning("%s = %s: the run began with %s, %s", name, ours, value, reason)
    return recipe.replace(**kept)


def _train(recipe: Recipe, run: runs.Run, progress: bool) -> None:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import torch
    from datasets import Dataset
    from transformers.utils.logging import disable_progress_bar

    from onerl.training import checkpoints
    from onerl.training.config import check_optimizer, gpus_said
    from onerl.training.progress import Reporter

    if recipe.method == "sft":
        from onerl.training.sft import SolutionTrainer as Trainer
    elif recipe.method == "ppo":
        from onerl.training.ppo import PPOTrainer as Trainer
    else:
        from onerl.training.trainer import OneShotTrainer as Trainer
    check_optimizer(recipe)
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    disable_progress_bar()  # one for every checkpoint written
    rows = processes.on_main_process(lambda: started_rows(recipe, run))
    if not processes.is_main():
        verifier.self_test()  # of another machine, perhaps
    model = locate(recipe.model).name
    trainer = Trainer(recipe, model, Dataset.from_list(rows), run.path)
    trainer.add_callback(Reporter(recipe, progress))
    if processes.is_main() and (said := gpus_said(torch.cuda.device_count(), processes.count())):
        print(said, flush=True)
    state = processes.on_main_process(
        lambda: checkpoints.begin(run, trainer.model, trainer.processing_class)
    )
    trainer.train(resume_from_checkpoint=str(state) if state else None)
    processes.on_main_process(lambda: checkpoints.finish(run))


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
    fields = dict(given.fields)
    with command_line():
        try:
            recipe = processes.on_main_process(lambda: Recipe.load(given.params, **fields))
            out = Path(given.out or run_folder(recipe))
            if given.dry_run:
                return processes.on_main_process(lambda: show(recipe, out))
            train(recipe, out)
        finally:
            processes.leave()
        if processes.is_main():
            print(f"done: {out}")


if __name__ == "__main__":
    main()
