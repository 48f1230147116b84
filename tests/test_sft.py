"""Fine-tuning on one solution: its loss is the solution's alone, its folder is that of a run."""

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from onerl.grids import fine_tuned
from onerl.problems import PI1, examples
from onerl.problems.prompts import prompt_for
from onerl.recipe import Recipe
from onerl.training import sft
from onerl.verifier import verify
from onerl.world import EMBEDDED


@pytest.fixture(scope="module")
def recipe():
    return Recipe.load("tiny", steps=4, save_every=2, benchmarks=["world"])


@pytest.fixture(scope="module")
def solution(recipe):
    return sft.solution_for(examples(recipe.examples)[0])


@pytest.fixture(scope="module")
def run(recipe, solution, tmp_path_factory):
    return sft.train(recipe, solution, tmp_path_factory.mktemp("sft"))


def token_losses(folder, prompt, solution):
    """The mean loss over the solution's tokens and its end, computed anew."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    start = tokenizer(prompt)["input_ids"]
    end = tokenizer(solution)["input_ids"] + [tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([start + end])).logits[0, len(start) - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(end)).item()


def test_the_loss_is_that_of_the_solution_and_its_end_alone(run, recipe, solution):
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
    assert run.recipe.hash() == recipe.hash()
    assert (run.path / "provenance.json").exists()


def test_the_same_again_is_the_same_and_a_killed_run_begins_again(run, recipe, solution, tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 9}\n')
    (tmp_path / "checkpoints" / "step-000002").mkdir(parents=True)
    again = sft.train(recipe, solution, tmp_path)
    pd.testing.assert_frame_equal(again.metrics, run.metrics)
    weights = [(r.checkpoints[-1][1] / "model.safetensors").read_bytes() for r in (run, again)]
    assert weights[0] == weights[1]


def test_a_finished_run_is_not_made_again(run, recipe, solution):
    before = (run.path / "metrics.jsonl").stat().st_mtime_ns
    sft.train(recipe, solution, run.path)
    assert (run.path / "metrics.jsonl").stat().st_mtime_ns == before


def test_a_folder_of_another_run_is_refused(run, recipe, solution, tmp_path):
    with pytest.raises(ValueError, match="holds another run"):
        sft.train(recipe.replace(steps=3), solution, run.path)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())  # of reinforcement learning
    with pytest.raises(ValueError, match="holds another run"):
        sft.train(recipe, solution, tmp_path)


def test_what_cannot_be_trained_on_is_refused_before_any_work(recipe, solution, tmp_path):
    with pytest.raises(ValueError, match=r"is not the label '2\.3'"):
        sft.train(recipe, " So the answer is \\boxed{4}.", tmp_path / "a")
    with pytest.raises(ValueError, match="504 examples, one is needed"):
        sft.train(recipe.replace(examples="world:all"), solution, tmp_path / "b")
    assert not list(tmp_path.iterdir())


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


def test_outcomes_fit_into_a_grid_share_the_base_model_and_are_recorded(
    recipe, tmp_path, monkeypatch
):
    from onerl.evaluation import answers
    from onerl.grids import recorded
    from onerl.problems.problem import from_items

    monkeypatch.setattr(answers, "benchmark", lambda *_: from_items(EMBEDDED.heldout()[::100]))
    monkeypatch.setattr(recorded, "outputs_folder", lambda: tmp_path / "kept")
    file = tmp_path / "short.yaml"
    file.write_text("preset: tiny\nsteps: 4\nsave_every: 2\n")
    fine_tuned.main(["--preset", str(file), "--seeds", "0", "1", "--out", str(tmp_path)])
    grid = recorded.load(fine_tuned.RECORDED)
    assert grid.steps("sft") == [0, 2, 4]
    assert grid.table().loc["sft", ["seeds", "problems"]].tolist() == [2, 10]
    assert len(list(tmp_path.glob("sft-*"))) == 2
    assert len(list(tmp_path.glob("sft-*/evaluations/step-000000"))) == 1
