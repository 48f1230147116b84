"""How a sweep is getting on: a live table in Jupyter, plain lines anywhere else."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onerl.parameters import watched

if TYPE_CHECKING:
    from onerl.grids.pools import Task

LOOK = 2  # seconds between two looks at what the runs have written
LINE = 60  # seconds between two lines about the running jobs
QUEUED = "queued or starting"


class Board:
    """Shows the tasks of a sweep; `say`, `started`, `ended` and `tick` are told what happens."""

    def __init__(self, tasks: Sequence[Task]):
        self.tasks, self.looked, self.display = tasks, time.monotonic(), None
        if watched():
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
            so_far = f"[{finished} of {len(self.tasks)}]"
            self.say(f"{task.state:7s}  {task.name}, {task.seconds:.0f} s  {so_far}")

    def tick(self) -> None:
        """Called often; looks at the running jobs now and then."""
        now = time.monotonic()
        if now - self.looked < (LINE if self.display is None else LOOK):
            return
        self.looked = now
        if self.display is None:
            running = [(task.name, where(task)) for task in self.tasks if task.state == "running"]
            lines = [f"{name}: {what}" for name, what in running if what != QUEUED]
            self.say(f"running  {'; '.join(lines)}  ({len(running) - len(lines)} {QUEUED})")
        self.close()

    def close(self) -> None:
        """The last look, without a wait."""
        if self.display is not None:
            self.display.update(self._table())

    def _table(self):
        import pandas as pd

        rows = [[task.name, task.state, where(task)] for task in self.tasks]
        return pd.DataFrame(rows, columns=["run", "state", "where"])


def where(task: Task) -> str:
    """How far a running job is, read from the last line of its metrics."""
    if task.state != "running":
        return ""
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
