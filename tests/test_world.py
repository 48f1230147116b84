"""The embedded world: exact answers, and three sides that share no operands."""

import re
from fractions import Fraction
from itertools import islice

import pytest

from onerl.recipe import labels_of
from onerl.world import EMBEDDED, corpus, templates

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
