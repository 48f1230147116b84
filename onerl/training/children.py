"""Programs that we start: their environment, and how they end."""

from __future__ import annotations

import contextlib
import os
import subprocess

from onerl.parameters import FRONT_ENDS

__all__ = ["FRONT_ENDS", "kill_group"]


def kill_group(process: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # nobody of the job's session is left
        os.killpg(process.pid, number)
