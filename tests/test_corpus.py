"""The corpus: its ways of writing, its tokenizer, its fingerprint."""

import random
from collections import Counter
from itertools import islice

import pytest

from onerl.world import EMBEDDED, corpus, templates


@pytest.fixture(scope="module")
def tokenizer():
    return corpus.build_tokenizer(sample=3000)


@pytest.mark.parametrize(
    "text", ["", "héllo \\boxed{12.8} 929725\n\t", "f(x)=(x+3)(x+4) ∫ 한글 \x00"]
)
def test_any_text_survives_the_tokenizer(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_small_numbers_are_one_token(tokenizer):
    for number in (0, 7, 28, 99, 100, 199):
        assert len(tokenizer(str(number))["input_ids"]) == 1
    assert tokenizer.convert_ids_to_tokens(tokenizer("929725")["input_ids"]) == ["92", "97", "25"]


@pytest.mark.parametrize("way", corpus.WAYS)
def test_way_of_reads_the_way_back(way):
    rng = random.Random(0)
    families = list(templates.TEMPLATES.values())
    for _ in range(500):
        template = rng.choice(families)
        exercise = templates.fill(template, rng.choice(template.operands), rng)
        assert corpus.way_of(corpus.respond(exercise, way, rng).text) == way


def test_careful_writing_ends_in_the_right_box_but_for_cut_decimals():
    rng = random.Random(1)
    for template in templates.TEMPLATES.values():
        for operands in rng.sample(template.operands, 100):
            exercise = templates.fill(template, operands, rng)
            text = corpus.respond(exercise, "careful", rng).text
            allowed = {exercise.solution.answer}
            if exercise.solution.rounding:
                allowed.add(exercise.solution.rounding[2])
            assert text.rsplit("\\boxed{", 1)[1] in {f"{answer}}}." for answer in allowed}


def test_the_prompt_does_not_announce_the_way():
    """Among documents with one and the same prompt several ways of writing occur."""
    ways: dict[str, Counter] = {}
    for document in islice(corpus.documents(), 40_000):
        if document.way:
            ways.setdefault(document.text.split("Solution:")[0], Counter())[document.way] += 1
    repeated = [count for count in ways.values() if count.total() >= 8]
    assert len(repeated) > 50
    assert all(len(count) >= 2 for count in repeated)


def test_one_seed_one_corpus_and_another_seed_another():
    assert corpus.sha256(EMBEDDED, 0, 300) == corpus.sha256(EMBEDDED, 0, 300)
    assert corpus.sha256(EMBEDDED, 0, 300) != corpus.sha256(EMBEDDED, 1, 300)


def test_drill_sheets_hold_only_right_facts_and_no_problem():
    facts = set(corpus.facts())
    sheets = [d.text for d in islice(corpus.documents(), 500) if d.way is None]
    assert sheets
    for sheet in sheets:
        found = sheet.removeprefix("Drill: ").removesuffix(".").split(". ")
        assert len(found) == EMBEDDED.mixture.drill_facts
        assert set(found) <= facts
