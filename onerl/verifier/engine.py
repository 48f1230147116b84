"""The symbolic engine, seen from the caller: a process that is asked, limited and replaced.

`ask` never raises and never blocks for long: the limits are enforced by the supervisor process of
`worker.py`, from outside the process that computes, so neither threads, event loops, signals nor a
busy interpreter here matter. A supervisor is started on first use, shared by all threads, started
anew after a fork and after its own death, and it ends when this process does.

`warm()` starts it ahead of the first question; it is ready in a moment and answers in fractions of
a millisecond.

What is covered: any hang, crash or memory growth of the computation; death of either side.
What is not: the supervisor runs as the same user. It parses mathematics and evaluates no code.
"""

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from fractions import Fraction

CPU_SECONDS = 0.5  # decides; measured on the worker, so a busy machine changes nothing
WALL_SECONDS = 30.0  # only against a worker that sleeps
MEMORY_MB = 160  # above what the warmed worker uses
_START_SECONDS = 60.0

_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from onerl.verifier.worker import main; main(*map(float, sys.argv[2:]))"
)


class Engine:
    """A lazily started supervisor. Thread-safe; one question at a time."""

    def __init__(self):
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._owner = 0
        self._ready = False
        self.starts = 0

    def ask(self, trees: tuple, cpu_seconds: float = CPU_SECONDS) -> tuple[str, float]:
        """("equal" | "different" | "unread" | "timeout" | "error", CPU seconds used)."""
        try:
            line = (json.dumps([round(cpu_seconds, 3), *map(_encode, trees)]) + "\n").encode()
        except RecursionError:
            return "unread", 0.0
        with self._lock:
            for _ in range(2):  # a supervisor that died is replaced once
                try:
                    return self._exchange(line)
                except (OSError, ValueError):
                    self._stop()
                except BaseException:  # interrupted: the late reply must not answer the next one
                    self._stop()
                    raise
        return "error", 0.0

    def warm(self) -> None:
        """Starts the process without waiting for it. Raises nothing."""
        with self._lock, suppress(OSError):
            self._launch()

    def _exchange(self, line: bytes) -> tuple[str, float]:
        self._start()
        process = self._process
        process.stdin.write(line)
        reply = _read_line(process.stdout, WALL_SECONDS + 5)
        word, used = reply.split()
        return word, float(used)

    def _start(self) -> None:
        self._launch()
        if not self._ready:
            if _read_line(self._process.stdout, _START_SECONDS) != "ready":
                raise OSError("the verifier's worker did not start")
            self._ready = True

    def _launch(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return
            self._stop()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _BOOT, json.dumps(_import_path()),
             str(os.getpid()), str(WALL_SECONDS), str(MEMORY_MB)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            bufsize=0, start_new_session=True,
        )  # fmt: skip
        self._owner = os.getpid()
        self.starts += 1
        self._ready = False

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()
        if self._owner == os.getpid():  # after a fork the process is the parent's, not ours
            process.kill()
            process.wait()

    @property
    def pid(self) -> int | None:
        """The supervisor's process id, while there is one."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        with self._lock:
            self._stop()

    def after_fork(self) -> None:
        """In a forked child: forget the parent's worker, whatever state its lock was in."""
        self._lock = threading.Lock()
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                pipe.close()
            self._process.returncode = 0  # not ours to wait for
            self._process = None


def _import_path() -> list[str]:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [root, *(entry for entry in sys.path if entry and entry != root)]


def _read_line(pipe, seconds: float) -> str:
    """One line from an unbuffered pipe. Raises OSError when it does not come."""
    deadline, data = time.monotonic() + seconds, b""
    while not data.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise OSError("no reply from the verifier's worker")
        piece = os.read(pipe.fileno(), 4096)
        if not piece:
            raise OSError("the verifier's worker is gone")
        data += piece
    return data.decode().strip()


def _encode(value):
    if isinstance(value, Fraction):
        return {"q": f"{value.numerator}/{value.denominator}"}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return value


NUMBERS = Engine()


def ask(trees: tuple, cpu_seconds: float = CPU_SECONDS) -> tuple[str, float]:
    """Asks the engine whether two trees are equal; see `Engine.ask`."""
    return NUMBERS.ask(trees, cpu_seconds)


def warm() -> None:
    """Starts the worker now, in the background, so that no verdict waits for it."""
    NUMBERS.warm()


atexit.register(NUMBERS.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=NUMBERS.after_fork)
