"""One job of a sweep: train a recipe in its folder, then evaluate the checkpoints asked for.

    python -m onerl.grids.job RECIPE.yaml --out outputs/2ad1548d18ae --evaluate last

A job can be killed at any time and started again: training goes on from the last checkpoint,
evaluation behind the last whole batch, and a finished job does nothing. Where another process is
training in the folder, it waits for that one to end.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from onerl.recipe import Recipe
from onerl.runs import Run
from onerl.runs.run import asked_steps
from onerl.training.children import command_line

WAIT = 2  # seconds between two looks at a folder that another process is training in


@dataclass(frozen=True)
class Job:
    """Trains `recipe` in the folder `out`, and evaluates what is asked for.

    `base`: evaluate the model before training too. `limit`: only so many problems per benchmark.
    """

    recipe: Recipe
    out: Path
    evaluate: Literal["last", "all"] = "last"
    base: bool = False
    limit: int | None = None

    def __call__(self) -> None:
        if self.recipe.threads is not None:
            os.environ.update(thread_variables(self.recipe.threads))
        run = self._train()
        for step in self.asked(run):
            run.evaluate(step, self.recipe.benchmarks, limit=self.limit)

    def _train(self) -> Run:
        import onerl

        while True:
            try:
                return onerl.train(self.recipe, out=self.out)
            except ValueError:
                if not Run(self.out).busy:
                    raise
            time.sleep(WAIT)

    def asked(self, run: Run) -> list[int]:
        """Steps that are still to be evaluated."""
        from onerl.grids.finished import evaluated

        steps = [0] * self.base + asked_steps(run, self.evaluate)
        return [step for step in steps if not evaluated(run, step, self.recipe, self.limit)]

    @property
    def done(self) -> bool:
        """Whether the run is finished, from today's inputs, and all that was asked is evaluated."""
        from onerl.grids.finished import finished

        run = Run(self.out)
        return finished(run, self.recipe) and not self.asked(run)

    def checkpoint(self):
        """What submitit queues again when SLURM preempts the job: the same, for it resumes."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def thread_variables(number: int) -> dict[str, str]:
    """For the libraries that read their number of threads when they are first imported."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys(names, str(number))


def end_with_parent() -> None:
    """End this process and its children once standard input is closed, as the parent's end does."""

    def watch() -> None:
        while os.read(0, 1):  # nothing is sent; sys.stdin has a lock that a thread must not hold
            pass
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)  # checkpoints are whole or invisible
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m onerl.grids.job", description=__doc__.splitlines()[0]
    )
    parser.add_argument("recipe", help="YAML file of recipe fields")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument("--evaluate", choices=["last", "all"], default="last")
    parser.add_argument("--base", action="store_true", help="evaluate the model before training")
    parser.add_argument("--limit", type=int, help="only so many problems of each benchmark")
    parser.add_argument("--end-with-parent", action="store_true", help=argparse.SUPPRESS)
    given = vars(parser.parse_args(arguments))
    if given.pop("end_with_parent"):
        end_with_parent()
    with command_line():
        Job(recipe=Recipe.load(given.pop("recipe")), **given)()


if __name__ == "__main__":
    main()
