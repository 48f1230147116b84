"""The supervisor process and its worker: where expressions meet sympy.

The supervisor loads the libraries once and forks a worker from its warm self. A worker that uses
more CPU than a question is worth, waits too long or dies is killed, the answer is "timeout" or
"error", and the next worker is forked warm in milliseconds; a worker that was killed from outside is
replaced and the question asked again. Nothing here depends on signals or on
the worker's cooperation. The supervisor ends when its parent does: on end of input, and, should
another process hold the pipe open, when its parent's id changes. The worker is killed by the
kernel with its supervisor.
"""

import ctypes
import gc
import json
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from fractions import Fraction

_PR_SET_PDEATHSIG = 1
_QUESTIONS_PER_WORKER = 2_000  # a fresh fork now and then keeps sympy's caches from growing
_POLL_SECONDS = 0.01
_ORPHAN_SECONDS = 1.0  # how often the parent's id is looked at
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def main(parent: float, wall_seconds: float, memory_mb: float) -> None:
    """Answers questions from stdin, one JSON line each, with "word cpu-seconds"."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from onerl.verifier import symbolic

    symbolic.warm()
    supervisor = _Supervisor(symbolic, int(parent), wall_seconds, int(memory_mb))
    _write("ready")
    supervisor.run()


def _write(text: str) -> None:
    os.write(1, text.encode() + b"\n")


class _Supervisor:
    def __init__(self, symbolic, parent: int, wall_seconds: float, memory_mb: int):
        self.symbolic = symbolic
        self.parent = parent
        self.wall_seconds = wall_seconds
        self.memory_mb = memory_mb
        self.worker: _Worker | None = None

    def run(self) -> None:
        pending = b""
        self.refork()
        while True:
            ready = select.select([0], [], [], _ORPHAN_SECONDS)[0]
            if os.getppid() != self.parent:
                break
            if not ready:
                continue
            data = os.read(0, 1 << 16)
            if not data:
                break
            pending += data
            while b"\n" in pending:
                line, _, pending = pending.partition(b"\n")
                self.answer(line + b"\n")
        self.worker.kill()

    def refork(self) -> None:
        if self.worker is not None:
            self.worker.kill()
        gc.collect()
        gc.freeze()
        self.worker = _Worker(self.symbolic, self.memory_mb)

    def answer(self, line: bytes) -> None:
        cpu_seconds = json.loads(line)[0]
        word, used = self.worker.answer(line, cpu_seconds, self.wall_seconds)
        if word == "gone":  # killed from outside: a new one is asked once more
            self.refork()
            word, used = self.worker.answer(line, cpu_seconds, self.wall_seconds)
            word = "error" if word == "gone" else word
        _write(f"{word} {used:.3f}")
        if word in ("timeout", "error") or self.worker.questions >= _QUESTIONS_PER_WORKER:
            self.refork()


class _Worker:
    """One forked child and the pipes to it."""

    def __init__(self, symbolic, memory_mb: int):
        read_question, self.question = os.pipe()
        self.reply, write_reply = os.pipe()
        self.questions = 0
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.question)
                os.close(self.reply)
                _confine(memory_mb)
                _serve(symbolic, read_question, write_reply)
            finally:
                os._exit(1)
        os.close(read_question)
        os.close(write_reply)

    def answer(self, line: bytes, cpu_seconds: float, wall_seconds: float) -> tuple[str, float]:
        self.questions += 1
        started, before = time.monotonic(), _cpu_seconds(self.pid)
        try:
            os.write(self.question, line)
        except OSError:
            return "gone", 0.0
        while True:
            if select.select([self.reply], [], [], _POLL_SECONDS)[0]:
                word = os.read(self.reply, 64).decode().strip()
                return word or "gone", _cpu_seconds(self.pid) - before
            used = _cpu_seconds(self.pid) - before
            if used > cpu_seconds or time.monotonic() - started > wall_seconds:
                return "timeout", used

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.question)
        os.close(self.reply)


def _cpu_seconds(pid: int) -> float:
    """CPU time used by a process; wall time where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    except (OSError, IndexError):
        return time.monotonic()


def _confine(memory_mb: int) -> None:
    """Limits of the worker: it dies with the supervisor and can neither grow nor write files."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        limit = used + memory_mb * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (OSError, AttributeError):
        pass  # not Linux: the CPU and wall limits remain
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.setrecursionlimit(1500)


def _serve(symbolic, questions: int, replies: int) -> None:
    with os.fdopen(questions) as lines:
        for line in lines:
            _, first, second = json.loads(line)
            try:
                same = symbolic.same_trees(_decode(first), _decode(second))
                word = "equal" if same else "different"
            except MemoryError:
                word = "timeout"  # too large a question, asked again no better
            except Exception:  # whatever sympy and its parser raise: this pair is undecided
                word = "unread"
            os.write(replies, word.encode() + b"\n")


def _decode(value):
    if isinstance(value, dict):
        return Fraction(value["q"])
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    return value
