"""The doctor names why a run learns nothing or does not go on, with the number that shows it."""

import fcntl
import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from test_health import later, rows, silent

from onerl.recipe import Recipe
from onerl.runs import doctor
from onerl.runs.doctor import NoRunError, diagnose

RECIPE = Recipe.load("tiny", steps=20, label="13")


@pytest.fixture
def run(tmp_path):
    """Makes a run folder from rows of metrics and recorded answers (None: without a box)."""

    def make(metrics=None, answers=(), done=True, recipe=RECIPE):
        (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
        metrics = rows() if metrics is None else metrics
        (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in metrics))
        if answers:
            (tmp_path / "rollouts").mkdir()
            pd.DataFrame({"extracted": pd.Series(answers, dtype=object)}).to_parquet(
                tmp_path / "rollouts" / "step-000010.parquet"
            )
        if done:
            (tmp_path / "DONE").touch()
        return tmp_path

    return make


def named(folder):
    return {cause.name: cause.sentence for cause in diagnose(folder)[1]}


@pytest.mark.parametrize("changes", [{}, {"reward": 0.97, "frac_zero_std": later(0.5, 1.0, 5)}])
def test_a_healthy_and_a_saturated_run_have_no_cause(run, changes, capsys):
    with pytest.raises(SystemExit) as end:
        doctor.main([str(run(rows(**changes)))])
    assert end.value.code == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("saturated: " if changes else "healthy: ")


@pytest.mark.parametrize(
    ("answers", "evidence"),
    [
        ([None] * 60 + ["7"] * 4, "60 of 64 recorded answers have no box"),
        (
            ["12.8"] * 30 + [str(n) for n in range(34)],
            "30 of 64 boxed answers say 12.8, and the label is 13: the label may be wrong",
        ),
        (
            ["1", "1", *(str(n) for n in range(100, 162))],
            "2 of 64 boxed answers say 1, none the label 13: the model may not be able",
        ),
        ([], "no answers are recorded yet"),
    ],
)
def test_never_rewarded_is_put_down_to_boxes_label_or_model(run, answers, evidence):
    found = named(run(rows(**silent(0.0)), answers))
    assert list(found) == ["never rewarded"]
    assert "no rollout was rewarded in the last 20 steps" in found["never rewarded"]
    assert evidence in found["never rewarded"]


@pytest.mark.parametrize(
    ("cause", "changes", "evidence"),
    [
        ("always rewarded", silent(1.0), "20 steps"),
        ("no signal", silent(0.5), "mean 0.50"),
        ("weak signal", {"frac_zero_std": lambda s: 0.9 if s % 4 == 0 else 1.0}, "30%"),
        ("truncated", {"truncated": 0.7}, "max_completion_length = 96"),
        ("collapsed", {"completion_length": later(30.0, 1.0), "reward": 0.1}, "length in tokens"),
        ("collapsed", {"entropy": later(0.3, 5.0)}, "from 0.3 to 5"),
        ("non-finite", {"grad_norm": later(0.2, None, 20)}, "grad_norm of step 20"),
        ("grading errors", {"status/ok": 34, "status/timeout": 10}, "timeout 200"),
        ("grading errors", {"status/ok": 34, "status/error": 10}, "error 200"),
        ("update too large", {"update_norm": later(0.2, 900.0)}, "18 times"),
        ("no update", {"update_norm": 0.0}, "20 steps"),
    ],
)
def test_each_cause_is_named_alone_with_its_number(run, cause, changes, evidence, capsys):
    folder = run(rows(**changes))
    found = named(folder)
    assert list(found) == [cause]
    assert evidence in found[cause]
    with pytest.raises(SystemExit) as end:
        doctor.main([str(folder)])
    assert end.value.code == 1
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_killed_run_is_told_how_far_it_came_and_where_it_goes_on(run):
    folder = run(rows(13), done=False)
    (folder / "state" / "step-000010").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / ".step-000020.partial").mkdir()
    (folder / "launch.log").write_text("step 13\nerror: the disk is full\nbye\n")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 14, "rew')  # killed while it wrote
    os.utime(folder / "metrics.jsonl", (0, 4102444800))
    found = named(folder)
    assert list(found) == ["ended early"]
    for part in (
        *("step 13 of 20", "goes on from step 10", "2100-01-01 00:00:00 UTC"),
        *(".step-000020.partial is half written", "error: the disk is full"),
    ):
        assert part in found["ended early"]


def test_a_run_that_has_not_begun_is_told_so(run):
    assert "reached step 0 of 20" in named(run([], done=False))["ended early"]


def test_another_process_that_holds_the_lock_is_named(run):
    folder = run(rows(13), done=False)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert list(named(folder)) == ["another process"]
    assert list(named(folder)) == ["ended early"]


def test_a_disk_without_room_for_a_checkpoint_is_named(run, monkeypatch):
    folder = run(rows(13), done=False)
    (folder / "checkpoints" / "step-000010").mkdir(parents=True)
    (folder / "checkpoints" / "step-000010" / "model.safetensors").write_bytes(bytes(10**6))
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage._replace(free=10**5))
    assert "disk full" in named(folder)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage._replace(free=10**7))
    assert "disk full" not in named(folder)


@pytest.mark.parametrize("text", ["{", "", "preset: nothing\n", "steps: [1\n", "\x00\x00"])
def test_a_damaged_recipe_is_named_in_a_line(run, text):
    folder = run()
    (folder / "recipe.yaml").write_text(text)
    found = named(folder)
    assert list(found) == ["damaged"]
    assert "\n" not in found["damaged"]


@pytest.mark.parametrize("line", ["{", "7", "null", '{"reward": 1}', "\x00\x00"])
def test_a_damaged_row_is_named_and_the_others_are_read(run, line):
    folder = run()
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text("\n".join([*lines[:6], line, *lines[6:]]) + "\n")
    health, causes = diagnose(folder)
    assert [cause.name for cause in causes] == ["damaged"]
    assert "line 7 of 21" in causes[0].sentence
    assert health.verdict == "healthy"


def test_unreadable_rollouts_do_not_stop_the_doctor(run):
    folder = run(rows(**silent(0.0)), ["1"])
    (folder / "rollouts" / "step-000010.parquet").write_bytes(b"no parquet")
    assert "1 files cannot be read" in named(folder)["never rewarded"]


@pytest.mark.parametrize("kind", ["nothing", "file", "empty", "other"])
def test_what_is_no_run_ends_with_2_and_a_line(tmp_path, kind, capsys):
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("a file")
    elif kind != "nothing":
        place.mkdir()
    if kind == "other":
        (place / "thesis.txt").write_text("mine")
    with pytest.raises(NoRunError):
        diagnose(place)
    with pytest.raises(SystemExit) as end:
        doctor.main([str(place)])
    assert end.value.code == 2
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_the_command_line_needs_no_torch(run):
    folder = run(rows(**silent(0.0)))
    code = (
        "import sys\nfrom onerl.runs import doctor\ntry:\n    doctor.main(sys.argv[1:])\n"
        "except SystemExit as end:\n    print(end.code, 'torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "1 False"
