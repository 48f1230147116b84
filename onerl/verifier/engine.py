"""The symbolic engine, seen from the caller: a process that is asked, limited and replaced.

`ask` never raises and never blocks for long: the limits are enforced by the kernel and by the
supervisor process of `worker.py`, from outside the computation, so neither threads, event loops,
signals nor a busy interpreter here matter. A supervisor is started on first use, shared by all
threads, started anew after a fork and after its own death, and it ends when this process does.

What is covered: any hang, crash or memory growth of the computation; death of either side.
What is not: the supervisor runs as the same user. It parses mathematics and evaluates no code.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Pipe
from pathlib import Path

CPU_SECONDS = 0.5  # decides; measured on the worker, so a busy machine changes nothing
WALL_SECONDS = 30.0  # only against a worker that sleeps
MEMORY_MB = 160  # above what the warmed worker uses
_START_SECONDS = 60.0

_ROOT = str(Path(__file__).absolute().parents[2])
_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from onerl.verifier.worker import main; main(*map(float, sys.argv[2:]))"
)


class Engine:
    """A lazily started supervisor. Thread-safe; one question at a time."""

    def __init__(self):
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._ready = False
        self.starts = 0

    def ask(self, trees: tuple, cpu_seconds: float = CPU_SECONDS) -> tuple[str, float]:
        """("equal" | "different" | "unread" | "timeout" | "error", CPU seconds used)."""
        with self._lock:
            for _ in range(2):  # a supervisor that died is replaced once
                try:
                    return self._exchange((cpu_seconds, *trees))
                except RecursionError:
                    return "unread", 0.0
                except (OSError, EOFError, ValueError):
                    self._stop()
                except BaseException:  # interrupted: the late reply must not answer the next one
                    self._stop()
                    raise
        return "error", 0.0

    def warm(self) -> None:
        """Starts the process without waiting for it. Raises nothing."""
        with self._lock, suppress(OSError):
            self._launch()

    def _exchange(self, question: tuple) -> tuple[str, float]:
        self._launch()
        if not self._ready:
            self._receive(_START_SECONDS)
            self._ready = True
        self._pipe.send(question)
        return self._receive(WALL_SECONDS + 5)

    def _receive(self, seconds: float):
        """What the supervisor says next. Raises OSError or EOFError when nothing comes."""
        if not self._pipe.poll(seconds):
            raise TimeoutError("no reply from the verifier's worker")
        return self._pipe.recv()

    def _launch(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._stop()
        self._pipe, theirs = Pipe()
        path = [_ROOT, *(entry for entry in sys.path if entry and entry != _ROOT)]
        limits = theirs.fileno(), os.getpid(), WALL_SECONDS, MEMORY_MB
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _BOOT, json.dumps(path), *map(str, limits)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        self.starts += 1
        self._ready = False

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._pipe.close()
            process.kill()
            process.wait()

    @property
    def pid(self) -> int | None:
        """The supervisor's process id, while there is one."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """Ends the supervisor; the next question starts another."""
        with self._lock:
            self._stop()

    def after_fork(self) -> None:
        """In a forked child: forget the parent's worker, whatever state its lock was in."""
        self._lock = threading.Lock()
        if self._process is not None:
            self._pipe.close()
            self._process.returncode = 0  # not ours to wait for
            self._process = None


NUMBERS = Engine()
ask = NUMBERS.ask  # whether two trees are equal
warm = NUMBERS.warm  # starts the worker now, in the background, so that no verdict waits for it

atexit.register(NUMBERS.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=NUMBERS.after_fork)
