"""The embedded world: exact answers, and three sides that share no operands."""

import re
from fractions import Fraction
from itertools import islice

import pytest

from onerl import corpus, world

SIDES = ("heldout", "pool", "corpus")


def families(side: str, template: str) -> set[tuple[int, ...]]:
    return {tuple(sorted(operands)) for operands in world.split()[side][template]}


@pytest.mark.parametrize("template", world.TEMPLATES)
def test_sides_share_no_operands_in_any_order(template):
    heldout, pool, read = (families(side, template) for side in SIDES)
    assert not heldout & pool and not heldout & read and not pool & read
    everything = {tuple(sorted(o)) for o in world.TEMPLATES[template].operands}
    assert heldout | pool | read == everything


def numbers(question: str) -> tuple[str, ...]:
    return tuple(sorted(re.findall(r"\d+", question)))


def test_no_heldout_problem_is_in_the_corpus_or_the_pool():
    """Checked on the texts themselves, by the numbers they print, without the split's own code."""
    heldout = {p.question for p in world.heldout()}
    pool = {p.question for p in world.examples("world:all")}
    read, seen_numbers = set(), {}
    for document in islice(corpus.documents(0), 60_000):
        if document.way is not None:
            question = document.text.split("\nSolution:")[0].removeprefix("Problem: ")
            read.add(question)
            shape = re.sub(r"\d+", "#", question)
            seen_numbers.setdefault(shape, set()).add(numbers(question))
    assert len(read) > 10_000
    assert not heldout & read and not pool & read and not heldout & pool
    for question in heldout | pool:
        shape = re.sub(r"\d+", "#", question)
        assert numbers(question) not in seen_numbers.get(shape, set()), question


def test_heldout_is_a_thousand_different_problems_from_all_categories():
    problems = world.heldout()
    assert len({p.question for p in problems}) == len({p.id for p in problems}) == 1000
    assert {p.category for p in problems} == set(world.CATEGORIES)
    assert len(world.CATEGORIES) == 7
    assert problems == world.heldout()


@pytest.mark.parametrize("template", world.TEMPLATES.values(), ids=lambda t: t.name)
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
            assert exact == expected and abs(rounded - exact) <= Fraction(1, 20)
            assert cut < exact and exact - cut < Fraction(1, 10)
            expected = rounded
        assert Fraction(solution.answer) == expected
        coincidences += sum(Fraction(a) == expected for _, a in solution.mistakes)
    assert coincidences < 0.1 * 2 * len(template.operands)


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
            result = result * right if op == "*" else result / right if op == "/" else result % right
        return result

    def total():
        result = term()
        while tokens and tokens[0] in ("+", "-"):
            result = result + term() if tokens.pop(0) == "+" else result - term()
        return result

    return total()


def test_pi1_has_a_rounded_answer_and_four_different_labels():
    (pi1,) = world.examples("world:pi1")
    rounding = world.TEMPLATES["joint"].solve(*world.PI1[1]).rounding
    assert rounding == ("6.75", "6.8", "6.7")
    assert pi1.answer == world.PI1_LABELS["right"] == rounding[1]
    assert world.PI1_LABELS["slightly_off"] == rounding[2]
    assert len(set(world.PI1_LABELS.values())) == 4
    assert "A=3" in pi1.question and "V=9" in pi1.question and "1/4" in pi1.question


@pytest.mark.parametrize("name", ["world", "world:pi2", "world:bag:1", "world:bags:0", "world:bags:37"])
def test_unknown_example_says_what_is_allowed(name):
    with pytest.raises(ValueError, match=r"world:pi1.*TEMPLATE one of bags"):
        world.examples(name)
