"""How a run is getting on: bar and live curve in Jupyter, a bar in a terminal, else plain lines.

Also the one who speaks up when a run has nothing to learn from.
"""

from __future__ import annotations

import logging
import math
import sys
import time

from transformers import TrainerCallback

from onerl.parameters import watched
from onerl.recipe import Recipe

SILENT_STEPS = 10  # steps without any reward signal after which a run says so
REDRAW = 3  # seconds between two drawings of the live curve
logger = logging.getLogger(__name__)


class Reporter(TrainerCallback):
    """Follows the rows of metrics.jsonl as the trainer logs them."""

    def __init__(self, recipe: Recipe, progress: bool):
        self.recipe, self.progress = recipe, progress
        self.silent, self.bar, self.curve = 0, None, None

    def on_log(self, args, state, control, logs=None, **_):
        if "reward" not in logs or not state.is_world_process_zero:
            return
        self._watch(logs)
        if self.progress:
            self._show(logs)

    def _watch(self, logs):
        self.silent = self.silent + 1 if logs["reward"] == 0 == logs["reward_std"] else 0
        if self.silent == SILENT_STEPS:
            logger.warning(
                "no rollout was rewarded in the last %d steps: there is nothing to learn from"
                " (label, reward or model may be wrong)",
                SILENT_STEPS,
            )

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
