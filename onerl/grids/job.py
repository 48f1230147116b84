"""One job of a sweep: train a recipe in its folder, then evaluate the checkpoints asked for.

    python -m onerl.grids.job RECIPE.yaml --out outputs/2ad1548d18ae --evaluate last

A job can be killed at any time and started again: training goes on from the last checkpoint,
evaluation behind the last whole batch, and a finished job does nothing. Where another process is
training in the folder, it waits for that one to end. `Job` is also what submitit pickles: SLURM
calls `checkpoint` when it preempts the job, and starts the same job again.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from onerl.recipe import Recipe
from onerl.runs import Run

WAIT = 2  # seconds between two looks at a folder that another process is training in


@dataclass(frozen=True)
class Job:
    """Train `recipe` in the folder `out`, evaluate its last checkpoint or all of them.

    `base`: evaluate the model before training too. `limit`: only so many problems per benchmark.
    """

    recipe: Recipe
    out: Path
    evaluate: Literal["last", "all"] = "last"
    base: bool = False
    limit: int | None = None

    def __call__(self) -> None:
        set_threads(self.recipe.threads)
        run = self._train()
        import onerl
        from onerl.evaluation.protocols import Protocol
        from onerl.grids.finished import evaluated
        from onerl.runs.run import asked_steps, evaluation_folder

        folders = dict(run.checkpoints)
        for step in [0] * self.base + asked_steps(run, self.evaluate):
            if not evaluated(run, step, self.recipe, self.limit):
                print(f"evaluating step {step}", flush=True)
                report = onerl.evaluate(
                    (step, folders[step]),
                    self.recipe.benchmarks,
                    protocol=Protocol(max_completion_length=self.recipe.max_completion_length),
                    limit=self.limit,
                    out=evaluation_folder(run, step),
                )
                first = report.table.iloc[0]
                print(f"step {step}: {first.benchmark} accuracy {first.value:.1f} %", flush=True)

    def _train(self) -> Run:
        import onerl

        while True:
            try:
                return onerl.train(self.recipe, out=self.out)
            except ValueError:
                if not busy(self.out):
                    raise
            time.sleep(WAIT)

    @property
    def done(self) -> bool:
        """Whether the run is finished, and all that was asked for is evaluated."""
        from onerl.grids.finished import evaluated
        from onerl.runs.run import asked_steps

        run = Run(self.out)
        if not run.done:
            return False
        steps = [0] * self.base + asked_steps(run, self.evaluate)
        return all(evaluated(run, step, self.recipe, self.limit) for step in steps)

    def checkpoint(self):
        """What submitit queues again when the job is preempted: the same, for it resumes."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def busy(out: Path) -> bool:
    """Whether a process is training in the folder: it then holds the folder's lock."""
    if not (out / ".lock").exists():
        return False
    with (out / ".lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def set_threads(number: int | None) -> None:
    """For the libraries that read their number of threads when they are first imported."""
    if number is not None:
        os.environ.update(thread_variables(number))


def thread_variables(number: int) -> dict[str, str]:
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
    try:
        Job(recipe=Recipe.load(given.pop("recipe")), **given)()
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
