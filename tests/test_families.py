"""The unseen templates are new as questions, and old in their words and facts."""

import re
from fractions import Fraction

import pytest

from onerl.evaluation.protocols import protocol_for
from onerl.problems.benchmarks import benchmark
from onerl.world import EMBEDDED, corpus, templates, unseen


def words(texts):
    return {word for text in texts for word in re.findall(r"[A-Za-z]+", text)}


def wordings(found):
    return [wording for template in found.values() for wording in template.wordings]


@pytest.mark.parametrize("template", unseen.TEMPLATES.values(), ids=lambda template: template.name)
def test_every_step_is_a_fact_that_some_solution_of_the_world_uses(template):
    known = set(corpus.facts())
    steps = {step for operands in template.operands for step in template.solve(*operands).steps}
    assert steps <= known


def test_every_word_is_one_of_the_worlds():
    assert words(wordings(unseen.TEMPLATES)) <= words(wordings(templates.TEMPLATES))


def test_no_question_is_one_that_the_world_asks():
    """Numbers apart: the same words in the same order."""
    asked = {re.sub(r"\d+", "#", p.question) for p in EMBEDDED.pool()}
    asked |= {re.sub(r"\d+", "#", p.question) for p in EMBEDDED.heldout()}
    new = {re.sub(r"\d+", "#", problem.question) for problem in EMBEDDED.unseen_problems()}
    assert not new & asked


def test_two_chains_are_old_and_two_are_new():
    def chain(template):
        steps = template.solve(*template.operands[0]).steps
        return tuple(re.sub(r"\d+", "", step.split("=")[0]).strip() for step in steps)

    old = {chain(template) for template in templates.TEMPLATES.values()}
    found = {name: chain(template) in old for name, template in unseen.TEMPLATES.items()}
    assert found["two_bags"]
    assert found["function"]
    assert not found["sum_residue"]
    first = unseen.TEMPLATES["red_or_blue"].solve(2, 3, 4).steps
    assert first[2].startswith("5/9")  # the sum is divided, where `chance` divides an operand


def test_answers_are_what_the_code_computes():
    for template in unseen.TEMPLATES.values():
        for operands in template.operands[::37]:
            solution = template.solve(*operands)
            exact = eval(re.sub(r"(\d+)", r"Fraction(\1)", solution.code), {"Fraction": Fraction})
            assert solution.answer == str(exact)


def test_the_benchmark_has_125_different_problems_of_each_template():
    found = benchmark("world-unseen")
    names = [problem.id.split("/")[2] for problem in found]
    assert {name: names.count(name) for name in names} == dict.fromkeys(unseen.TEMPLATES, 125)
    assert len({problem.question for problem in found}) > 480  # a wording may repeat with its names
    assert protocol_for("world-unseen") == protocol_for("world")
