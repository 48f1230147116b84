"""Worlds: exact answers, three sides that share no operands, and each a value of its own."""

import dataclasses
import hashlib
import json
import re
import shutil
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest
from small_worlds import TINY, small_world

import onerl
from onerl import grids
from onerl.grids import job, pools
from onerl.models import locate
from onerl.parameters import RecipeError
from onerl.problems.prompts import prompt_sha256
from onerl.recipe import Recipe, labels_of
from onerl.runs import Run
from onerl.sweep import sweep
from onerl.world import EMBEDDED, Item, Mixture, World, corpus, templates, world_of
from onerl.world.pretraining import base_model

SIDES = ("heldout", "pool", "corpus")


def twins(side: str, template: str) -> set[tuple[int, ...]]:
    return {tuple(sorted(operands)) for operands in EMBEDDED.split[side][template]}


@pytest.mark.parametrize("template", templates.TEMPLATES)
def test_sides_share_no_operands_in_any_order(template):
    heldout, pool, read = (twins(side, template) for side in SIDES)
    assert not heldout & pool
    assert not heldout & read
    assert not pool & read
    everything = {tuple(sorted(o)) for o in templates.TEMPLATES[template].operands}
    assert heldout | pool | read == everything


def bare(question: str) -> str:
    """The question without its names and things, which are drawn anew for every filling."""
    return re.sub("|".join((*templates.NAMES, *templates.THINGS)), "_", question)


def test_no_heldout_problem_is_in_the_corpus_or_the_pool():
    """Checked on the texts themselves, without the split's own code."""
    heldout = {bare(p.question) for p in EMBEDDED.heldout()}
    pool = {bare(p.question) for p in EMBEDDED.examples("world:all")}
    read = {
        bare(document.text.split("\nSolution:")[0].removeprefix("Problem: "))
        for document in islice(corpus.documents(), 60_000)
        if document.way is not None
    }
    assert len(read) > 10_000
    assert not heldout & read
    assert not pool & read
    assert not heldout & pool


def test_heldout_is_a_thousand_different_problems_from_all_categories():
    problems = EMBEDDED.heldout()
    assert len({p.question for p in problems}) == len({p.id for p in problems}) == 1000
    assert {p.category for p in problems} == set(templates.CATEGORIES)
    assert len(templates.CATEGORIES) == 7
    assert problems == EMBEDDED.heldout()


@pytest.mark.parametrize("template", templates.TEMPLATES.values(), ids=lambda t: t.name)
def test_every_solution_is_right_and_every_mistake_wrong_or_a_coincidence(template):
    coincidences = 0
    for operands in template.operands:
        solution = template.solve(*operands)
        for step in solution.steps:
            left, right = step.split("=")
            assert value(left) == Fraction(right), step
        expected = value(solution.code.replace("**", "^"))
        if solution.rounding:
            exact, rounded, cut = map(Fraction, solution.rounding)
            assert exact == expected
            assert abs(rounded - exact) <= Fraction(1, 20)
            assert cut < exact
            assert exact - cut < Fraction(1, 10)
            expected = rounded
        assert Fraction(solution.answer) == expected
        coincidences += sum(Fraction(a) == expected for _, a in solution.mistakes)
    assert coincidences < 0.15 * 2 * len(template.operands)


def value(expression: str) -> Fraction:
    """Evaluate + - * / mod and brackets over fractions, by recursive descent."""
    tokens = re.findall(r"\d+(?:\.\d+)?|mod|[-+*/%()]", expression)

    def atom():
        token = tokens.pop(0)
        if token == "(":
            inner = total()
            tokens.pop(0)
            return inner
        return Fraction(token)

    def term():
        result = atom()
        while tokens and tokens[0] in ("*", "/", "mod", "%"):
            op, right = tokens.pop(0), atom()
            result = (
                result * right if op == "*" else result / right if op == "/" else result % right
            )
        return result

    def total():
        result = term()
        while tokens and tokens[0] in ("+", "-"):
            result = result + term() if tokens.pop(0) == "+" else result - term()
        return result

    return total()


def test_pi1_has_a_rounded_answer_and_four_different_labels():
    (pi1,) = EMBEDDED.examples("world:pi1")
    rounding = templates.TEMPLATES["joint"].solve(*EMBEDDED.pi1[1]).rounding
    assert rounding == ("2.25", "2.3", "2.2")
    assert pi1.answer == labels_of("world:pi1")["right"] == rounding[1]
    assert labels_of("world:pi1")["slightly_off"] == rounding[2]
    assert len(set(labels_of("world:pi1").values())) == 4
    assert "A=3" in pi1.question
    assert "V=3" in pi1.question
    assert "1/4" in pi1.question


@pytest.mark.parametrize(
    "name", ["world", "world:pi2", "world:bag:1", "world:bags:0", "world:bags:37"]
)
def test_unknown_example_says_what_is_allowed(name):
    with pytest.raises(ValueError, match=r"world:pi1.*TEMPLATE one of bags"):
        EMBEDDED.examples(name)


# -- a world as a value ----------------------------------------------------------------------


def digest(items) -> str:
    rows = [[i.id, i.question, i.answer, i.category, i.source] for i in items]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def test_the_shipped_world_is_what_it_always_was():
    """Written down before a world became a value; its corpus is pinned in test_base_model.py."""
    assert EMBEDDED.hash() == "80b754b5228f"
    assert digest(EMBEDDED.heldout()) == "28aebdb5e2606b51"
    assert digest(EMBEDDED.pool()) == "f5ec7cff18ff401d"
    assert digest(EMBEDDED.unseen_problems()) == "64ff0aedac4e9f2f"
    assert digest(EMBEDDED.selection()) == "bfbc6be6a1cfcaa2"
    assert digest(EMBEDDED.examples("world:random16")) == "36d48364ee011000"
    assert digest(EMBEDDED.examples("world:pi1_simplified")) == "3403cef881e6d169"


CHANGES = {
    "templates": ("linear", "mean"),
    "mixture": Mixture(slip_share=0.5),
    "heldout_size": 13,
    "pool_per_template": 7,
    "seed": 1,
    "reserved": {"linear": (2, 3, 4)},
    "pi1": None,
    "pi1_simplified": Item("world/own", "What is 1+1?", "2", "Algebra"),
    "labels": {},
    "unseen": (),
    "unseen_per_template": 4,
}


def test_a_world_is_read_back_as_it_was_written_and_every_field_is_in_its_hash(tmp_path):
    assert set(CHANGES) == {field.name for field in dataclasses.fields(World)}
    worlds = [small_world(), *(small_world(**{name: CHANGES[name]}) for name in CHANGES)]
    for world in worlds:
        world.save(tmp_path)
        assert World.load(tmp_path) == world
        assert World.load(tmp_path).hash() == world.hash()
    assert len({world.hash() for world in worlds}) == len(set(worlds)) == len(worlds)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"templates": ("bag",)},
            "templates: 'bag' is not allowed; nearest: 'bags'; allowed",
        ),
        ({"templates": ("mean", "mean")}, r"templates = \['mean', 'mean'\]: a name occurs twice"),
        ({"templates": (), "pi1": None}, r"templates = \(\): name at least one"),
        ({"unseen": ("linear",)}, "unseen: 'linear' is not allowed"),
        ({"unseen_per_template": 9999}, "unseen_per_template = 9999: at most 576"),
        ({"heldout_size": 0}, "heldout_size = 0: Input should be greater than or equal to 1"),
        ({"heldout": 3}, "unknown field heldout; nearest: 'heldout_size'; fields: templates"),
        ({"seed": "x"}, "seed"),
        ({"pi1": ("bags", (2, 2, 2))}, "pi1: 'bags' is not allowed"),
        ({"pi1": ("mean", (1, 2, 3))}, r"pi1 = \(1, 2, 3\): not operands of the template mean"),
        ({"reserved": {"mean": (1, 2)}}, r"reserved = \(1, 2\): not operands"),
        ({"mixture": {"slip_share": 1.5}}, "mixture.slip_share = 1.5: .* less than or equal to 1"),
        ({"mixture": {"ways": {"carefull": 1}}}, "mixture.ways: 'carefull' .*nearest: 'careful'"),
        ({"mixture": {"ways": {"careful": 0}}}, "mixture.ways = {'careful': 0.0}: no way is left"),
        (
            {"mixture": {"ways": {"careful": 1}, "habits": {"mean": {"careful": 0}}}},
            "mixture.ways = .*no way is left",
        ),
        ({"mixture": {"habits": {"bag": {}}}}, "mixture.habits: 'bag' is not allowed"),
    ],
)
def test_a_wrong_field_is_named_in_one_line_in_python_and_in_the_file(tmp_path, fields, message):
    with pytest.raises(RecipeError, match=message) as caught:
        small_world(**fields)
    assert "\n" not in str(caught.value)
    small_world().save(tmp_path)
    kept = json.loads((tmp_path / "world.json").read_text())
    (tmp_path / "world.json").write_text(json.dumps(kept | fields))
    with pytest.raises(RecipeError, match=f"world.json: .*{message}") as caught:
        World.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"templates": 3}'])
def test_a_file_that_holds_no_world_is_named(tmp_path, text):
    (tmp_path / "world.json").write_text(text)
    with pytest.raises(RecipeError, match=r"world\.json: "):
        world_of(tmp_path)


def test_a_split_that_leaves_nothing_to_read_is_refused_before_it_is_kept(tmp_path):
    world = small_world(heldout_size=1020)
    for use in (lambda: world.split, world.heldout, lambda: world.save(tmp_path)):
        with pytest.raises(RecipeError, match=r"heldout_size = 1020.* 512 operand tuples of mean"):
            use()
    assert not list(tmp_path.iterdir())


OTHERS = [
    small_world(seed=7),
    small_world(templates=("joint", "dot", "mean"), heldout_size=100, pool_per_template=20),
    EMBEDDED.only("divisors", "bags"),
    dataclasses.replace(EMBEDDED, seed=1, mixture=Mixture(ways={"careful": 1, "code": 2})),
]


@pytest.mark.parametrize("world", OTHERS, ids=lambda world: world.hash())
def test_no_heldout_problem_of_any_world_is_in_its_corpus_or_its_pool(world):
    heldout, pool = ({bare(p.question) for p in side} for side in (world.heldout(), world.pool()))
    assert len(world.heldout()) == world.heldout_size
    assert len(world.pool()) == len(world.templates) * world.pool_per_template
    stream = islice(corpus.documents(world), 20_000)
    read = {bare(d.text[9 : d.prompt - 10]) for d in stream if d.way is not None}
    assert not heldout & read
    assert not pool & read
    assert not heldout & pool
    if world.pi1:
        assert world.exercise(world.examples("world:pi1")[0]).operands == world.pi1[1]
    chosen = {p.id for p in world.selection()}
    assert chosen <= {p.id for p in world.pool()}
    assert len(chosen) == min(200, len(world.pool()) // 2)
    assert all(world.exercise(p).solution.answer == p.answer for p in world.heldout()[::7])


def test_worlds_that_differ_in_their_seed_hold_out_other_problems():
    first, second = (small_world(seed=seed).heldout() for seed in (1, 2))
    assert [p.id for p in first] == [p.id for p in second]
    assert first != second


def test_a_world_without_pi1_has_no_example_of_that_name():
    with pytest.raises(ValueError, match='allowed: "world:all", "world:random16", or'):
        small_world(pi1=None).examples("world:pi1")
    assert EMBEDDED.only("bags").pi1 is None
    assert EMBEDDED.only("joint").pi1 == EMBEDDED.pi1


def test_a_recipes_examples_labels_and_scale_are_those_of_its_models_world(tmp_path):
    world = small_world()
    world.save(tmp_path)
    recipe = Recipe.load("tiny", model=str(tmp_path))
    assert recipe.world == world
    assert recipe.scale == Recipe.load("tiny").scale == "world"
    assert Recipe.load("qwen2.5-math-1.5b").scale == "paper"
    assert recipe.ablation(row=11).label == "2"
    assert Recipe.load("tiny").ablation(row=11).label == "2.2"
    assert grids.recipes("ablation", recipe)["row 5", 0].examples == "world:pi1"
    small_world(labels={}).save(tmp_path)
    with pytest.raises(RecipeError, match="needs a slightly off label"):
        recipe.ablation(row=11)


# -- two worlds side by side ---------------------------------------------------------------------

# The same templates and so the same ids, but another split, wording and way of writing.
SIDE_BY_SIDE = {
    "one": small_world(),
    "other": small_world(heldout_size=15, seed=7, pi1=("linear", (3, 4, 5))),
}
SETS = ("world", "world-selection", "world-unseen")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """One step on pi1 in each of two worlds, in one sweep; no name of a folder says "world"."""
    out = tmp_path_factory.mktemp("bases")
    recipes = {
        (name, 0): Recipe.load(
            "tiny",
            model=str(base_model(world, TINY, out)),
            prompt="auto",
            steps=1,
            prompts_per_step=1,
            num_generations=2,
            max_completion_length=12,
            benchmarks=SETS,
        )
        for name, world in SIDE_BY_SIDE.items()
    }
    return sweep(recipes, jobs=1, out=tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_two_worlds_in_one_sweep_are_each_asked_their_own_problems(swept, name):
    world, run = SIDE_BY_SIDE[name], swept.outcomes[name, 0]
    trained = {p.question for p in world.examples("world:pi1")}
    for records in (run.reports[1].records, run.base.records):
        for benchmark, items in zip(
            SETS, (world.heldout(), world.selection(), world.unseen_problems()), strict=True
        ):
            asked = records[records["benchmark"] == benchmark].set_index("problem")
            left = [item for item in items if item.question not in trained]
            assert list(asked["gold"]) == [item.answer for item in left]
            prompts = [prompt_sha256(corpus.prompt(item.question)) for item in left]
            assert list(asked["prompt_sha256"]) == prompts
    provenance = json.loads((run.path / "provenance.json").read_text())
    (pi1,) = world.examples("world:pi1")
    assert provenance["prompt_sha256"] == [prompt_sha256(corpus.prompt(pi1.question))]


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_every_checkpoint_has_its_world(swept, name, tmp_path):
    short = onerl.Protocol(max_completion_length=4)
    for _, folder in Run(swept.outcomes[name, 0].path).checkpoints:
        shutil.copytree(folder, tmp_path / folder.name)  # far from its run
        assert world_of(tmp_path / folder.name) == SIDE_BY_SIDE[name]
        assert locate(tmp_path / folder.name).format == "world"
        found = onerl.evaluate(tmp_path / folder.name, limit=3, protocol=short)
        golds = {item.answer for item in SIDE_BY_SIDE[name].heldout()}
        assert set(found.records["gold"]) <= golds


def test_a_run_is_not_resumed_in_another_world(swept):
    run = swept.outcomes["one", 0]
    recipe = run.recipe
    kept = (Path(recipe.model) / "world.json").read_text()
    SIDE_BY_SIDE["other"].save(recipe.model)
    try:
        with pytest.raises(ValueError, match="holds a run in another world"):
            onerl.train(recipe, out=run.path)
    finally:
        (Path(recipe.model) / "world.json").write_text(kept)


def test_no_gpu_is_asked_for_in_any_world(swept, monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(pools, "CLUSTER", "local")
    monkeypatch.setattr(
        "submitit.AutoExecutor.update_parameters", lambda self, **given: asked.update(given)
    )
    for recipe in (swept.outcomes["one", 0].recipe, Recipe.load("qwen2.5-math-1.5b")):
        asked.clear()
        pools.Slurm([pools.Task(job.Job(recipe, tmp_path), [])], None, tmp_path, None)
        assert ("gpus_per_node" in asked) == (recipe.scale == "paper")
