"""`python -m onerl.verifier` and the self-test before a run."""

import pytest

import onerl.verifier.selftest as selftest
from onerl.verifier import Grade, SelfTestError, self_test
from onerl.verifier.__main__ import main


def test_the_command_prints_verdict_answer_and_rule(capsys):
    assert main([r"so \boxed{64/5}", "12.8"]) == 0
    out = capsys.readouterr().out
    assert [word for word in ("correct", "64/5", "exact") if word not in out] == []
    assert main([r"\boxed{12.7}", "12.8"]) == 1
    assert "wrong" in capsys.readouterr().out


def test_the_command_prints_the_policy(capsys):
    assert main(["--policy"]) == 0
    assert "| rule | gold |" in capsys.readouterr().out


def test_the_self_test_passes_here():
    assert self_test() > 10


def test_the_self_test_stops_a_run_with_a_broken_verifier(monkeypatch):
    monkeypatch.setattr(selftest, "grade", lambda *_: Grade(True, "x", "ok", "broken"))
    with pytest.raises(SelfTestError, match="self-test"):
        self_test()


def test_the_self_test_says_when_the_engine_is_missing(monkeypatch):
    from onerl.verifier import clear_cache, engine

    clear_cache()
    monkeypatch.setattr(engine, "ask", lambda task, seconds=1.0: ("error", 0.0))
    with pytest.raises(SelfTestError, match="mpmath"):
        self_test()
    clear_cache()
