"""What stands in a run's folder under its final name is whole."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import time

import pytest

from onerl.problems.prompts import prompt_sha256
from onerl.recipe import Recipe
from onerl.runs import Run, outputs_folder
from onerl.runs.files import append_jsonl, atomic_dir, write_text
from onerl.runs.provenance import write_provenance


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_whole_and_replaces_what_stood_there(tmp_path):
    target = tmp_path / "step-000010"
    for text in ("old", "new"):
        with atomic_dir(target) as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "file").write_text(text)
            assert not target.exists() or (target / "deep" / "file").read_text() == "old"
        assert (target / "deep" / "file").read_text() == text
        assert names(tmp_path) == ["step-000010"]


def test_a_failed_write_leaves_what_stood_there(tmp_path):
    target = tmp_path / "step-000010"
    with atomic_dir(target) as folder:
        (folder / "file").write_text("old")
    with pytest.raises(TypeError, match="data must be str"), atomic_dir(target) as folder:
        (folder / "file").write_text(None)
    assert (target / "file").read_text() == "old"
    assert names(tmp_path) == ["step-000010"]


def test_what_stood_there_is_never_removed_under_its_own_name(tmp_path, monkeypatch):
    """Removing takes time: a kill in the middle would leave a part that looks whole."""
    removed = []
    rmtree = shutil.rmtree
    monkeypatch.setattr(
        shutil, "rmtree", lambda path, **kw: (removed.append(path.name), rmtree(path, **kw))
    )
    for _ in range(2):
        with atomic_dir(tmp_path / "step-000010"):
            pass
    assert removed
    assert "step-000010" not in removed


def write_for_ever(folder, started):
    """Replaces a folder of 20 equal files again and again."""
    for turn in range(10**9):
        with atomic_dir(folder / "step-000010") as aside:
            for i in range(20):
                (aside / f"{i}").write_text(str(turn))
        started.set()


@pytest.mark.parametrize("milliseconds", [0, 3, 7, 13])
def test_a_killed_write_never_shows_a_part(tmp_path, milliseconds):
    started = multiprocessing.Event()
    process = multiprocessing.get_context("fork").Process(
        target=write_for_ever, args=(tmp_path, started)
    )
    process.start()
    assert started.wait(20)
    time.sleep(milliseconds / 1000)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    for target in tmp_path.glob("step-*"):  # at most one, and none only between two renames
        assert len(names(target)) == 20
        assert len({(target / str(i)).read_text() for i in range(20)}) == 1
    with atomic_dir(tmp_path / "step-000010") as aside:
        (aside / "after").write_text("")
    assert names(tmp_path) == ["step-000010"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EACCES, "Permission denied"), "may not be written"),
        (RuntimeError("Io(Os { code: 28, message: No space left on device })"), "the disk is full"),
    ],
)
def test_a_full_disk_names_the_folder_and_keeps_the_former(tmp_path, error, said):
    target = tmp_path / "step-000010"
    with atomic_dir(target) as folder:
        (folder / "file").write_text("old")
    with pytest.raises(OSError, match=rf"step-000010: .*{said}"), atomic_dir(target):
        raise error
    assert (target / "file").read_text() == "old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_stops_the_metrics_with_their_name():
    with pytest.raises(OSError, match="/dev/full: the disk is full"):
        append_jsonl("/dev/full", {"step": 1})


def test_a_torn_last_line_is_no_row(tmp_path):
    append_jsonl(tmp_path / "metrics.jsonl", {"step": 1, "reward": 0.1})
    append_jsonl(tmp_path / "metrics.jsonl", {"step": 2, "reward": 0.30000000000000004})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "rew')
    metrics = Run(tmp_path).metrics
    assert list(metrics["step"]) == [1, 2]
    assert metrics["reward"].iloc[1] == 0.30000000000000004


def test_a_text_file_is_replaced_whole(tmp_path):
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "two")
    assert (tmp_path / "a.txt").read_text() == "two"
    assert names(tmp_path) == ["a.txt"]


def test_an_empty_folder_is_a_run_that_has_not_begun(tmp_path):
    run = Run(tmp_path)
    assert not run.done
    assert len(run.metrics) == 0
    assert run.checkpoints == []
    assert "not finished" in repr(run)


def test_checkpoints_are_in_order_and_partial_ones_are_invisible(tmp_path):
    for step in (1000, 0, 20):
        with atomic_dir(tmp_path / "checkpoints" / f"step-{step:06d}"):
            pass
    (tmp_path / "checkpoints" / ".step-000040.partial").mkdir()
    (tmp_path / "checkpoints" / ".step-000020.former").mkdir()
    assert [step for step, _ in Run(tmp_path).checkpoints] == [0, 20, 1000]


def test_what_a_run_is_stands_there_before_it_does_anything(tmp_path):
    recipe = Recipe.load("tiny", seed=3, label="6.80")
    write_provenance(tmp_path / "new", recipe, ["Problem: 1+1?\nSolution:"] * 8)
    run = Run(tmp_path / "new")
    assert run.recipe == recipe
    provenance = json.loads((run.path / "provenance.json").read_text())
    assert provenance["recipe_hash"] == recipe.hash()
    assert provenance["prompt_sha256"] == [prompt_sha256("Problem: 1+1?\nSolution:")]
    assert provenance["packages"]["trl"].startswith("1.16")
    assert provenance["hardware"]["cores"] >= 1
    assert {"git", "command", "python", "started"} <= set(provenance)


def test_runs_go_to_the_checkouts_outputs_whatever_the_working_directory(tmp_path, monkeypatch):
    before = outputs_folder()
    monkeypatch.chdir(tmp_path)
    assert outputs_folder() == before
    assert (before.parent / "pyproject.toml").exists()
