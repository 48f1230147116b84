"""Programs that we start: their environment, and how they end."""

from __future__ import annotations

import contextlib
import os
import subprocess

FRONT_ENDS = {"JPY_SESSION_NAME", "VSCODE_PID"}  # set in a kernel that somebody looks at


def kill_group(process: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # nobody of the job's session is left
        os.killpg(process.pid, number)
