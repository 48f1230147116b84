"""The process that calls a reward of one's own: a line of JSON in, a line out (`rewards`).

    python -m onerl.training.scorer /path/my_reward.py "" score
    python -m onerl.training.scorer /path/package/module.py package.module score

What the function prints goes to standard error. The process ends with the one that started it.
"""

import contextlib
import importlib
import importlib.util
import json
import math
import numbers
import os
import random
import sys
import threading
import time
from pathlib import Path

from onerl.problems import Problem
from onerl.verifier import Grade


def main(source: str, module: str, function: str) -> None:
    """Import the function, say that it is there, and answer until standard input ends."""
    threading.Thread(target=end_with, args=[os.getppid()], daemon=True).start()
    with contextlib.suppress(OSError):  # not Linux; there, short of memory, this one goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    questions, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # a print must not be taken for a reply

    def reply(**values) -> None:
        replies.write(json.dumps(values) + "\n")
        replies.flush()

    try:
        score = load(source, module, function)
    except BaseException as error:
        return reply(error=f"cannot be imported: {said(error, source)}")
    if not callable(score):
        return reply(error=f"{source} has no function {function!r}")
    reply(ready=True)
    for line in questions:
        problem, response, grade, stream = json.loads(line)
        random.seed(stream)  # the same coins for the same rollout
        try:
            reply(reward=number(score(Problem(**problem), response, Grade(**grade))))
        except BadRewardError as error:
            reply(error=str(error))
        except BaseException as error:  # sys.exit and Ctrl-C too
            reply(error=f"{function} raised {said(error, source)}")


class BadRewardError(Exception):
    """The function returned what is no reward; the message says what."""


def load(source: str, module: str, function: str):
    """The function, or None when its module has no such name."""
    if module:
        return getattr(importlib.import_module(module), function, None)
    sys.path.insert(0, str(Path(source).parent))  # what it imports may lie beside it
    spec = importlib.util.spec_from_file_location("own_reward", source)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # dataclasses and pickle look it up there
    spec.loader.exec_module(loaded)
    return getattr(loaded, function, None)


def number(value) -> float:
    """`value` as a reward; True is 1."""
    if isinstance(value, numbers.Real) and math.isfinite(value) and 0 <= value <= 1:
        return float(value)
    raise BadRewardError(f"returned {short(repr(value))}; must be a number from 0 to 1")


def said(error: BaseException, source: str) -> str:
    """The error in one line, with the last line of `source` that it passed."""
    name, text = type(error).__name__, short(str(error))
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == source:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    return f"{name}: {text}".rstrip(": ") + (f" (line {lines[-1]})" if lines else "")


def short(text: str, width: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[:width]}…"


def end_with(parent: int) -> None:
    """End this process, whatever it computes, once its parent has ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
