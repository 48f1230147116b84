"""Twenty thousand strings: none raises, none is slow, and what is changed in value is refused."""
# ruff: noqa: E501, SIM905

import random
import time
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_verifier_golds import SAMPLE
from verifier_kinds import KINDS

from onerl.verifier import clear_cache, grade
from onerl.verifier.grade import judge

STATUSES = {"ok", "no-answer", "too-long", "unparseable", "timeout", "bad-gold"}
PIECES = [
    *"0123456789", *"0123456789", *"xynabkei", *"+-*/^_=<>!|,;:.'&%?~$()[]{} ", "\\{", "\\}", "\\\\", "\\", "\\%", "\\$",
    *(f"\\{name} " for name in (
        "frac sqrt cdot times pi infty left right text boxed pm mp cup cap in le ge ne approx sin cos tan log ln exp "
        "binom lfloor rfloor lceil rceil begin{pmatrix} end{pmatrix} overline circ mathrm mathbb{R} setminus alpha theta "
        "quad displaystyle dfrac emptyset langle rangle sum int lim prod to mid prime dots over max min gcd mod").split()),
    "\\frac{1}{2}", "\\sqrt{2}", "\\text{ or }", "\\text{ and }", "cm", " mph", "10^{10}", "^{2}", "_{1}", "12.8", "x=", "é", "π", "²",
    "\u200b", "\x00", "\ud800", "½", "12,345", "and", "or", "not", "the",
]  # fmt: skip
QUICK = settings(
    max_examples=1500, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)  # fmt: skip

# The engine is left out: it has limits of its own and tests of its own (test_verifier_hostile.py).
CALM = {"ask": lambda task, seconds: ("different", 0.0)}
scrambled = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
golds = st.sampled_from(SAMPLE)


def check(answer: str, gold: str) -> tuple[bool, str, str]:
    started = time.process_time()
    verdict = judge(answer, gold, **CALM)
    assert time.process_time() - started < 1.0, answer
    assert verdict[1] in STATUSES
    assert verdict[2]
    return verdict


@QUICK
@given(scrambled, golds)
def test_scrambled_mathematics_is_graded(answer, gold):
    check(answer, gold)


@QUICK
@given(scrambled)
def test_scrambled_mathematics_as_the_gold_is_graded(gold):
    check("12.8", gold)
    check(gold, gold)


@QUICK
@given(st.text(max_size=200), golds)
def test_any_text_is_graded(answer, gold):
    check(answer, gold)


@QUICK
@given(st.text(alphabet="\\boxed{}fbox 1,$or.", max_size=120))
def test_any_arrangement_of_boxes_is_extracted(response):
    verdict = grade(response, "1")
    assert verdict.status in STATUSES
    assert (verdict.answer is None) == (verdict.status in ("no-answer", "too-long"))


@QUICK
@given(*[st.integers(-400, 400), st.integers(1, 40)] * 2)
def test_fractions_are_compared_by_value(top, bottom, other_top, other_bottom):
    first, second = Fraction(top, bottom), Fraction(other_top, other_bottom)
    written = rf"\frac{{{first.numerator}}}{{{first.denominator}}}"
    assert check(written, f"{first.numerator}/{first.denominator}")[0]
    assert check(written, f"{second.numerator}/{second.denominator}")[0] == (first == second)


def test_inequalities_with_ends_that_cannot_be_read_are_graded():
    for answer in (
        r"x>1 \text{ and } x>\tex",
        r"4:4> a\ge m",
        r"x<\tex, x>\tex",
        r"|x-\tex|<2",
        r"x\notin[\tex,2]",
        r"\frac{d^}{dx^2}=x",
    ):
        check(answer, "4:40 a.m.")
        check("(1,2)", answer)


def mutated(gold: str, draw: random.Random) -> str:
    """A gold answer with one to four edits."""
    text = gold
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(text) + 1)
        edit = draw.randrange(5)
        if edit == 0:
            text = text[:at] + draw.choice(PIECES) + text[at:]
        elif edit == 1:
            text = text[:at] + text[at + draw.randint(1, 3) :]
        elif edit == 2:
            text = text[:at] + draw.choice(PIECES) + text[at + 1 :]
        elif edit == 3:
            end = draw.randrange(len(text) + 1)
            text = text[:at] + text[min(at, end) : max(at, end)] + text[at:]
        else:
            text = text[at:] + text[:at]
    return text[:1200]


HARD = [text for kind in KINDS.values() for pairs in kind for pair in pairs for text in pair]


def test_mutated_golds_are_graded():
    draw = random.Random(0)
    for golds_of in (SAMPLE, HARD):
        for _ in range(10_000):
            gold = draw.choice(golds_of)
            check(mutated(gold, draw), gold)


def test_a_changed_digit_is_refused():
    """In any gold, one digit for another is another answer (but for leading zeros and subscripts)."""
    clear_cache()
    draw = random.Random(1)
    for _ in range(1500):
        gold = draw.choice(SAMPLE)
        places = [i for i, c in enumerate(gold) if c.isdigit() and gold[max(0, i - 1)] not in "_{"]
        if not places:
            continue
        at = draw.choice(places)
        other = draw.choice([d for d in "123456789" if d != gold[at]])
        assert not check(gold[:at] + other + gold[at + 1 :], gold)[0], (gold, at, other)
