"""How a sweep is getting on: a live table in Jupyter, plain lines anywhere else."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onerl.parameters import FRONT_ENDS

if TYPE_CHECKING:
    from onerl.grids.pools import Task

LOOK = 2  # seconds between two looks at what the runs have written
LINE = 60  # seconds between two lines about the running jobs
QUEUED = "queued or starting"


class Board:
    """Shows the tasks of a sweep; `say`, `started`, `ended` and `tick` are told what happens."""

    def __init__(self, tasks: Sequence[Task]):
        self.tasks = tasks
        self.looked = self.lined = time.monotonic()
        self.display = None
        if in_notebook():
            from IPython.display import display

            self.display = display(self._table(), display_id=True)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def started(self, task: Task) -> None:
        if self.display is None:
            self.say(f"started  {task.name}  ({task.job.out.name})")

    def ended(self, task: Task) -> None:
        if self.display is None:
            finished = sum(task.state in ("done", "failed") for task in self.tasks)
            self.say(
                f"{task.state:7s}  {task.name}, {task.seconds:.0f} s"
                f"  [{finished} of {len(self.tasks)}]"
            )

    def tick(self) -> None:
        """Called often; looks at the running jobs now and then."""
        now = time.monotonic()
        if self.display is not None and now - self.looked > LOOK:
            self.looked = now
            self.display.update(self._table())
        if self.display is None and now - self.lined > LINE:
            self.lined = now
            running = [(task.name, where(task)) for task in self.tasks if task.state == "running"]
            lines = [f"{name}: {what}" for name, what in running if what != QUEUED]
            self.say(f"running  {'; '.join(lines)}  ({len(running) - len(lines)} {QUEUED})")

    def close(self) -> None:
        if self.display is not None:
            self.display.update(self._table())

    def _table(self):
        import pandas as pd

        rows = [
            [task.name, task.state, where(task) if task.state == "running" else ""]
            for task in self.tasks
        ]
        return pd.DataFrame(rows, columns=["run", "state", "where"])


def in_notebook() -> bool:
    """Whether this is a kernel that somebody looks at; papermill's and nbval's are not."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return bool(FRONT_ENDS & set(os.environ)) and hasattr(shell, "kernel")


def where(task: Task) -> str:
    """How far a running job is, read from the last line of its metrics."""
    file = task.job.out / "metrics.jsonl"
    lines = file.read_bytes().splitlines() if file.exists() else []
    try:
        row = json.loads(lines[-1])
    except (IndexError, ValueError):  # no line, or half a line
        return QUEUED
    if row["step"] >= task.job.recipe.steps:
        return "evaluating"
    measured = "reward" if "reward" in row else "loss"  # fine-tuning has no reward
    return f"step {row['step']}/{task.job.recipe.steps}, {measured} {row[measured]:.2f}"
