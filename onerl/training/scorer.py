"""The process that calls a reward of one's own: JSON in over a pipe, JSON out (`rewards`).

    python -m onerl.training.scorer 5 /path/my_reward.py "" score
    python -m onerl.training.scorer 5 /path/package/module.py package.module score

The first argument is the pipe's file descriptor. What the function prints goes to standard error.
The process ends with the one that started it.
"""

import contextlib
import importlib
import importlib.util
import json
import numbers
import os
import random
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from onerl.problems import Problem
from onerl.verifier import Grade


def main(descriptor: str, source: str, module: str, function: str) -> None:
    """Import the function, say that it is there, and answer until the pipe is closed."""
    threading.Thread(target=end_with, args=[os.getppid()], daemon=True).start()
    with contextlib.suppress(OSError):  # not Linux; there, short of memory, this one goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    os.set_inheritable(int(descriptor), False)
    pipe = Connection(int(descriptor))

    def reply(**values) -> None:
        pipe.send_bytes(json.dumps(values).encode())

    try:
        score = load(source, module, function)
    except BaseException as error:
        return reply(error=f"cannot be imported: {said(error, source)}")
    if not callable(score):
        return reply(error=f"{source} has no function {function!r}")
    reply(reward=None)
    while True:
        try:
            problem, response, grade, stream = json.loads(pipe.recv_bytes())
        except EOFError:
            return None
        random.seed(stream)  # the same coins for the same rollout
        try:
            value = score(Problem(**problem), response, Grade(**grade))
            if isinstance(value, numbers.Real) and 0 <= value <= 1:  # True is 1
                reply(reward=float(value))
            else:
                reply(error=f"returned {short(repr(value))}; must be a number from 0 to 1")
        except BaseException as error:  # sys.exit and Ctrl-C too
            reply(error=f"{function} raised {said(error, source)}")


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


def said(error: BaseException, source: str) -> str:
    """The error in one line, with the last line of `source` that it passed."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == source]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    text = f"{type(error).__name__}: {short(str(error))}".rstrip(": ")
    return text + (f" (line {lines[-1]})" if lines else "")


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
