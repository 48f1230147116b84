"""Programs: how ours end, and how those end that we start."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator


def kill_group(process: subprocess.Popen, number: int) -> None:
    """Send a signal to a program and all that it started; nothing where all are gone."""
    with contextlib.suppress(ProcessLookupError):  # nobody of the job's session is left
        os.killpg(process.pid, number)


@contextlib.contextmanager
def command_line() -> Iterator[None]:
    """Ends a program in one line: status 1 with what was refused, 130 without a word for Ctrl-C.

    A terminal that lacks a letter of a path shows its code instead.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
