"""Where the jobs of a sweep run: a pool of processes on this machine, or a SLURM job array.

A `Board` shows how they are getting on: a live table in Jupyter, plain lines anywhere else.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onerl.grids.finished import base_key, evaluated
from onerl.grids.job import Job, thread_variables
from onerl.parameters import FRONT_ENDS, watched
from onerl.recipe import Recipe
from onerl.runs import Run, provenance
from onerl.training.children import kill_group

JOB = (sys.executable, "-m", "onerl.grids.job")
POLL = 0.5  # seconds between two looks at the running jobs
GRACE = 10  # seconds a job has to end after SIGTERM
QUEUE_LOOK = 10  # seconds between two questions to SLURM
LOOK = 2  # seconds between two looks at what the runs have written
LINE = 60  # seconds between two lines about the running jobs
QUEUED = "queued or starting"
CLUSTER = "slurm"  # submitit's name; the tests put its local executor here


@dataclass
class Task:
    """A job of this sweep, the keys that asked for it, and how it is getting on."""

    job: Job
    keys: list[tuple[str, int]]
    state: str = "waiting"  # then running, done or failed
    log: Path | None = None
    started: float = 0.0
    seconds: float = 0.0

    @property
    def name(self) -> str:
        arms = " = ".join(dict.fromkeys(arm for arm, _ in self.keys))
        return f"{arms}, seed {self.job.recipe.seed}"


def plan(
    recipes: Mapping[tuple[str, int], Recipe], out: Path, evaluate: str, limit: int | None
) -> list[Task]:
    """A task for each different recipe; those with nothing left to do are "done"."""
    tasks: dict[str, Task] = {}
    for key, recipe in recipes.items():
        job = Job(recipe, out / recipe.hash(), evaluate, limit=limit)
        tasks.setdefault(recipe.hash(), Task(job, [])).keys.append(key)
    jobs = [task.job for task in tasks.values()]
    with_base = {base_key(j.recipe) for j in jobs if evaluated(Run(j.out), 0, j.recipe, limit)}
    for task in tasks.values():
        if (key := base_key(task.job.recipe)) not in with_base:
            with_base.add(key)
            task.job = replace(task.job, base=True)
        if task.job.done:
            task.state = "done"
    return list(tasks.values())


class Board:
    """Shows the tasks of a sweep; `say`, `started`, `ended` and `tick` are told what happens."""

    def __init__(self, tasks: Sequence[Task]):
        self.tasks, self.looked, self.display = tasks, time.monotonic(), None
        if watched():
            from IPython.display import display

            self.display = display(self._table(), display_id=True)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def started(self, task: Task) -> None:
        if self.display is None:
            self.say(f"started  {task.name}  ({task.job.out.name})")

    def ended(self, task: Task) -> None:
        if self.display is None:
            finished = sum(task.state in ("done", "failed") for task in self.tasks)
            so_far = f"[{finished} of {len(self.tasks)}]"
            self.say(f"{task.state:7s}  {task.name}, {task.seconds:.0f} s  {so_far}")

    def tick(self) -> None:
        """Called often; looks at the running jobs now and then."""
        now = time.monotonic()
        if now - self.looked < (LINE if self.display is None else LOOK):
            return
        self.looked = now
        if self.display is None:
            running = [(task.name, where(task)) for task in self.tasks if task.state == "running"]
            lines = [f"{name}: {what}" for name, what in running if what != QUEUED]
            self.say(f"running  {'; '.join(lines)}  ({len(running) - len(lines)} {QUEUED})")
        self.close()

    def close(self) -> None:
        """The last look, without a wait."""
        if self.display is not None:
            self.display.update(self._table())

    def _table(self):
        import pandas as pd

        rows = [[task.name, task.state, where(task)] for task in self.tasks]
        return pd.DataFrame(rows, columns=["run", "state", "where"])


def where(task: Task) -> str:
    """How far a running job is, read from the last line of its metrics."""
    if task.state != "running":
        return ""
    file = task.job.out / "metrics.jsonl"
    lines = file.read_bytes().splitlines() if file.exists() else []
    try:
        row = json.loads(lines[-1])
    except (IndexError, ValueError):  # no line, or half a line
        return QUEUED
    if row["step"] >= task.job.recipe.steps:
        return "evaluating"
    measured = "reward" if "reward" in row else "loss"  # fine-tuning has no reward
    return f"step {row['step']}/{task.job.recipe.steps}, {measured} {row[measured]:.2f}"


class Pool:
    """The loop over tasks that wait and run; subclasses say how they start and when they ended."""

    def run(self, board: Board) -> None:
        while self.waiting or self.running:
            for task in self._started():
                task.state, task.started = "running", time.monotonic()
                board.started(task)
            for task, well in self._ended():
                task.seconds = time.monotonic() - task.started
                task.state = "done" if well and task.job.done else "failed"
                board.ended(task)
            board.tick()
            time.sleep(POLL)


class Local(Pool):
    """A bounded pool of processes on this machine."""

    def __init__(self, waiting: Sequence[Task], jobs: int | None):
        self.gpus = gpus()
        cores = available_cores()
        threads = [task.job.recipe.threads or cores for task in waiting]
        if self.gpus and jobs is not None and jobs > len(self.gpus):
            raise ValueError(
                f"jobs = {jobs}: each gets a GPU of its own, and there are {len(self.gpus)}; run"
                " with CUDA_VISIBLE_DEVICES set to nothing to use the processor"
            )
        room = len(self.gpus) or max(1, cores // max(threads))
        self.jobs = min(jobs or room, len(waiting))
        self.threads = max(1, cores // self.jobs)
        self.waiting = list(waiting)
        self.running: dict[int, tuple[Task, subprocess.Popen]] = {}  # by slot

    def __str__(self) -> str:
        where = f"a GPU each of {len(self.gpus)}" if self.gpus else "on the processor"
        return f"{self.jobs} at a time, {where}"

    def _started(self) -> Iterator[Task]:
        for slot in range(self.jobs):
            if slot not in self.running and (task := self._next()) is not None:
                self.running[slot] = task, self._process(task, slot)
                yield task

    def _ended(self) -> Iterator[tuple[Task, bool]]:
        for slot, (task, process) in list(self.running.items()):
            if process.poll() is not None:
                del self.running[slot]
                process.stdin.close()
                kill_group(process, signal.SIGKILL)  # workers that a killed job left behind
                if process.returncode < 0:
                    with task.log.open("a", encoding="utf-8") as log:
                        log.write(f"killed by {signal.Signals(-process.returncode).name}\n")
                yield task, process.returncode == 0

    def _next(self) -> Task | None:
        """The first that nobody else is busy with; others' runs are waited for at the end."""
        for task in self.waiting:
            if not Run(task.job.out).busy:
                self.waiting.remove(task)
                return task
        return None

    def _process(self, task: Task, slot: int) -> subprocess.Popen:
        job, task.log = task.job, task.job.out / "job.log"
        job.out.mkdir(parents=True, exist_ok=True)
        provenance.write_recipe(job.out / "job.yaml", job.recipe)
        command = [*JOB, str(job.out / "job.yaml"), "--out", str(job.out), "--end-with-parent"]
        command += ["--evaluate", job.evaluate, *["--base"] * job.base]
        command += ["--limit", str(job.limit)] if job.limit else []
        environment = {k: v for k, v in os.environ.items() if k not in FRONT_ENDS}
        environment |= thread_variables(job.recipe.threads or self.threads)
        here = str(Path(__file__).parents[2])
        environment["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot]
        with task.log.open("ab") as log:
            streams = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log}
            # in a session of its own, so that its workers can be ended with it
            return subprocess.Popen(command, env=environment, start_new_session=True, **streams)

    def stop(self) -> None:
        """End what still runs, workers included; nothing to do after a sweep that finished."""
        processes = [process for _, process in self.running.values()]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in processes:
                kill_group(process, number)
            until = time.monotonic() + GRACE
            while any(p.poll() is None for p in processes) and time.monotonic() < until:
                time.sleep(0.05)
        self.running.clear()


class Slurm(Pool):
    """One job array through submitit; `CLUSTER` "local" runs the same code without SLURM."""

    def __init__(self, waiting, jobs: int | None, out: Path, parameters: Mapping | None):
        try:
            import submitit
        except ImportError:
            raise ValueError(
                'backend = "slurm": submitit is not installed; pip install "onerl[slurm]"'
            ) from None
        if CLUSTER == "slurm" and shutil.which("sbatch") is None:
            raise ValueError(
                'backend = "slurm": there is no sbatch on this machine; run it on a login node of'
                ' the cluster, or with backend = "local"'
            )
        recipes = [task.job.recipe for task in waiting]
        real = any(recipe.scale == "paper" for recipe in recipes)
        settings = {
            "name": "onerl",
            "stderr_to_stdout": True,  # one log
            "timeout_min": 24 * 60,
            "cpus_per_task": max(recipe.threads or 8 for recipe in recipes),
            "slurm_array_parallelism": jobs or len(waiting),
        }
        settings |= {"gpus_per_node": 1} if real else {}
        endless = {"slurm_max_num_timeout": 1000}  # the time limit too queues a job again
        self.executor = submitit.AutoExecutor(out / "slurm", cluster=CLUSTER, **endless)
        self.executor.update_parameters(**settings | dict(parameters or {}))
        self.waiting, self.running, self.queue_asked = list(waiting), [], 0.0

    def __str__(self) -> str:
        return "a SLURM job array"

    def _started(self) -> Iterator[Task]:
        if self.waiting:
            with self.executor.batch():
                submitted = [self.executor.submit(task.job) for task in self.waiting]
            self.running, self.waiting = list(zip(self.waiting, submitted, strict=True)), []
            for task, handle in self.running:
                task.log = handle.paths.stdout
                yield task

    def _ended(self) -> Iterator[tuple[Task, bool]]:
        """Jobs that left a result, or that SLURM no longer knows.

        Asked with squeue: submitit's own way, sacct, needs an accounting database.
        """
        if CLUSTER != "slurm":
            ended = [pair for pair in self.running if pair[1].done()]
        else:
            ended = [pair for pair in self.running if pair[1].paths.result_pickle.exists()]
        if CLUSTER == "slurm" and not ended and time.monotonic() - self.queue_asked > QUEUE_LOOK:
            array = self.running[0][1].job_id.split("_")[0]
            command = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={array}"]
            asked = subprocess.run(command, capture_output=True, text=True, check=False)
            self.queue_asked = time.monotonic()
            if asked.returncode == 0 or "Invalid job id" in asked.stderr:
                known = asked.stdout.split()
                ended = [pair for pair in self.running if pair[1].job_id not in known]
        for pair in ended:
            self.running.remove(pair)
            yield pair[0], True

    def stop(self) -> None:
        """Cancel what is still queued or running."""
        for _, handle in self.running:
            handle.cancel(check=False)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may name, asked without starting CUDA in this process."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
