"""A recipe says what a run is, refuses what it does not know, and survives being written down."""

import csv
import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from onerl.parameters import Whole, params_folder
from onerl.recipe import Recipe, RecipeError, _field, labels_of, presets

each_preset = pytest.mark.parametrize("name", presets())


@each_preset
def test_a_preset_file_says_its_name_first_and_what_differs_from_the_defaults(name):
    text = (params_folder() / f"{name}.yaml").read_text()
    keys = re.findall(r"^(\w+):", text, flags=re.MULTILINE)
    values, defaults = Recipe.load(name).model_dump(), Recipe().model_dump()
    differ = [field for field in values if values[field] != defaults[field] and field != "preset"]
    assert keys == ["preset", *differ]
    assert Recipe.load(name).preset == name


# fields that came after the hashes
SINCE = {"method", "solution", "critic_learning_rate", "max_sampler_mismatch"}


@each_preset
def test_the_values_of_a_preset_are_those_written_down(name):
    """Whatever its file leaves to the defaults; a field that was added later is left out."""
    recipe = Recipe.load(name)
    values = recipe.model_dump(mode="json", exclude=SINCE)
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
    written = json.loads((Path(__file__).parent / "recipe_hashes.json").read_text())
    assert digest == written["values of the presets"][name]


def test_a_knob_that_is_added_later_is_one_line_and_moves_no_run(tmp_path):
    class Longer(Recipe):
        knob: Whole = _field(3, later=True, ge=0)

    assert Longer().hash() == Recipe().hash() != Longer(knob=4).hash()
    assert Longer(preset="tiny", token_budget=5, knob=4).hash() == Longer(knob=4).hash()
    with pytest.raises(RecipeError, match=r"knob = -1: must be a whole number, at least 0"):
        Longer(knob=-1)
    (tmp_path / "longer.yaml").write_text(Longer(knob=4).to_yaml())
    assert Longer.load(tmp_path / "longer.yaml").knob == 4
    assert Longer.from_notebook({"preset": "tiny", "knob": "7"})[0].knob == 7


@pytest.mark.parametrize("name", sorted({*presets()} - {"tiny"}))  # tiny's values are ours
def test_every_value_of_a_preset_says_where_it_is_from(name):
    for line in (params_folder() / f"{name}.yaml").read_text().splitlines():
        assert line.startswith(("#", "preset:")) or "  # " in line, line


def test_the_defaults_are_the_papers_preset():
    assert Recipe() == Recipe.load("qwen2.5-math-1.5b")


def test_every_field_has_a_line_of_help_and_the_papers_ones_a_source():
    for name, field in Recipe.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description
        assert field.json_schema_extra["source"] or field.json_schema_extra["paper"] is None
    with_source = [n for n, f in Recipe.model_fields.items() if f.json_schema_extra["source"]]
    assert {"learning_rate", "temperature", "beta", "updates_per_step"} <= set(with_source)


@each_preset
def test_written_and_read_back_it_is_the_same(name, tmp_path):
    recipe = Recipe.load(name, seed=7, label="12.80", examples={"problem": "2+3", "answer": "5.0"})
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.to_yaml())
    assert Recipe.load(file) == recipe
    assert Recipe.load(file, seed=8) == recipe.replace(seed=8)


labels = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(labels)
def test_any_label_survives_yaml(label):
    import tempfile

    recipe = Recipe.load("tiny", label=label)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(recipe.to_yaml())
        file.flush()
        assert Recipe.load(file.name).label == label


def test_a_file_of_ones_own_starts_from_a_preset_and_keeps_the_text_of_numbers(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("preset: tiny\nlabel: 12.80\nlearning_rate: 1e-5\nsteps: 10\n")
    recipe = Recipe.load(file)
    assert recipe == Recipe.load("tiny", label="12.80", learning_rate=1e-5, steps=10)
    assert recipe.label == "12.80"


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"label": 12.8}, "12.8"),
        ({"label": 4}, "4"),
        ({"label": "12.80"}, "12.80"),
        ({"label": None}, None),
        ({"steps": 10.0}, 10),
        ({"steps": "10"}, 10),
        ({"learning_rate": "1e-6"}, 1e-6),
        ({"learning_rate": 0}, 0.0),
        ({"benchmarks": "world"}, ("world",)),
        ({"benchmarks": ["math500", "aime24"]}, ("math500", "aime24")),
        ({"threads": None}, None),
        ({"examples": {"problem": "2+3?", "answer": 5}}, {"problem": "2+3?", "answer": "5"}),
    ],
)
def test_values_take_the_type_of_their_field(fields, read):
    (name,) = fields
    value = getattr(Recipe.load("tiny", **fields), name)
    assert value == read
    assert type(value) is type(read)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"stepz": 3}, ["stepz = 3", "'steps'", "learning_rate"]),
        ({"lerning_rate": 3}, ["lerning_rate = 3", "'learning_rate'"]),
        ({"steps": "many"}, ["steps = 'many'", "whole number", "at least 1"]),
        ({"steps": 2.5}, ["steps = 2.5", "whole number"]),
        ({"steps": True}, ["steps = True", "whole number"]),
        ({"steps": 0}, ["steps = 0", "at least 1"]),
        ({"steps": None}, ["steps = None", "whole number"]),
        ({"steps": float("nan")}, ["steps = nan", "whole number"]),
        ({"temperature": 0}, ["temperature = 0", "over 0"]),
        ({"temperature": float("inf")}, ["temperature = inf", "a number"]),
        ({"temperature": False}, ["temperature = False", "a number"]),
        ({"reward": "outcom"}, ["reward = 'outcom'", "outcome, format, random", "file.py:func"]),
        ({"reward": "mine.py"}, ["reward = 'mine.py'", "file.py:function", "package.module:"]),
        ({"solution": "x"}, ["solution = 'x'", "sft", "grpo"]),
        ({"backend": "vlm"}, ["backend = 'vlm'", "vllm-server"]),
        ({"threads": 0}, ["threads = 0", "at least 1", "null"]),
        ({"label": True}, ["label = True", "text"]),
        ({"label": ["a"]}, ["label = ['a']", "text"]),
        ({"label": ""}, ["label = ''", "text"]),
        ({"benchmarks": ["math50"]}, ["benchmarks", "'math50'", "math500"]),
        ({"examples": {"problem": "2+3?"}}, ["examples = ", "problem", "answer"]),
        ({"updates_per_step": 7}, ["updates_per_step = 7", "64"]),
        ({"num_generations": 1}, ["num_generations = 1", "at least 2"]),
        ({"seed": -1}, ["seed = -1", "at least 0"]),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_is_allowed(fields, said):
    with pytest.raises(RecipeError) as error:
        Recipe.load("tiny", **fields)
    for words in said:
        assert words in str(error.value)


def test_all_wrong_fields_are_named_at_once():
    with pytest.raises(RecipeError, match=r"steps = 0(.|\n)*beta = -1"):
        Recipe.load("tiny", steps=0, beta=-1)


def test_a_preset_that_is_not_there_names_the_nearest():
    with pytest.raises(RecipeError, match=r"'tyny'.*nearest: 'tiny'.*qwen2.5-math-1.5b"):
        Recipe.load("tyny")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: 10\n", "the key preset must name"),
        ("preset: tyny\n", "nearest: 'tiny'"),
        ("preset: tiny\nstepz: 10\n", "'steps'"),
        ("- preset: tiny\n", "not a list"),
        ("just words\n", "must be a YAML mapping"),
        ("preset: [tiny\n", "cannot be read as YAML"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text, said, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=re.escape(said)):
        Recipe.load(file)


def test_a_recipe_does_not_change():
    recipe = Recipe.load("tiny")
    with pytest.raises(ValueError, match="frozen"):
        recipe.steps = 3
    assert recipe.replace(steps=3).steps == 3
    assert recipe.steps != 3
    with pytest.raises(RecipeError, match="stepz"):
        recipe.replace(stepz=3)


@each_preset
def test_the_thirteen_rows_are_the_papers(name):
    plain = Recipe.load(name)
    with (params_folder() / "paper" / "table5_ablation.csv").open() as file:
        rows = list(csv.DictReader(file))
    labels = {"12.8": None, "12.7": "12.7", "4": "4", "929725": "929725"}  # None: its own
    if name == "tiny":
        labels |= dict(
            zip(["12.7", "4", "929725"], list(labels_of("world:pi1").values())[1:], strict=True)
        )
    assert len(rows) == 13
    for row in rows:
        recipe = plain.ablation(int(row["row"]))
        assert recipe.policy_loss == float(row["policy_loss"])
        assert recipe.weight_decay == float(row["weight_decay"])
        assert recipe.beta == float(row["kl_loss"])
        assert recipe.entropy_coef == float(row["entropy_coef"])
        assert recipe.label == labels[row["label"]]
        changed = {"policy_loss", "weight_decay", "beta", "entropy_coef", "label"}
        assert recipe.model_dump(exclude=changed) == plain.model_dump(exclude=changed)


@pytest.mark.parametrize("row", [14, 0, -1, "five", 5.5, True, None])
def test_a_row_that_is_not_there_is_an_error(row):
    with pytest.raises(RecipeError, match="rows 1 to 13"):
        Recipe.load("tiny").ablation(row)


@pytest.mark.parametrize("row", ["5", 5.0])
def test_a_row_may_come_as_text_or_float(row):
    assert Recipe.load("tiny").ablation(row) == Recipe.load("tiny").ablation(row=5)


def test_row_5_is_the_plain_recipe():
    assert Recipe.load("tiny").ablation(5) == Recipe.load("tiny")


@each_preset
def test_row_5_is_the_plain_recipe_and_the_same_run(name):
    plain = Recipe.load(name)
    assert plain.ablation(5) == plain
    assert plain.ablation(5).hash() == plain.hash()


def test_rows_do_not_depend_on_the_row_before():
    recipe = Recipe.load("tiny")
    assert recipe.ablation(13).ablation(5) == recipe.ablation(5)


def test_wrong_labels_are_known_for_pi1_only():
    other = Recipe.load("qwen2.5-math-1.5b", examples="pi13")
    assert other.ablation(5).label is None
    with pytest.raises(RecipeError, match=r"row = 12.*examples = 'pi13'"):
        other.ablation(12)


def test_the_hash_changes_with_the_result_and_only_with_it():
    recipe = Recipe.load("tiny")
    assert re.fullmatch("[0-9a-f]{12}", recipe.hash())
    assert recipe.replace(threads=2, token_budget=64, preset="mine").hash() == recipe.hash()
    others = [
        recipe.replace(**fields)
        for fields in (
            {"seed": 1},
            {"label": "6.7"},
            {"steps": 1},
            {"beta": 0},
            {"examples": "world:all"},
        )
    ]
    assert len({r.hash() for r in [recipe, *others]}) == 6


PARAMETERS = {"preset": "tiny", "seed": 0, "out": None, "overrides": {}}


def test_a_notebooks_parameters_make_its_recipe():
    recipe, out = Recipe.from_notebook(
        {**PARAMETERS, "row": 5, "steps": 10, "overrides": {"beta": 0}, "out": "outputs/x"}, ["row"]
    )
    assert recipe == Recipe.load("tiny", steps=10, beta=0)
    assert str(out) == "outputs/x"
    assert Recipe.from_notebook(PARAMETERS) == (Recipe.load("tiny"), None)


@each_preset
def test_a_preset_and_its_file_mean_the_same_notebook_run(name):
    """papermill reads `-f params/X.yaml` as plain YAML, and may pass it through JSON."""
    injected = yaml.safe_load((params_folder() / f"{name}.yaml").read_text())
    by_name = Recipe.from_notebook({**PARAMETERS, "preset": name})
    assert Recipe.from_notebook({**PARAMETERS, **injected}) == by_name
    assert Recipe.from_notebook({**PARAMETERS, **json.loads(json.dumps(injected))}) == by_name


def test_none_means_the_presets_own_and_own_parameters_are_not_fields():
    given = {**PARAMETERS, "examples": None, "label": "not a field here"}
    recipe, _ = Recipe.from_notebook(given, own=["label"])
    assert recipe == Recipe.load("tiny")


def test_a_notebook_of_seeds_does_not_ignore_a_seed():
    with pytest.raises(RecipeError, match=r"seed = 3.*give seeds"):
        Recipe.from_notebook({**PARAMETERS, "seed": 3, "seeds": None}, own=["seeds"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"stepz": 10}, "unknown parameter stepz = 10; nearest: 'steps'"),
        ({"rwo": 5}, "nearest: 'row'"),
        ({"override": {"steps": 3}}, "nearest: 'overrides'"),
        ({"overrides": {"stepz": 3}}, "unknown field stepz = 3; nearest: 'steps'"),
        ({"overrides": 3}, "must be a dict"),
        ({"steps": "many"}, "steps = 'many'"),
        ({"preset": "tyny"}, "nearest: 'tiny'"),
    ],
)
def test_a_notebooks_wrong_parameter_is_named(more, said):
    with pytest.raises(RecipeError, match=re.escape(said)):
        Recipe.from_notebook({**PARAMETERS, "row": 5, **more}, own=["row"])


def test_what_is_no_parameter_in_a_notebook_is_left_alone():
    import math

    others = {"math": math, "_": 3, "_i1": "x = 1", "Out": {}, "In": [], "f": len, "path": math.pi}
    with pytest.raises(RecipeError, match="path"):
        Recipe.from_notebook({**PARAMETERS, **others})
    del others["path"]
    assert Recipe.from_notebook({**PARAMETERS, **others})[0] == Recipe.load("tiny")


def test_a_cell_run_again_is_not_confused_by_what_later_cells_computed():
    cells = [
        "",
        'preset: str = "tiny"  # a preset\nseed: int = 0',
        "# Parameters\nseed = 3\n",
        "import math\nn = 5",
        "total = n + 1",
    ]
    namespace = {"preset": "tiny", "seed": 3, "n": 5, "total": 6, "In": cells}
    assert Recipe.from_notebook(namespace)[0] == Recipe.load("tiny", seed=3)
    namespace |= {"stepz": 4, "In": [*cells, "# Parameters\nstepz = 4"]}
    with pytest.raises(RecipeError, match="stepz"):
        Recipe.from_notebook(namespace)
