"""A run shows a curve to somebody who looks at a notebook, and plain lines to a log."""

import logging
from types import SimpleNamespace

import IPython.display
import pytest

from onerl.recipe import Recipe
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


@pytest.mark.parametrize(("reward", "warnings"), [(0.0, 1), (0.1, 0)])
def test_a_reward_without_signal_says_so_once(reward, warnings, caplog):
    with caplog.at_level(logging.WARNING):
        quiet = Reporter(TINY, progress=False)
        for step in range(1, 20):
            quiet.on_log(None, FIRST, None, logs=row(step, reward))
    assert len([r for r in caplog.records if "nothing to learn from" in r.message]) == warnings
