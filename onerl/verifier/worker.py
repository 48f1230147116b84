"""The supervisor process and its worker: where expressions meet mpmath.

The supervisor loads the libraries once and forks a worker from its warm self. A worker that uses
more CPU than a question is worth is killed by the kernel, one that waits too long by the
supervisor; the answer is "timeout", and the next worker is forked warm in milliseconds. After one
that was killed from outside the question is asked again. The supervisor ends when its parent does:
on end of input, and, should another process hold the pipe open, when its parent's id changes. The
worker is killed by the kernel with its supervisor.
"""

import ctypes
import gc
import multiprocessing
import os
import resource
import signal
import sys
import time
from multiprocessing.connection import Connection

_PR_SET_PDEATHSIG = 1
_QUESTIONS_PER_WORKER = 2_000  # a fresh fork now and then keeps mpmath's caches from growing
_ORPHAN_SECONDS = 1.0  # how often the parent's id is looked at


def main(pipe: float, parent: float, wall_seconds: float, memory_mb: float) -> None:
    """Answers (CPU seconds, tree, tree) from `pipe` with (word, CPU seconds used)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from onerl.verifier import symbolic

    symbolic.warm()
    pipe = Connection(int(pipe))
    worker = _Worker(memory_mb)
    pipe.send("ready")
    while os.getppid() == parent:
        if not pipe.poll(_ORPHAN_SECONDS):
            continue
        try:
            question = pipe.recv()
        except EOFError:
            break
        reply = worker.answer(question, wall_seconds)
        if reply is None:  # killed from outside: a new one is asked once more
            worker = worker.replaced()
            reply = worker.answer(question, wall_seconds) or ("error", 0.0)
        pipe.send(reply)
        if reply[0] in ("timeout", "error") or worker.questions >= _QUESTIONS_PER_WORKER:
            worker = worker.replaced()
    worker.process.kill()


class _Worker:
    """One forked child and the pipe to it."""

    def __init__(self, memory_mb: float):
        gc.collect()
        gc.freeze()
        self.memory_mb = memory_mb
        self.questions = 0
        self.pipe, theirs = multiprocessing.Pipe()
        fork = multiprocessing.get_context("fork")
        self.process = fork.Process(target=_serve, args=(theirs, self.pipe, memory_mb))
        self.process.start()
        theirs.close()

    def answer(self, question: tuple, wall_seconds: float) -> tuple[str, float] | None:
        """(word, CPU seconds used), or None from a worker that was killed from outside."""
        self.questions += 1
        try:
            self.pipe.send(question)
            if self.pipe.poll(wall_seconds):
                return self.pipe.recv()
        except (OSError, EOFError):
            self.process.join()
            if self.process.exitcode != -signal.SIGPROF:
                return None
        return "timeout", question[0]

    def replaced(self) -> "_Worker":
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return _Worker(self.memory_mb)


def _confine(memory_mb: float) -> None:
    """Limits of the worker: it dies with the supervisor and can neither grow nor write files."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        limit = used + int(memory_mb * 2**20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (OSError, AttributeError):
        pass  # not Linux: the CPU and wall limits remain
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    sys.setrecursionlimit(1500)


def _serve(pipe: Connection, supervisors: Connection, memory_mb: float) -> None:
    from onerl.verifier.symbolic import same_trees

    supervisors.close()
    _confine(memory_mb)
    while True:
        cpu_seconds, *trees = pipe.recv()
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, max(cpu_seconds, 0.01))  # then the kernel kills us
        try:
            word = "equal" if same_trees(*trees) else "different"
        except MemoryError:
            word = "timeout"  # too large a question, asked again no better
        except Exception:  # whatever mpmath raises: this pair is undecided
            word = "unread"
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send((word, time.process_time() - started))
