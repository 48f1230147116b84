"""Every kind of mistake that graders make: what must be accepted is, and nothing else."""

import pytest
from verifier_kinds import CHOICES, KINDS, OPTIONS, RESPONSES

from onerl.verifier import grade_many, verify


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_each_kind_are_accepted_and_refused(kind):
    accepted, refused = KINDS[kind]
    assert [pair for pair in accepted if not verify(rf"So \boxed{{{pair[1]}}}.", pair[0])] == []
    assert [pair for pair in refused if verify(rf"So \boxed{{{pair[1]}}}.", pair[0])] == []


@pytest.mark.parametrize("kind", RESPONSES)
def test_responses_of_each_kind_are_accepted_and_refused(kind):
    accepted, refused = RESPONSES[kind]
    assert [pair for pair in accepted if not verify(pair[1], pair[0])] == []
    assert [pair for pair in refused if verify(pair[1], pair[0])] == []


def test_choices_are_answered_by_letter_text_or_both():
    accepted, refused = CHOICES
    for pairs, expected in ((accepted, True), (refused, False)):
        boxed = [(rf"So \boxed{{{answer}}}.", gold) for gold, answer in pairs]
        grades = grade_many(boxed, [OPTIONS] * len(boxed))
        assert [pair for pair, g in zip(pairs, grades, strict=True) if g.correct != expected] == []
