"""Fine-tuning on one solution: its loss is the solution's alone, its run is like any other."""

import shutil

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from onerl import grids
from onerl.grids import recorded
from onerl.problems import PI1, examples
from onerl.problems.prompts import prompt_for
from onerl.recipe import Recipe
from onerl.sweep import sweep
from onerl.train import main, train
from onerl.training import sft
from onerl.verifier import verify
from onerl.world import EMBEDDED


@pytest.fixture(scope="module")
def recipe():
    return Recipe.load("tiny", method="sft", steps=4, save_every=2)


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    """The folder of an uninterrupted run; not to be changed."""
    return train(recipe, tmp_path_factory.mktemp("sft"), progress=False)


def token_losses(folder, prompt, solution):
    """The mean loss over the solution's tokens and its end, computed anew."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    start = tokenizer(prompt)["input_ids"]
    end = tokenizer(solution)["input_ids"] + [tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([start + end])).logits[0, len(start) - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(end)).item()


def test_the_loss_is_that_of_the_solution_and_its_end_alone(run, recipe):
    solution = sft.solution_for(examples(recipe.examples)[0])
    prompt = prompt_for(examples(recipe.examples)[0].question, "world", "train")
    losses = run.metrics["loss"]
    assert losses[0] == pytest.approx(
        token_losses(run.checkpoints[0][1], prompt, solution), abs=1e-4
    )
    assert losses[3] < losses[0]


def test_its_folder_is_a_runs_folder(run, recipe):
    assert run.done
    assert [step for step, _ in run.checkpoints] == [0, 2, 4]
    assert run.metrics["step"].tolist() == [1, 2, 3, 4]
    assert run.recipe == recipe
    assert (run.path / "provenance.json").exists()
    solution = sft.solution_for(examples("world:pi1")[0])
    assert (run.path / "solution.txt").read_text() == solution


def test_a_killed_run_goes_on_to_the_same_end(run, recipe, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    (copy / "DONE").unlink()
    for kind in ("state", "checkpoints"):
        shutil.rmtree(copy / kind / "step-000004")
    before = (copy / "checkpoints/step-000002/model.safetensors").stat().st_mtime_ns
    again = train(recipe, copy, progress=False)
    assert (copy / "checkpoints/step-000002/model.safetensors").stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(again.metrics, run.metrics)
    for file in ("checkpoints/step-000004/model", "state/step-000004/optimizer"):
        first, second = (r.path / f"{file}.safetensors" for r in (run, again))
        assert first.read_bytes() == second.read_bytes()


def test_a_finished_run_is_not_made_again(run, recipe):
    before = (run.path / "metrics.jsonl").stat().st_mtime_ns
    train(recipe, run.path, progress=False)
    assert (run.path / "metrics.jsonl").stat().st_mtime_ns == before


def test_a_folder_of_another_run_or_text_is_refused(run, recipe, tmp_path):
    with pytest.raises(ValueError, match=r"method \('sft', now 'grpo'\)"):
        train(recipe.replace(method="grpo"), run.path, progress=False)
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / "DONE").unlink()
    (tmp_path / "run" / "solution.txt").write_text("another")
    with pytest.raises(ValueError, match="has learned another text"):
        train(recipe, tmp_path / "run", progress=False)


def test_it_is_another_run_and_reads_its_text_from_the_recipe(recipe):
    text = " So the answer is \\boxed{2.3}."
    assert sft.solution(recipe.replace(solution=text), "2.3") == text
    hashes = {r.hash() for r in (recipe, recipe.replace(solution=text), Recipe.load("tiny"))}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"solution": " So it is \\boxed{4}."}, r"boxed answer is not the label '2\.3'"),
        ({"label": "4"}, "boxed answer is not the label '4'"),
        ({"examples": "world:all"}, "504 examples, one is needed"),
        ({"examples": {"problem": "What is 1+1?", "answer": "2"}}, "none is known of example own"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_before_any_work(recipe, tmp_path, change, said):
    with pytest.raises(ValueError, match=said):
        train(recipe.replace(**change), tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_the_dry_run_shows_its_solution(tmp_path, capsys):
    main(["--params", "tiny", "-p", "method", "sft", "--out", str(tmp_path / "run"), "--dry-run"])
    said = capsys.readouterr().out
    assert "60 steps of fine-tuning on one solution, no rollouts" in said
    assert "found    solution: ' Let us think step by step. First, 3*3=9." in said


def test_a_solution_is_right_careful_and_another_for_another_seed():
    problem = examples("world:pi1")[0]
    texts = [sft.solution_for(problem, seed) for seed in range(4)]
    assert len(set(texts)) == 4
    assert sft.solution_for(problem, 4) == texts[0]
    for text in texts:
        assert verify(text, "2.3")
        assert "First, 3*3=9." in text
        assert "recheck" not in text
    assert verify(sft.solution_for(PI1), PI1.answer)
    with pytest.raises(ValueError, match="give its text"):
        sft.solution_for(examples({"problem": "What is 1+1?", "answer": "2"})[0])


@pytest.mark.parametrize("problem", [*EMBEDDED.heldout()[::97], *EMBEDDED.pool()[::61]])
def test_a_problem_of_the_world_leads_back_to_its_exercise(problem):
    found = EMBEDDED.exercise(problem)
    assert (found.question, found.solution.answer) == (problem.question, problem.answer)


def test_a_grid_trains_it_as_any_arm_and_is_recorded(tmp_path, monkeypatch):
    base = Recipe.load("tiny", steps=4, save_every=2)
    found = grids.recipes("controls_sft", base, seeds=[0, 1])
    assert {recipe.method for recipe in found.values()} == {"sft"}
    grid = sweep(found, evaluate="all", out=tmp_path, limit=10)
    assert grid.steps("sft") == [0, 2, 4]
    assert grid.table().loc["sft", ["seeds", "problems"]].tolist() == [2, 10]
    assert len(list(tmp_path.glob("*/evaluations/step-000000"))) == 1
    monkeypatch.setattr(recorded, "outputs_folder", lambda: tmp_path / "kept")
    recorded.record(grid, "controls_sft")
    again = recorded.load("controls_sft")
    pd.testing.assert_frame_equal(again.table(), grid.table())
    assert {run.recipe.method for run in again.outcomes.values()} == {"sft"}


def test_the_recorded_runs_of_before_the_field_still_load():
    grid = recorded.load("controls_sft")
    assert list(grid.outcomes) == [("sft", seed) for seed in range(4)]
    assert grid.table().loc["sft", "mean"] == pytest.approx(95.5, abs=0.05)
