"""The recipe's reward as TRL calls it: a name of `REWARDS`, or a function of one's own.

One's own is `file.py:function` or `package.module:function`, called as
`function(problem, response, grade)` for every rollout (docs/rewards.md). It runs in a process of
its own (`onerl.training.scorer`), which is started again when it dies. Anything but a number from
0 to 1 within `SECONDS` ends the run with one line, because a wrong reward must not train silently.

Every rollout is graded whatever the reward is, so its status and correctness are in the records of
every run; a bad rollout is data, never an exception.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from onerl import problems
from onerl.problems import Problem
from onerl.recipe import Recipe
from onerl.runs.sums import file_sha256
from onerl.verifier import Grade, grade, grade_many
from onerl.verifier.rewards import REWARDS

RANDOM_STREAM = 0x5EED_C011  # keeps the coins apart from the rollouts' streams
SECONDS = 10.0  # for one call of a function of one's own
START_SECONDS = 120.0  # to import its file, and all that this imports


def reward_function(recipe: Recipe) -> Callable[..., list[float]]:
    """The recipe's reward as TRL calls it; it expects the dataset columns `answer` and `id`.

    Besides the rewards it hands TRL a column per rollout of `status`, `extracted`, `correct` and,
    where the dataset has it, the example's `id`, which the trainer counts and records.

    Raises ValueError: while training, when a function of one's own fails; see `OwnReward`.
    """
    from accelerate import PartialState

    from onerl.rollouts.draws import stream_seed

    own = None if recipe.reward in REWARDS else OwnReward(recipe.reward)
    chosen = problems.examples(recipe.examples, recipe.world) if own else []
    asked = {problem.id: problem for problem in chosen}

    def reward(prompts, completions, answer, trainer_state, log_extra, id=None, **_) -> list[float]:
        grades = grade_many(list(zip(completions, answer, strict=True)))
        if id is not None:
            log_extra("id", id)
        log_extra("status", [grade.status for grade in grades])
        log_extra("extracted", [grade.answer for grade in grades])
        log_extra("correct", [grade.correct for grade in grades])
        first, step = PartialState().process_index * len(grades), trainer_state.global_step
        streams = [
            stream_seed(recipe.seed ^ RANDOM_STREAM, step, first + i) for i in range(len(grades))
        ]
        if own is None:
            return [REWARDS[recipe.reward](*pair) for pair in zip(grades, streams, strict=True)]
        rollouts = zip(id, answer, completions, grades, streams, strict=True)
        return [
            own(dataclasses.replace(asked[name], answer=label), *rollout)
            for name, label, *rollout in rollouts
        ]

    reward.__name__ = recipe.reward
    return reward


def check_reward(recipe: Recipe) -> None:
    """Try a function of one's own on the first example: a right answer, and none at all.

    Raises ValueError: it cannot be found or imported, or fails; the message is one line.
    """
    if recipe.reward in REWARDS:
        return
    problem = problems.examples(recipe.examples, recipe.world)[0]
    problem = dataclasses.replace(problem, answer=recipe.label or problem.answer)
    own = OwnReward(recipe.reward)
    for response in (f"The answer is \\boxed{{{problem.answer}}}.", ""):
        own(problem, response, grade(response, problem.answer), 0)
    own.close()


def reward_source(recipe: Recipe) -> str | None:
    """The sha256 of the file that holds a reward of one's own; None for a registered reward.

    Not covered: what that file imports.

    Raises ValueError: there is no such file or module.
    """
    return None if recipe.reward in REWARDS else file_sha256(source_file(recipe.reward))


def source_file(reward: str) -> Path:
    """Where `file.py:function` or `package.module:function` is defined; nothing is imported.

    A file is looked for in the working directory, then in the checkout's root, so that papermill
    at the root and Jupyter in `notebooks/` find the same one; a module there and on `sys.path`.

    Raises ValueError: there is no such file or module.
    """
    place = reward.rpartition(":")[0]
    roots = [Path.cwd(), Path(__file__).parents[2]]
    if place.endswith(".py"):
        files = [root / place for root in roots if (root / place).is_file()]
        if not files:
            raise ValueError(f"reward = {reward!r}: there is no file {place} in {roots[0]}")
        return files[0].resolve()
    search: Any = [str(root) for root in roots] + sys.path
    name, spec = "", None
    for part in place.split("."):
        name = f"{name}.{part}".lstrip(".")
        finders = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
        spec = next(filter(None, (finder.find_spec(name, search) for finder in finders)), None)
        search = getattr(spec, "submodule_search_locations", None)
        if spec is None or (search is None and name != place):
            raise ValueError(f"reward = {reward!r}: there is no module {name!r}")
    if not spec.origin or not spec.origin.endswith(".py"):
        raise ValueError(f"reward = {reward!r}: the module {place!r} has no source file")
    return Path(spec.origin).resolve()


class OwnReward:
    """A function of one's own, asked in a process that cannot take the training down.

    The process is started with the first question, and once more when it dies over one.

    Raises ValueError: the function cannot be found or imported, raises, takes longer than
    `SECONDS`, ends its process twice, or returns anything but a number from 0 to 1.
    """

    def __init__(self, reward: str):
        self.reward, self.process, self.source = reward, None, source_file(reward)

    def __call__(self, problem: Problem, response: str, grade: Grade, stream: int) -> float:
        """The reward of one rollout; `stream` seeds Python's `random` for it."""
        asked = [dataclasses.asdict(problem), response, dataclasses.asdict(grade), stream]
        where = f", on a response to example {problem.id}"
        for _ in range(2):
            with contextlib.suppress(OSError, EOFError):  # it died, perhaps killed from outside
                if self.process is None:
                    self._start()
                self.pipe.send_bytes(json.dumps(asked).encode())
                return self._reply(SECONDS, where=where)
            self.close()
        self._refuse(f"ended its process{where}")

    def _start(self) -> None:
        place, _, function = self.reward.rpartition(":")
        module = "" if place.endswith(".py") else place
        paths = [str(Path.cwd()), str(Path(__file__).parents[2]), *filter(None, sys.path)]
        self.pipe, end = multiprocessing.Pipe()
        command = [sys.executable, "-m", "onerl.training.scorer", str(end.fileno())]
        self.process = subprocess.Popen(
            [*command, str(self.source), module, function],
            pass_fds=[end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # so that Ctrl-C is ours to answer
        )
        end.close()
        self.ending = weakref.finalize(self, _end, self.process, self.pipe)
        self._reply(START_SECONDS, doing=" to import")

    def _reply(self, seconds: float, doing: str = "", where: str = "") -> Any:
        """What the process answers. Raises OSError or EOFError when it has ended."""
        late = {"error": f"took longer than {seconds:g} seconds{doing}"}
        reply = json.loads(self.pipe.recv_bytes()) if self.pipe.poll(seconds) else late
        if "error" in reply:
            self._refuse(reply["error"] + where)
        return reply["reward"]

    def _refuse(self, what: str) -> NoReturn:
        self.close()
        raise ValueError(f"reward = {self.reward!r}: {what}")

    def close(self) -> None:
        """End the process, if there is one; the next question starts another."""
        if self.process is not None:
            self.ending()
            self.process = None


def _end(process: subprocess.Popen, pipe) -> None:
    pipe.close()
    process.kill()
    process.wait()
