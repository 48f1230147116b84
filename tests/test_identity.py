"""A result belongs to its inputs, and every file of it is as it was written, or it is said."""

import json
import logging
import shutil

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file
from small_models import short_recipe
from test_train import rows, sums

from onerl.recipe import Recipe
from onerl.runs import Run, provenance
from onerl.runs.claim import same_recipe
from onerl.train import begun_with, train

OWN = "- {problem: 'What is 1+1?', answer: '2'}\n"


@pytest.fixture(scope="module")
def place(tiny_model_dir, tmp_path_factory):
    """A folder with a model and an examples file of one's own, to be changed by copies of it."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copytree(tiny_model_dir, folder / "model")
    (folder / "own.yaml").write_text(OWN)
    train(recipe_in(folder), folder / "run", progress=False)
    return folder


def recipe_in(folder, **changes) -> Recipe:
    return short_recipe(
        folder / "model",
        examples=str(folder / "own.yaml"),
        steps=6,
        learning_rate=1e-3,
        temperature=1.0,
        token_budget=100,
        **changes,
    )


@pytest.fixture
def inputs(place):
    """The inputs, brought back at the end: a recipe names them by their place."""
    kept = {p: p.read_bytes() for p in (place / "own.yaml", place / "model/model.safetensors")}
    yield place
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.fixture
def run(place, tmp_path):
    """A copy of the finished run."""
    shutil.copytree(place / "run", tmp_path / "run")
    return Run(tmp_path / "run")


def unfinish(run, last=6):
    """As if it had been killed after `last` steps."""
    for name in ("DONE", "manifest.json"):
        (run.path / name).unlink()
    for kind in ("state", "checkpoints", "rollouts"):
        for path in (run.path / kind).iterdir():
            if int(path.stem[5:]) > last:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def other_problem(place):
    (place / "own.yaml").write_text("- {problem: 'What is 5+5?', answer: '10'}\n")


def other_answer(place):
    (place / "own.yaml").write_text("- {problem: 'What is 1+1?', answer: '3'}\n")


def other_weights(place):
    file = place / "model/model.safetensors"
    save_file({k: v * 1.5 for k, v in load_file(file).items()}, file, {"format": "pt"})


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    ("change", "named"),
    [(other_problem, "examples"), (other_answer, "examples"), (other_weights, "weights")],
)
def test_a_run_of_other_inputs_is_neither_returned_nor_resumed(inputs, run, change, named, done):
    if not done:
        unfinish(run, 4)
    before = sums(run.path)
    change(inputs)
    with pytest.raises(ValueError, match=rf"{named} \(\w{{12}} then, \w{{12}} now\).*, or choose"):
        train(recipe_in(inputs), run.path, progress=False)
    assert sums(run.path) == before


def test_a_finished_run_whose_inputs_are_gone_is_returned(inputs, run):
    (inputs / "own.yaml").unlink()
    (inputs / "model/model.safetensors").unlink()
    assert train(recipe_in(inputs), run.path, progress=False).done


def test_a_run_from_before_the_sums_is_known_by_its_prompts(inputs, run):
    kept = provenance.read(run.path)
    old = {name: kept[name] for name in ("recipe_hash", "prompt_sha256", "started", "git")}
    (run.path / "provenance.json").write_text(json.dumps(old))
    for file in [*run.path.glob("checkpoints/*/sums.json"), run.path / "manifest.json"]:
        file.unlink()
    assert train(recipe_in(inputs), run.path, progress=False).done
    other_problem(inputs)
    with pytest.raises(ValueError, match="other inputs, by sha256: prompts;"):
        train(recipe_in(inputs), run.path, progress=False)


def test_settings_that_change_the_bits_stay_as_the_run_began(place, run, caplog):
    unfinish(run, 4)
    other = recipe_in(place).replace(token_budget=20, threads=2)
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(other, run.path, progress=False)
    assert "token_budget = 20: the run began with 100, which is kept" in caplog.text
    assert "threads = 2: the run began with 1, which is kept" in caplog.text
    assert sums(run.path) == sums(place / "run")
    assert provenance.read(run.path)["resumed"][-1]["used"]["token_budget"] == 100


def test_another_number_of_processes_is_said_to_change_the_bits(place, run, caplog, monkeypatch):
    monkeypatch.setattr("onerl.training.processes.count", lambda: 2)
    with caplog.at_level(logging.WARNING, logger="onerl"):
        begun_with(recipe_in(place), run.path)
    assert "2 processes: the run began with 1, so its bits will not be those" in caplog.text


def test_every_start_is_kept(place, run):
    first = provenance.read(run.path)
    (run.path / "provenance.json").write_text(json.dumps(first | {"python": "2.7", "git": "old"}))
    for left in (4, 2):
        unfinish(run, left)
        train(recipe_in(place), run.path, progress=False)
    found = provenance.read(run.path)
    assert (found["python"], found["git"]) == ("2.7", "old")
    assert [set(start) >= {"started", "command", "git"} for start in found["resumed"]] == [True] * 2


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file):
    file.write_bytes(file.read_bytes()[:-7])


def zeros(file):
    file.write_bytes(bytes(file.stat().st_size))


def gone(file):
    shutil.rmtree(file) if file.is_dir() else file.unlink()


HEALED = [
    ("checkpoints/step-000006", gone),
    ("checkpoints/step-000006/model.safetensors", flip),
    ("checkpoints/step-000006/config.json", gone),
    ("checkpoints/step-000006/sums.json", cut),
    ("checkpoints/step-000000/model.safetensors", cut),
    ("checkpoints/step-000000", gone),
    ("rollouts/step-000006.parquet", cut),
    ("rollouts/step-000006.parquet", gone),
    ("metrics.jsonl", flip),
    ("metrics.jsonl", gone),
    ("provenance.json", cut),
    ("provenance.json", zeros),
    ("recipe.yaml", cut),
    ("recipe.yaml", zeros),
    ("recipe.yaml", gone),
    ("checkpoints/step-000006/sums.json", flip),
    ("manifest.json", cut),
]


@pytest.mark.parametrize(
    ("name", "how"), HEALED, ids=lambda value: getattr(value, "__name__", value)
)
def test_damage_to_a_finished_run_is_named_and_made_again(place, run, caplog, name, how):
    how(run.path / name)
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(recipe_in(place), run.path, progress=False)
    assert name in caplog.text
    assert run.verify() == []
    assert sums(run.path) == sums(place / "run")
    assert rows(run.path) == rows(place / "run")


@pytest.mark.parametrize(
    "name", ["checkpoints/step-000002/model.safetensors", "rollouts/step-000002.parquet"]
)
@pytest.mark.parametrize("done", [True, False])
def test_damage_that_no_state_can_make_again_is_named(place, run, caplog, name, done):
    cut(run.path / name)
    if not done:
        unfinish(run)
    with caplog.at_level(logging.WARNING, logger="onerl"):
        assert train(recipe_in(place), run.path, progress=False).done
    assert f"{name} is missing or damaged, and no state before it" in caplog.text
    assert run.verify() == [name]


def test_a_result_that_cannot_be_made_again_is_refused(place, run):
    gone(run.path / "state")
    assert train(recipe_in(place), run.path, progress=False).done  # nothing needs them
    cut(run.path / "checkpoints/step-000006/model.safetensors")
    before = sums(run.path)
    with pytest.raises(ValueError, match="no whole state is left to make it again from; choose"):
        train(recipe_in(place), run.path, progress=False)
    assert sums(run.path) == before


def test_a_full_check_finds_a_flipped_bit_in_any_file(run):
    assert run.verify() == []
    flipped = ["checkpoints/step-000002/model.safetensors", "rollouts/step-000004.parquet"]
    flipped += ["state/step-000004/optimizer.safetensors", "metrics.jsonl", "provenance.json"]
    for name in flipped:
        flip(run.path / name)
    assert sorted(run.verify()) == sorted(flipped)


def test_a_recipe_of_another_run_that_is_damaged_is_refused(place, run):
    cut(run.path / "recipe.yaml")
    with pytest.raises(ValueError, match=r"its recipe.yaml is lost or damaged"):
        same_recipe(run.path, recipe_in(place, seed=5))


@pytest.mark.parametrize("text", ["", "\0\0", "a: [", "- 1\n"])
def test_a_recipe_that_is_none_is_one_line(place, run, text):
    (run.path / "recipe.yaml").write_text(text)
    (run.path / "provenance.json").unlink()
    with pytest.raises(ValueError, match=r"^out = [^\n]*$"):
        train(recipe_in(place), run.path, progress=False)


def test_a_field_of_a_newer_version_is_named(place, run):
    file = run.path / "recipe.yaml"
    file.write_text(file.read_text() + "shiny: 1\n")
    with pytest.raises(ValueError, match="its recipe has the field shiny, which this version of"):
        train(recipe_in(place), run.path, progress=False)


@pytest.mark.parametrize("name", ["metrics.jsonl", "checkpoints"])
def test_a_folder_in_place_of_a_file_is_named(place, run, name):
    gone(run.path / name)
    (run.path / name).mkdir() if name == "metrics.jsonl" else (run.path / name).write_text("")
    with pytest.raises(ValueError, match=f"{name} is a (file|folder), and a run has something"):
        train(recipe_in(place), run.path, progress=False)


def test_a_manifest_that_names_nothing_is_no_state(place, run, caplog):
    unfinish(run)
    (run.path / "state/step-000006/manifest.json").write_text("{}")
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(recipe_in(place), run.path, progress=False)
    assert "manifest.json is damaged" in caplog.text
    assert sums(run.path) == sums(place / "run")


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--token", "abc123"], ["--token", "***"]),
        (["--api-key=abc123", "--out", "d"], ["--api-key=***", "--out", "d"]),
        (["-p", "vllm_url", "http://me:pw@host:8000"], ["-p", "vllm_url", "http://***@host:8000"]),
        (["https://host/?key=abc&step=1"], ["https://host/?key=***&step=1"]),
        (["hf_AbCdEfGhIjKlMnOp"], ["***"]),
        (["-p", "HF_TOKEN", "abc"], ["-p", "HF_TOKEN", "***"]),
        (["-p", "token_budget", "64", "-p", "micro_batch_tokens", "9"], None),
        (["--params", "tiny", "-p", "label", "12.8"], None),
    ],
)
def test_secrets_of_a_command_are_not_kept(words, kept):
    assert provenance.masked(words) == (words if kept is None else kept)


def test_a_password_in_an_address_is_in_no_file_of_the_run(place, tmp_path):
    recipe = recipe_in(place, vllm_url="http://me:s3cr3t@host:1").replace(steps=1)
    run = train(recipe, tmp_path / "run", progress=False)
    texts = [p.read_text("utf-8") for p in run.path.rglob("*") if p.suffix in (".json", ".yaml")]
    assert not any("s3cr3t" in text for text in texts)
    assert run.recipe.hash() == recipe.hash()
    assert train(recipe, run.path, progress=False).done


def test_a_zero_has_no_sign():
    assert Recipe(beta=-0.0).hash() == Recipe(beta=0.0).hash() == Recipe(beta="-0").hash()


def test_a_key_that_is_there_twice_is_named_with_its_line(tmp_path):
    (tmp_path / "r.yaml").write_text("preset: tiny\nbeta: 1\nsteps: 3\nbeta: 2\n")
    with pytest.raises(ValueError, match=r"r.yaml: cannot be read as YAML: line 4: the key 'beta'"):
        Recipe.load(tmp_path / "r.yaml")


def test_aliases_that_explode_are_refused_at_once(tmp_path):
    lines = ["preset: tiny", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    for text in ("\n".join(lines), "preset: tiny\na: &a [*a]\n", "[" * 5000):
        (tmp_path / "r.yaml").write_text(text)
        with pytest.raises(ValueError, match="cannot be read as YAML"):
            Recipe.load(tmp_path / "r.yaml")


def test_evaluations_are_kept_and_shared_by_step_and_name(place, run, monkeypatch):
    asked = []

    class Told:
        table = pd.DataFrame({"benchmark": ["world"], "metric": ["accuracy"], "value": [50.0]})

    def evaluate(model, benchmarks, *, out, **how):
        asked.append((model[0], tuple(benchmarks), str(out.relative_to(run.path)), how))
        return Told()

    monkeypatch.setattr("onerl.evaluate", evaluate)
    assert list(run.evaluate(benchmarks=["world"])) == [6]
    assert list(run.evaluate("all", ["world"])) == [0, 2, 4, 6]
    assert list(run.evaluate([6, 0, 6], ["world"], name="ceiling", prompting="So")) == [0, 6]
    assert asked[0] == (6, ("world",), "evaluations/step-000006", asked[0][3])
    assert asked[0][3]["protocol"].max_completion_length == 8
    assert asked[-1][2:] == ("evaluations/ceiling/step-000006", asked[-1][3] | {"prompting": "So"})
    with pytest.raises(ValueError, match=r"has no checkpoint of step 5; it has 0, 2, 4, 6"):
        run.evaluate(5)
    with pytest.raises(ValueError, match="steps = 'lst': allowed are last, all, a step"):
        run.evaluate("lst")
    gone(run.path / "checkpoints/step-000006")
    with pytest.raises(ValueError, match="no checkpoint of step 6"):  # never another for the last
        run.evaluate("last")
    flip(run.path / "checkpoints/step-000004/model.safetensors")
    with pytest.raises(ValueError, match=r"step-000004/model.safetensors is damaged"):
        run.evaluate(4)
