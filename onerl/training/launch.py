"""`onerl.train(recipe, out, processes=8)`: a run on several GPUs, from a notebook or a script.

A running kernel cannot become one of several processes, so this starts `accelerate launch` with
`python -m onerl.train` as a program of its own, shows its lines as they come, and returns the run.
Interrupting the cell ends the program too; started again, the run resumes.

On several nodes run `accelerate launch` on each of them instead: docs/multi_gpu.md.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from onerl import runs
from onerl.parameters import FRONT_ENDS, params_folder
from onerl.recipe import Recipe
from onerl.runs import claim, files, provenance
from onerl.training.children import kill_group

TAIL = 30  # lines of the program's log that an error shows
GRACE = 60  # seconds to end in when interrupted; the launcher gives its processes 30


def launch(
    recipe: Recipe, out: Path, processes: int, config: str | None = None, progress: bool = True
) -> runs.Run:
    """Train as the recipe says, on `processes` GPUs (or CPU processes) of this machine.

    Blocks until done, printing the program's progress; its whole log is `<out>/launch.log`.

    Args:
        processes: one per GPU; must divide the rollouts of an update.
        config: a file for `accelerate launch`, or one of params/accelerate by name: ddp (default),
            fsdp, deepspeed_zero2.

    Raises:
        ValueError: no such config, or the run refused to start; the message says why.
        OSError: the folder cannot be written.
        RuntimeError: the program failed; the message ends with the last lines of its log.
    """
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise ValueError(f"processes = {processes!r}: must be a whole number, at least 1")
    file = _config(config or "ddp")
    claim.check_folder(out)
    with files.named_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    provenance.write_recipe(out / "launch.yaml", recipe)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(file)]
    command += ["--num_processes", str(processes), "--main_process_port", "0"]  # a free port
    if not torch.cuda.is_available():
        command += ["--mixed_precision", "no"]
    command += ["-m", "onerl.train", "--params", str(out / "launch.yaml"), "--out", str(out)]
    program = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_environment(),
        start_new_session=True,  # so that all of its processes can be ended together
    )
    lines = []
    try:
        with (out / "launch.log").open("a", buffering=1, encoding="utf-8") as log:
            for line in program.stdout:
                log.write(line)
                lines.append(line)
                if progress and line.startswith("step "):
                    print(line, end="", flush=True)
        program.wait()
    except BaseException:  # an interrupted cell, above all
        _end(program)
        raise
    if program.returncode:
        for line in lines:
            if line.startswith("error: "):
                raise ValueError(line.removeprefix("error: ").strip())
        raise RuntimeError(
            f"the program failed with exit status {program.returncode}; the end of"
            f" {out / 'launch.log'}:\n{''.join(lines[-TAIL:])}"
        )
    return runs.Run(out)


def _config(name: str) -> Path:
    folder = params_folder() / "accelerate"
    for path in (folder / f"{name}.yaml", Path(name)):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
    raise ValueError(f"config = {name!r}: no such file; allowed: {known}, or a file's path")


def _environment() -> dict[str, str]:
    """Ours, so that the program finds this very package; without the marks of a notebook."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    kept = {key: value for key, value in os.environ.items() if key not in FRONT_ENDS}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}


def _end(program: subprocess.Popen) -> None:
    """End the program with all of its processes: the launcher ends those it started."""
    kill_group(program, signal.SIGTERM)
    try:
        program.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        kill_group(program, signal.SIGKILL)
        program.wait()
