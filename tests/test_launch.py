"""A run that a notebook starts as a program with several processes."""

import pytest
from small_models import short_recipe

import onerl
from onerl.training.launch import launch


@pytest.fixture(scope="module")
def recipe(tiny_model_dir):
    return short_recipe(
        tiny_model_dir, steps=2, prompts_per_step=2, num_generations=2, max_completion_length=8
    )


def test_two_processes_are_started_and_followed_and_a_finished_run_is_not(recipe, tmp_path, capsys):
    """One test, because a launch takes ten seconds or more."""
    run = onerl.train(recipe, tmp_path, processes=2)
    assert run.done
    assert list(run.metrics["step"]) == [1, 2]
    assert [line[:8] for line in capsys.readouterr().out.splitlines()] == ["step 1/2", "step 2/2"]
    assert "done: " in (tmp_path / "launch.log").read_text()
    log = (tmp_path / "launch.log").stat().st_size
    assert onerl.train(recipe, tmp_path, processes=2).done  # a finished run is not launched again
    assert (tmp_path / "launch.log").stat().st_size == log


def test_the_programs_refusal_is_this_calls_error(recipe, tmp_path, monkeypatch):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho other\necho 'error: beta = 3: no'\nseq 99\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("onerl.training.launch.sys.executable", str(program))
    with pytest.raises(ValueError, match=r"^beta = 3: no$"):
        launch(recipe, tmp_path / "run", processes=2)


def test_a_failed_program_shows_the_end_of_its_log(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("onerl.training.launch.sys.executable", "/bin/false")
    with pytest.raises(RuntimeError, match=r"exit status 1; the end of .*launch\.log"):
        launch(recipe, tmp_path, processes=2)


@pytest.mark.parametrize("processes", [0, -1, True, 1.5, "2"])
def test_the_number_of_processes_is_checked_first(recipe, tmp_path, processes):
    with pytest.raises(ValueError, match=r"processes = .*: must be a whole number, at least 1"):
        launch(recipe, tmp_path / "run", processes=processes)
    assert not (tmp_path / "run").exists()


def test_an_unknown_configuration_names_those_that_exist(recipe, tmp_path):
    with pytest.raises(ValueError, match=r"config = 'fdsp': no such file; allowed: ddp, deepspee"):
        onerl.train(recipe, tmp_path / "run", processes=2, config="fdsp")
    assert not (tmp_path / "run").exists()
