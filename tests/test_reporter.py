"""A run shows a curve to somebody who looks at a notebook, and plain lines to a log."""

import json
import logging
from types import SimpleNamespace

import IPython.display
import pytest

from onerl.recipe import Recipe
from onerl.runs.files import append_jsonl
from onerl.training import progress
from onerl.training.progress import LiveCurve, Reporter

TINY = Recipe.load("tiny", steps=20)
FIRST = SimpleNamespace(is_world_process_zero=True)


def row(step, reward=0.5):
    return {"step": step, "reward": reward, "reward_std": reward, "completion_length": 30.0}


def test_headless_runs_print_a_line_for_every_tenth(capsys):
    reporter = Reporter(TINY, progress=True)
    for step in range(1, 21):
        reporter.on_log(None, FIRST, None, logs=row(step))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"step {s}/20" for s in range(2, 21, 2)]


def test_a_notebook_somebody_looks_at_gets_one_picture_that_is_redrawn(monkeypatch):
    shown = []

    class Handle:
        def update(self, picture):
            shown.append(picture.data)

    def display(picture, display_id):
        shown.append(picture.data)
        return Handle()

    monkeypatch.setattr(IPython.display, "display", display)
    monkeypatch.setattr(progress, "REDRAW", -1)
    curve = LiveCurve(20)
    curve.add(row(1))
    curve.add(row(2, reward=1.0))
    assert len(shown) == 2
    assert all(data.startswith(b"\x89PNG") for data in shown)
    assert shown[0] != shown[1]


def said(caplog, reward, steps=15, **changes) -> list[str]:
    """What a reporter warns of that is told of `steps` equal steps."""
    with caplog.at_level(logging.WARNING):
        reporter = Reporter(TINY, progress=False)
        for step in range(1, steps + 1):
            reporter.on_log(None, FIRST, None, logs={**row(step, reward), **changes})
    return [record.message for record in caplog.records]


@pytest.mark.parametrize("reward", [0.0, 0.5, 1.0])
def test_fifteen_steps_without_a_spread_are_named_once_while_the_run_goes_on(reward, caplog):
    (line,) = said(caplog, reward, frac_zero_std=1.0)
    assert "nothing to learn from" in line
    assert line.startswith("step 10: ")


def test_rewards_without_any_deviation_need_no_other_metric_to_be_named(caplog):
    (line,) = said(caplog, 0.0)
    assert "no rollout was rewarded in the last 10 steps" in line


def test_a_signal_is_not_warned_of(caplog):
    assert said(caplog, 0.1) == []


def test_a_reward_that_is_no_number_is_named_at_once(caplog):
    (line,) = said(caplog, float("nan"))
    assert line.startswith("step 1: non-finite: reward")


def test_fifteen_silent_steps_in_the_middle_of_a_run_are_named(caplog):
    reporter = Reporter(TINY.replace(steps=60), progress=False)
    for step in range(1, 40):
        silent = 13 <= step < 28
        reporter.on_log(None, FIRST, None, logs={**row(step), "frac_zero_std": float(silent)})
    assert any("no signal" in record.message for record in caplog.records)


def test_the_last_line_is_the_verdict(capsys, tmp_path):
    reporter = Reporter(TINY, progress=True)
    args = SimpleNamespace(output_dir=str(tmp_path))
    reporter.on_train_begin(args, FIRST, None)
    for step in range(1, 21):
        logs = row(step, 0.1 + step / 40)
        append_jsonl(tmp_path / "metrics.jsonl", logs)  # as the trainer does
        reporter.on_log(args, FIRST, None, logs=logs)
    reporter.on_train_end(args, FIRST, None)
    assert capsys.readouterr().out.splitlines()[-1].startswith("healthy: 100% of the groups had")


def test_a_run_that_goes_on_is_judged_by_all_its_steps(capsys, tmp_path):
    metrics = "".join(json.dumps({**row(s, 0.0), "frac_zero_std": 1.0}) + "\n" for s in range(1, 9))
    (tmp_path / "metrics.jsonl").write_text(metrics)
    reporter = Reporter(TINY, progress=True)
    args = SimpleNamespace(output_dir=str(tmp_path))
    reporter.on_train_begin(args, FIRST, None)
    reporter.on_log(args, FIRST, None, logs=row(9, 0.0))
    assert "in the last 9 steps" in str(reporter.health)
