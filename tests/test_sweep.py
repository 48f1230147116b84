"""Many runs at once: none twice, none lost, and a failed one stops nobody."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from fake_runs import LIMIT, fake_run

from onerl.grids import job, pools
from onerl.recipe import Recipe
from onerl.runs import Run
from onerl.sweep import SweepError, main, sweep

SHORT = Recipe.load("tiny", steps=1, save_every=1, prompts_per_step=1, num_generations=2)
UNREADABLE = SHORT.replace(label=r"\frac{1}{", steps=2)
FEW = 7  # problems evaluated


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A good recipe under two names and one that cannot be trained, in one sweep."""
    out = tmp_path_factory.mktemp("swept")
    recipes = {("good", 0): SHORT, ("bad", 0): UNREADABLE, ("same", 0): SHORT}
    with pytest.raises(SweepError) as caught:
        sweep(recipes, jobs=1, out=out, limit=FEW)
    return out, caught.value


def test_a_failed_job_stops_none_of_the_others(swept):
    _, error = swept
    assert error.failed == [("bad", 0)]
    assert error.grid.arms == ["good", "same"]
    assert error.grid.missing == (("bad", 0),)
    assert error.grid.table().loc["good", "problems"] == FEW


def test_a_failed_job_is_reported_with_its_log_and_its_end(swept):
    out, error = swept
    log = out / UNREADABLE.hash() / "job.log"
    assert os.path.relpath(log) in str(error)
    assert "the verifier does not accept" in str(error)
    assert "1 of 2 runs failed" in str(error)
    assert "the verifier does not accept" in log.read_text()


def test_equal_recipes_are_one_job(swept):
    out, error = swept
    assert sorted(path.name for path in out.iterdir()) == sorted([SHORT.hash(), UNREADABLE.hash()])
    assert error.grid.outcomes["good", 0].path == error.grid.outcomes["same", 0].path


def test_the_model_before_training_is_evaluated_once(swept):
    out, error = swept
    assert error.grid.steps("good") == [0, 1]
    assert error.grid.base_estimate().low >= 0
    assert len(list(out.glob("*/evaluations/step-000000"))) == 1


def test_what_is_finished_starts_no_process(swept, monkeypatch):
    out, error = swept

    def refused(*_, **__):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refused)
    again = sweep({("good", 0): SHORT}, out=out, limit=FEW)
    assert again.table().equals(error.grid.table().loc[["good"]])


# -- the pool, with a job that only sleeps ------------------------------------------------------

SLEEPER = """
import os, subprocess, sys, time
from pathlib import Path
out = Path(sys.argv[sys.argv.index("--out") + 1])
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
seen = [os.getpid(), worker.pid, os.environ["OMP_NUM_THREADS"]]
seen += [os.environ.get("CUDA_VISIBLE_DEVICES", "")]
(out / "part").write_text(" ".join(map(str, seen)))
(out / "part").rename(out / "seen")
time.sleep(60)
"""


@pytest.fixture
def sleeper(tmp_path, monkeypatch):
    """`grids.job` becomes a process with a worker, both asleep, that notes what it was given."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    monkeypatch.setattr(pools, "JOB", (sys.executable, str(tmp_path / "sleeper.py")))


def seen(out, recipe, patience=20):
    file = out / recipe.hash() / "seen"
    until = time.monotonic() + patience
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return file.read_text().split(" ")


def alive(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def interrupt_when(monkeypatch, ready):
    """Ctrl-C at the first tick at which `ready()`."""

    def tick(board):
        if ready():
            raise KeyboardInterrupt

    monkeypatch.setattr(pools.Board, "tick", tick)


def test_ctrl_c_ends_jobs_and_their_workers(tmp_path, monkeypatch, sleeper):
    interrupt_when(monkeypatch, lambda: (tmp_path / SHORT.hash() / "seen").exists())
    with pytest.raises(KeyboardInterrupt):
        sweep({("a", 0): SHORT}, out=tmp_path, limit=FEW)
    pids = seen(tmp_path, SHORT)[:2]
    assert not any(alive(pid) for pid in pids)


def test_threads_are_the_recipes_or_a_share_of_the_cores(tmp_path, monkeypatch, sleeper):
    two = [SHORT, SHORT.replace(threads=None, seed=1)]
    monkeypatch.setattr(pools, "available_cores", lambda: 8)
    interrupt_when(monkeypatch, lambda: all((tmp_path / r.hash() / "seen").exists() for r in two))
    with pytest.raises(KeyboardInterrupt):
        sweep({("a", 0): two[0], ("a", 1): two[1]}, jobs=2, out=tmp_path, limit=FEW)
    assert [seen(tmp_path, recipe)[2] for recipe in two] == ["1", "4"]


def test_each_job_has_a_gpu_of_its_own(tmp_path, monkeypatch, sleeper):
    two = [SHORT, SHORT.replace(seed=1)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-7f")
    interrupt_when(monkeypatch, lambda: all((tmp_path / r.hash() / "seen").exists() for r in two))
    with pytest.raises(KeyboardInterrupt):
        sweep({("a", 0): two[0], ("a", 1): two[1]}, out=tmp_path, limit=FEW)
    assert {seen(tmp_path, recipe)[3] for recipe in two} == {"3", "GPU-7f"}
    with pytest.raises(ValueError, match="jobs = 3: each gets a GPU of its own, and there are 2"):
        sweep({("a", 2): SHORT.replace(seed=2)}, jobs=3, out=tmp_path, limit=FEW)


def test_no_more_jobs_run_at_once_than_asked_for(tmp_path, monkeypatch, sleeper):
    recipes = {("a", seed): SHORT.replace(seed=seed) for seed in range(3)}
    first = time.monotonic()
    interrupt_when(monkeypatch, lambda: time.monotonic() - first > 2)
    with pytest.raises(KeyboardInterrupt):
        sweep(recipes, jobs=2, out=tmp_path, limit=FEW)
    started = [(tmp_path / recipe.hash()).exists() for recipe in recipes.values()]
    assert started == [True, True, False]


def test_a_killed_job_is_named_with_its_signal(tmp_path, monkeypatch, sleeper):
    def tick(board):
        if board.tasks[0].state == "running" and (tmp_path / SHORT.hash() / "seen").exists():
            os.kill(int(seen(tmp_path, SHORT)[0]), signal.SIGKILL)

    monkeypatch.setattr(pools.Board, "tick", tick)
    with pytest.raises(SweepError, match="killed by SIGKILL"):
        sweep({("a", 0): SHORT}, out=tmp_path, limit=FEW)
    assert not alive(seen(tmp_path, SHORT)[1]), "its worker is left"


def test_a_job_ends_with_the_process_that_started_it(tmp_path):
    """As when a notebook's kernel is killed: nobody is left to call `stop`."""
    code = "import time; from onerl.grids.job import end_with_parent; end_with_parent();"
    code += "time.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True
    )
    time.sleep(0.2)
    assert child.poll() is None
    child.stdin.close()
    assert child.wait(20) != 0


# -- runs shared between sweeps -----------------------------------------------------------------


def test_a_run_that_another_process_is_busy_with_comes_last(tmp_path):
    recipes = [SHORT.replace(seed=seed) for seed in (0, 1)]
    tasks = pools.plan({("a", r.seed): r for r in recipes}, tmp_path, "last", FEW)
    tasks[0].job.out.mkdir()
    code = (
        "import fcntl, sys, time; lock = open(sys.argv[1], 'a'); fcntl.flock(lock, fcntl.LOCK_EX);"
        "print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tasks[0].job.out / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        pool = pools.Local(tasks, 1)
        found = [pool._next(), pool._next()]
        other.kill()
        other.wait()
        assert found == [tasks[1], None]
        assert pool._next() is tasks[0]


def test_a_job_waits_for_the_run_of_another_process(tmp_path, monkeypatch):
    """It neither fails nor trains a second time: the other one has finished the run."""
    fake = fake_run(tmp_path, SHORT, {0: 0.5, 1: 0.5})
    (fake / "DONE").unlink()
    monkeypatch.setattr(job, "WAIT", 0.05)
    with (fake / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def finish():
            (fake / "DONE").touch()
            lock.close()

        threading.Timer(0.5, finish).start()
        job.Job(SHORT, fake, limit=LIMIT)()
    assert not (fake / "state").exists()


# -- SLURM's way, through submitit --------------------------------------------------------------


def test_a_preempted_job_is_queued_again_and_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    """submitit's local executor: the same signal, handler and second start as on SLURM."""
    monkeypatch.setattr(pools, "CLUSTER", "local")
    recipe = SHORT.replace(steps=6)
    folder = tmp_path / recipe.hash()
    lines = []

    def tick(board):
        running = [task for task in board.tasks if task.state == "running"]
        if not lines and len(Run(folder).checkpoints) > 3 and running:
            lines.extend((folder / "metrics.jsonl").read_text().splitlines()[:2])
            controller = psutil.Process(started[0].running[0][1]._process.pid)
            for process in controller.children(recursive=True):
                if "submitit.core._submit" in process.cmdline():
                    process.send_signal(signal.SIGUSR2)  # SLURM's notice

    started = []
    original = pools.Slurm.run

    def run(pool, board):
        started.append(pool)
        original(pool, board)

    monkeypatch.setattr(pools.Slurm, "run", run)
    monkeypatch.setattr(pools.Board, "tick", tick)
    grid = sweep({("a", 0): recipe}, backend="slurm", out=tmp_path, limit=FEW)
    assert lines, "the job was finished before it could be preempted"
    metrics = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in metrics] == list(range(1, 7))
    assert metrics[:2] == lines  # measured seconds included: not trained a second time
    log = next((tmp_path / "slurm").glob("*.out")).read_text()
    assert "this job is preempted" in log
    assert grid.arms == ["a"]


@pytest.mark.parametrize(
    ("missing", "message"),
    [("submitit", r'pip install "onerl\[slurm\]"'), ("sbatch", "there is no sbatch")],
)
def test_a_missing_slurm_is_named(tmp_path, monkeypatch, missing, message):
    if missing == "submitit":
        monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=message):
        sweep({("a", 0): SHORT}, backend="slurm", out=tmp_path, limit=FEW)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"evaluate": "best"}, "evaluate = 'best'"),
        ({"backend": "ray"}, "backend = 'ray'"),
        ({"jobs": 0}, "jobs = 0: must be at least 1"),
    ],
)
def test_an_argument_that_is_not_allowed_is_named(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        sweep({("a", 0): SHORT}, out=tmp_path, **arguments)


def test_the_command_line_names_what_is_wrong():
    with pytest.raises(SystemExit, match=r"grid = 'ablatoin'.*nearest: 'ablation'"):
        main(["ablatoin"])
    with pytest.raises(SystemExit, match="stepz"):
        main(["ablation", "-p", "stepz", "1"])


def test_the_command_line_prints_the_table(swept, capsys):
    out, _ = swept
    fields = [("steps", "1"), ("save_every", "1"), ("prompts_per_step", "1")]
    fields += [("num_generations", "2")]
    options = [text for field in fields for text in ("-p", *field)]
    main(["ablation", "--arms", "row 5", "--limit", str(FEW), "--out", str(out), *options])
    assert "row 5" in capsys.readouterr().out
