"""A number that is not finite ends a run at once, in one line, and is never saved."""

import json
import re

import pytest
import torch
from poison import KINDS, in_one_line, train_poisoned, train_with_engine
from safetensors.torch import load_file
from together import together

import onerl
from onerl.recipe import Recipe
from onerl.runs import Run
from onerl.training import checkpoints


@pytest.fixture(scope="module")
def recipe(tiny_model_dir):
    """Three steps, of which the second and the last are saved."""
    return Recipe(
        preset="tiny",
        model=str(tiny_model_dir),
        prompt="world",
        examples={"problem": "What is 1+1?", "answer": "2"},
        reward="random",
        steps=3,
        save_every=2,
        prompts_per_step=2,
        num_generations=4,
        max_completion_length=8,
        temperature=1.0,
        learning_rate=3e-5,
        threads=1,
        backend="torch",
    )


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    return onerl.train(recipe, tmp_path_factory.mktemp("whole"), progress=False)


def strict_rows(run):
    def refuse(token):
        raise ValueError(f"{token} is no JSON")

    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def check_stopped(run, step, kind):
    assert not run.done
    saved = [number for number, _ in run.checkpoints]
    assert saved == [number for number in (0, 2) if number < step]
    for _, folder in run.checkpoints:
        weights = load_file(folder / "model.safetensors")
        assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    states = checkpoints.whole_states(run.path)
    assert (states[0][0] if states else 0) == saved[-1]
    rows = strict_rows(run)
    assert [row["step"] for row in rows] == list(range(1, step + 1))
    if not kind.startswith("moment"):
        name = "grad_norm" if kind.startswith("gradient") else "update_norm"
        assert rows[-1][name] is None
        assert run.health.verdict == "non-finite"
        assert f"step {step}" in run.health.sentence


STEPS = (1, 2, 3)  # neither saved nor last, saved, last
CASES = [(kind, step) for kind in KINDS for step in STEPS if not kind.startswith("moment")]
CASES += [("moment inf", 2), ("moment inf", 3)]  # moments are looked at when they are saved


@pytest.mark.parametrize(("kind", "step"), CASES)
def test_it_ends_the_run_and_is_not_saved(recipe, whole, tmp_path, kind, step):
    with pytest.raises(ValueError, match=f"^step {step}: [^\n]*not finite[^\n]*$"):
        train_poisoned(recipe, tmp_path, kind, step)
    run = Run(tmp_path)
    check_stopped(run, step, kind)
    onerl.train(recipe, tmp_path, progress=False)  # without what went wrong it goes on as ever
    ours, theirs = (
        load_file(folder.checkpoints[-1][1] / "model.safetensors") for folder in (run, whole)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("kind", ["gradient inf", "weight nan"])
def test_adapters_are_guarded_as_weights_are(recipe, tmp_path, kind):
    lora = recipe.replace(lora_rank=2)
    with pytest.raises(ValueError, match=r"^step 3: not finite: "):
        train_poisoned(lora, tmp_path, kind, 3)
    check_stopped(Run(tmp_path), 3, kind)


@pytest.mark.parametrize(
    ("kind", "rank"),
    [
        *[("gradient inf", 0), ("gradient nan", 1), ("weight nan", 0), ("weight nan", 1)],
        ("moment inf", 0),  # of the process that writes
    ],
)
def test_what_one_process_meets_ends_all_of_them(recipe, tmp_path, kind, rank):
    said = tmp_path / "said"
    said.mkdir()
    arguments = train_poisoned, recipe, tmp_path / "run", kind, 2, rank, said
    assert together(in_one_line, *arguments) == [1, 1]
    assert "not finite" in (said / "rank-0").read_text()
    check_stopped(Run(tmp_path / "run"), 2, kind)


def test_fine_tuning_is_guarded_as_well(recipe, tmp_path, monkeypatch):
    from onerl.training.sft import SolutionTrainer

    compute = SolutionTrainer.compute_loss

    def spoilt(self, *arguments, **others):
        found = compute(self, *arguments, **others)
        factor = float("nan") if self.state.global_step == 2 else 1.0
        return found[0] * factor if isinstance(found, tuple) else found * factor

    monkeypatch.setattr(SolutionTrainer, "compute_loss", spoilt)
    solved = recipe.replace(method="sft", solution="1+1 is \\boxed{2}.")
    with pytest.raises(ValueError, match=r"^step 3: not finite: loss "):
        onerl.train(solved, tmp_path, progress=False)
    run = Run(tmp_path)
    assert [step for step, _ in run.checkpoints] == [0, 2]
    assert strict_rows(run)[-1]["loss"] is None
    assert run.health.verdict == "non-finite"
    monkeypatch.undo()
    assert onerl.train(solved, tmp_path, progress=False).health.verdict == "healthy"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_reward_that_is_no_number_ends_the_run(recipe, tmp_path, monkeypatch, value):
    from onerl.training import trainer

    made = trainer.reward_function(recipe)

    def broken(*arguments, **others):
        return [value, *made(*arguments, **others)[1:]]

    broken.__name__ = "broken"
    monkeypatch.setattr(trainer, "reward_function", lambda _: broken)
    with pytest.raises(ValueError, match=r"^step 1: not finite: reward .*must be a finite number$"):
        onerl.train(recipe, tmp_path, progress=False)
    assert strict_rows(Run(tmp_path))[0]["reward"] is None


ENGINES = {  # what an engine's log-probabilities are off by, and what the run says
    "lost": (-0.3, r"sampler_mismatch = 0\.3 is over max_sampler_mismatch = 0\.1; "),
    "nan": (float("nan"), r"not finite: sampler_mismatch \(nan\); "),
    "inf": (-float("inf"), r"not finite: sampler_mismatch \(inf\); "),
}
ADVICE = r"[^\n]*vllm_sleep = false[^\n]*dtype[^\n]*version of vLLM[^\n]*$"


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("step", STEPS)
def test_an_engine_that_samples_from_other_weights_ends_the_run(
    recipe, whole, tmp_path, kind, step
):
    shift, said = ENGINES[kind]
    with pytest.raises(ValueError, match=f"^step {step}: {said}{ADVICE}"):
        train_with_engine(recipe, tmp_path, shift, step)
    run = Run(tmp_path)
    saved = [0] if step < 3 else [0, 2]  # a step that is saved is not, when it is the wrong one
    assert [number for number, _ in run.checkpoints] == saved
    assert [number for number, _ in checkpoints.whole_states(run.path)] == saved[1:]
    assert len(list((run.path / "rollouts").glob("*"))) == len(saved) - 1
    assert len(strict_rows(run)) == step
    onerl.train(recipe.replace(vllm_sleep=False), tmp_path, progress=False)  # what was advised
    ours, theirs = (
        load_file(folder.checkpoints[-1][1] / "model.safetensors") for folder in (run, whole)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("rank", [0, 1])
def test_the_engine_of_one_process_ends_all_of_them(recipe, tmp_path, kind, rank):
    said = tmp_path / "said"
    said.mkdir()
    shift, message = ENGINES[kind]
    arguments = train_with_engine, recipe, tmp_path / "run", shift, 2, rank, said
    assert together(in_one_line, *arguments) == [1, 1]
    message = message.replace(r"0\.3 is", r"0\.\d+ is")  # the mean of both
    for file in said.iterdir():
        assert re.match(f"step 2: {message}{ADVICE}", file.read_text())
    assert [number for number, _ in Run(tmp_path / "run").checkpoints] == [0]


@pytest.mark.parametrize(("bound", "ends"), [(0.31, False), (0.29, True)])
def test_how_far_the_engine_may_be_off_is_the_recipes_and_no_other_run(
    recipe, tmp_path, bound, ends
):
    allowed = recipe.replace(max_sampler_mismatch=bound)
    assert allowed.hash() == recipe.hash()
    if ends:
        with pytest.raises(ValueError, match=r"is over max_sampler_mismatch = 0\.29"):
            train_with_engine(allowed, tmp_path, 0.3, 1)
    else:
        train_with_engine(allowed, tmp_path, 0.3, 1)
        assert Run(tmp_path).metrics["sampler_mismatch"].tolist() == pytest.approx([0.3] * 3)
