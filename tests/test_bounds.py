"""What no run could mean is refused in one line, before any work: field, value, what is allowed."""

from itertools import pairwise

import pytest
import yaml

import onerl
from onerl import grids
from onerl.parameters import RecipeError, shown
from onerl.recipe import Recipe
from onerl.sweep import sweep

NAN, INF = float("nan"), float("inf")
FLOATS = [n for n, field in Recipe.model_fields.items() if field.annotation is float]
WHOLE = [
    *("steps", "save_every", "seed", "prompts_per_step", "num_generations", "max_prompt_length"),
    *("max_completion_length", "updates_per_step", "micro_batch_tokens", "lora_rank"),
    *("vllm_tensor_parallel", "token_budget", "threads"),
]


def refusal(**fields) -> str:
    with pytest.raises(RecipeError) as error:
        Recipe.load("tiny", **fields)
    return str(error.value)


@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e30, "nan", "inf", ".nan"])
@pytest.mark.parametrize("name", FLOATS)
def test_a_number_is_finite_and_of_a_size_that_means_something(name, value):
    said = refusal(**{name: value})
    assert said.startswith(f"{name} = ")
    assert "must be a number" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "value", [10**12, "1e12", -1, 1e300, INF, pytest.param(10**5000, id="10^5000")]
)
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_has_an_upper_bound(name, value):
    said = refusal(**{name: value})
    assert said.startswith(f"{name} = ")
    assert "at most" in said or "under" in said
    assert len(said) < 300


@pytest.mark.parametrize(("name", "value"), [("threads", 10**6), ("lora_rank", 10**6)])
def test_what_ended_a_process_is_refused(name, value):
    assert "at most" in refusal(**{name: value})


@pytest.mark.parametrize("value", [[], (), "", "world,world", ["world", "math500", "world"]])
def test_benchmarks_are_some_and_differ(value):
    said = refusal(benchmarks=value)
    assert said.startswith("benchmarks")
    assert "must be a list" in said


@pytest.mark.parametrize("value", [NAN, "nan", "NaN", ".nan", "-nan", INF, "\ud800", "12\udfff"])
def test_a_label_is_a_text_that_can_be_an_answer(value):
    assert refusal(label=value).startswith("label = ")
    assert refusal(examples={"problem": "1+1?", "answer": value}).startswith("examples = ")


@pytest.mark.parametrize("name", ["model", "label", "examples", "vllm_url", "preset", "solution"])
def test_half_a_surrogate_pair_is_no_text(name):
    assert refusal(**{name: "a\udc80b"}).encode().startswith(f"{name} = ".encode())


@pytest.mark.parametrize("value", ["", "  ", {"problem": "", "answer": "2"}])
def test_examples_are_not_empty(value):
    assert "empty" in refusal(examples=value)


@pytest.mark.parametrize("field", ["nonsense", "examples", "steps", "model", "benchmarks"])
def test_a_value_of_any_size_is_shown_in_a_short_line(field, tmp_path):
    file = tmp_path / "bomb.yaml"
    levels = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghi")]
    file.write_text("\n".join(["a: &a [x, x, x, x]", *levels, f"{field}: *i"]))
    value = yaml.safe_load(file.read_text())[field]  # 170 million values, were it written out
    assert max(len(line) for line in refusal(**{field: value}).splitlines()) < 1500
    assert len(shown(value)) <= 400
    assert len(refusal(**{"x" * 10**6: 1})) < 1500


@pytest.mark.parametrize("empty", [[], ()])
def test_a_grid_without_seeds_or_arms_is_refused(empty):
    with pytest.raises(RecipeError, match=r"seeds = .*at least one"):
        grids.recipes("ablation", seeds=empty)
    with pytest.raises(RecipeError, match=r"arms = .*at least one"):
        grids.recipes("ablation", arms=empty)


def test_a_sweep_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"recipes = {}: .*at least one"):
        sweep({}, out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_completion_length": 500}, "max_completion_length = 500: .*512 positions"),
        ({"max_completion_length": 10**6}, "max_completion_length = 1000000: .*512 positions"),
        (
            {"prompts_per_step": 10**6, "num_generations": 4096},
            r"prompts_per_step \* num_generations = 1000000 \* 4096: .* GB",
        ),
    ],
)
def test_a_run_that_suits_neither_model_nor_memory_is_refused_before_work(fields, named, tmp_path):
    with pytest.raises(ValueError, match=named):
        onerl.train(Recipe.load("tiny", **fields), tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()
    assert not (tmp_path / "checkpoints").exists()


def test_the_longest_answer_that_the_model_has_positions_for_is_allowed():
    from onerl.training.memory import check_room

    recipe = Recipe.load("tiny", max_completion_length=472)
    check_room(recipe, prompt=40)
    with pytest.raises(ValueError, match=r"at most 471$"):
        check_room(recipe, prompt=41)
