"""How a run is getting on: bar and live curve in Jupyter, a bar in a terminal, else plain lines.

Warns once for each thing that goes wrong (`onerl.runs.health`), and ends with the run's verdict.
"""

import logging
import math
import sys
import time
from typing import Any

from transformers import TrainerCallback

from onerl.parameters import watched
from onerl.recipe import Recipe
from onerl.runs import Run
from onerl.runs.health import QUIET, Health, health_of

AT_ONCE = ("non-finite", "collapsed", "update too large")  # others may be chance in a few steps
LOOK = 5  # steps between two looks at the run's health, after the first ten
REDRAW = 3  # seconds between two drawings of the live curve
logger = logging.getLogger(__name__)


class Reporter(TrainerCallback):
    """Follows the rows of metrics.jsonl as the trainer logs them, and says how the run is."""

    def __init__(self, recipe: Recipe, progress: bool):
        self.recipe, self.progress = recipe, progress
        self.rows: list[dict[str, Any]] = []
        self.said: set[str] = set()
        self.bar, self.curve = None, None

    @property
    def health(self) -> Health:
        """The verdict on the rows so far."""
        return health_of(self.rows)

    def on_train_begin(self, args, state, control, **_):
        self.rows = Run(args.output_dir).metrics.to_dict("records")  # of a run that goes on

    def on_log(self, args, state, control, logs=None, **_):
        if "reward" not in logs or not state.is_world_process_zero:
            return
        self.rows.append({k: v for k, v in logs.items() if isinstance(v, int | float)})
        self._watch()
        if self.progress:
            self._show(logs)

    def _watch(self):
        if len(self.rows) > QUIET and len(self.rows) % LOOK:
            return
        health, step = self.health, self.rows[-1]["step"]
        if health.verdict in self.said or not (step >= QUIET or health.verdict in AT_ONCE):
            return
        self.said.add(health.verdict)
        if not health.well:
            logger.warning("step %d: %s", step, health)
        elif health.verdict == "saturated" and self.progress:
            print(f"step {step}: {health}", flush=True)

    def _show(self, logs):
        steps = self.recipe.steps
        text = f"reward {logs['reward']:.3f}, length {logs['completion_length']:.0f}"
        if watched() or sys.stderr.isatty():
            from tqdm.auto import tqdm

            self.bar = self.bar or tqdm(total=steps, unit="step")
            self.bar.set_postfix_str(text)
            self.bar.update(logs["step"] - self.bar.n)
            if watched():
                self.curve = self.curve or LiveCurve(steps)
                self.curve.add(logs)
        elif logs["step"] % math.ceil(steps / 10) == 0 or logs["step"] == steps:
            print(f"step {logs['step']}/{steps}: {text}", flush=True)

    def on_train_end(self, args, state, control, **_):
        if self.bar is not None:
            self.bar.close()
        if self.curve is not None:
            self.curve.draw()
        if self.progress and state.is_world_process_zero:
            print(Run(args.output_dir).health, flush=True)


class LiveCurve:
    """Training reward and response length so far, redrawn in place every few seconds."""

    def __init__(self, steps: int):
        self.steps, self.rows, self.drawn, self.handle = steps, [], 0.0, None

    def add(self, row: dict) -> None:
        """The metrics of one more step; `step`, `reward` and `completion_length` are shown."""
        self.rows.append([row["step"], row["reward"], row["completion_length"]])
        if time.monotonic() - self.drawn > REDRAW:
            self.draw()

    def draw(self) -> None:
        from IPython.display import Image, display

        from onerl import plots

        self.drawn = time.monotonic()
        picture = Image(plots.png(plots.live(self.rows, self.steps), dpi=100))
        if self.handle is None:
            self.handle = display(picture, display_id=True)
        else:
            self.handle.update(picture)
