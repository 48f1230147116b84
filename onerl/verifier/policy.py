r"""What counts as the same answer, decided once, with the reason for each choice.

Each row of `ROWS` is a rule, a gold answer, answers it accepts, answers it refuses, and why. The
rows are tests (tests/test_verifier_policy.py) and the table in docs/verifier.md; `python -m
onerl.verifier --policy` prints it.
"""
# ruff: noqa: E501

from typing import NamedTuple


class Row(NamedTuple):
    rule: str
    gold: str
    accepts: tuple[str, ...]
    refuses: tuple[str, ...]
    why: str


ROWS = (
    Row("rationals by value", "12.8", ("12.80", r"\frac{64}{5}", "64/5", r"12\frac{4}{5}", r"1.28 \times 10^1"),
        ("12.7", "12.699", r"8\sqrt[3]{4}", "-12.8", "128"),
        "the label is the truth of a one-example run; nearly right is wrong"),
    Row("unreduced fractions", r"\frac{4}{3}", (r"\frac{8}{6}", r"1\frac13"), (r"\frac{3}{4}", "1.333"),
        "the value was asked, not a form; where a form is asked, the problem's text says so, not its gold"),
    Row("decimals of an exact gold", r"\frac{1}{3}", ("0.333333", "0.3333333333", r"0.\overline{3}"),
        ("0.333", "0.33333", "0.333334"),
        "six correct decimals, rounded or cut, cannot be a guess; fewer are an approximation"),
    Row("decimals of a root", r"\sqrt{2}", ("1.414214", "1.4142135623730951", r"2^{1/2}"), ("1.414", "1.41421"),
        "the same six decimals for irrational golds"),
    Row("rounded gold", "0.333", ("0.333",), (r"\frac{1}{3}", "0.3333"),
        "a gold with few decimals is taken at its word; rounding it would accept near misses"),
    Row("thousands separators", "1008016", ("1,008,016", r"1{,}008{,}016", r"1\,008\,016", "1 008 016"), ("1008", "1,008"),
        "all are ways of writing one number; groups must be of three digits"),
    Row("decimal comma", "12.8", ("12.8",), ("12,8",), "12,8 is a list of two numbers, as in the paper's reward"),
    Row("digits apart", "24", ("2 4",), ("2 5", "2, 4"), "some tokenisers write digits apart; single digits are one number"),
    Row("percent", r"10\%", ("10", "0.1", r"\frac{1}{10}", "10 percent"), ("1", "0.01", r"100\%"),
        "golds leave the sign in or out; both readings of it are accepted when one side omits it"),
    Row("percent both ways", "0.1", (r"10\%",), ("10",), "without a sign anywhere there is nothing to convert"),
    Row("degrees", r"90^\circ", ("90", "90°", r"90\text{ degrees}", r"\frac{\pi}{2}"), ("180", r"90\text{ rad}"),
        "the sign is as the gold states or leaves open; a multiple of pi is the same angle"),
    Row("units the gold leaves out", "12.8", (r"12.8\text{ mph}", "12.8 miles per hour", r"\$12.8"), (r"12.7\text{ mph}",),
        "the gold leaves the unit open"),
    Row("units both state", r"15\mbox{ cm}^2", (r"15\text{ square centimeters}", "15"), (r"15\text{ cm}^3", r"15\text{ m}^2"),
        "where both state a unit, they must agree; nothing is converted"),
    Row("things counted", "24", (r"24\text{ divisors}", "24 ways"), (r"24\text{ or }25",),
        "a listed noun behind a number is no unit and contradicts nothing"),
    Row("words around a number", "3", (r"\text{exactly }3", r"\text{three}", r"\text{the number of ways is }3"),
        (r"3\text{ million}", r"\text{negative }3", r"3\text{ (guess)}", r"\text{half of }3"),
        "number words are numbers, a listed word changes nothing, and any other word makes it another answer"),
    Row("a name before the answer", "5", ("x=5", "f(2) = 5", r"\text{Area}=5", "a+b=5"), ("4=5", "x>5", r"x\ne 5", "5x"),
        "models restate what they solved; a number on the other side must be right too"),
    Row("named gold", "x=5", ("5", "5=x"), ("x=6", "y=5", "x", "x=x", r"x\ge 5"), "another name is another claim"),
    Row("zero", "0", ("x=0", "0.0"), ("x+y=0", "x", r"x-x+1", "1e-9"), "every equation can be written to end in 0"),
    Row("approximation signs", "12.8", (r"\approx 12.8", r"V\approx 12.8", r"\text{about }12.8"), (r"\approx 12.7",),
        "the sign changes nothing about the number, which must still be the gold's"),
    Row("remarks", r"k\pi", (r"n\pi, n\in\mathbb{Z}", r"k\pi\text{ for integer }k"), (r"2n\pi, n\in\mathbb{Z}", r"k\pi, 2k\pi"),
        "what is said about the answer is not the answer; the name of a declared parameter is free"),
    Row("approximation beside the answer", r"\frac{2}{3}", (r"\frac{2}{3}\approx 0.667",), (r"\frac{2}{3}\approx 0.5",),
        "both must be right, each within its own rounding"),
    Row("one answer only", "12.8", (r"12.8 = \frac{64}{5}",),
        ("12.8, 12.7", r"12.8 \text{ or } 12.7", r"\{12.7, 12.8\}", r"12.8\pm 5", "[12, 13]"),
        "offering several never pays"),
    Row("negation and doubt", "12.8", ("12.8",), (r"\ne 12.8", r"\text{not } 12.8", "12.8?", r"\sim 12.8", r"\text{maybe }12.8"),
        "a doubted answer is not given"),
    Row("root lists", "-2, 1", ("1,-2", r"x=1 \text{ or } x=-2", r"\{1,-2\}", r"-2\text{ and }1"), ("-2", "-2,1,0", "2,-1"),
        "complete, in any order"),
    Row("how often a value occurs", "1, 1, 2", ("2, 1, 1", r"\{1, 2\}"), ("1, 2", "1, 2, 2"),
        "a list says it, a set does not"),
    Row("plus-minus", r"1\pm\sqrt2", (r"1+\sqrt2, 1-\sqrt2", r"\{1-\sqrt{2},1+\sqrt{2}\}"), (r"1+\sqrt2", r"1\pm\sqrt3"),
        "it is two values"),
    Row("sets", r"\{1,2,3\}", (r"\{3,2,1\}", "1,2,3"), (r"\{1,2\}", r"\{1,2,3,4\}", "(1,2)", "123"), "unordered, complete"),
    Row("tuples", "(1,2)", ("(1, 2)", r"\langle 1,2\rangle", "(x,y)=(1,2)", "x=1,y=2"), ("(2,1)", "[1,2]", "(1,2,3)", "(1,2),(2,1)"),
        "ordered; the brackets of an interval mean something else"),
    Row("several named values", "x=1, y=2", ("y=2, x=1", "1, 2"), ("x=2, y=1", "2, 1"), "names say which is which, else order does"),
    Row("intervals", "[0,1)", (r"0\le x<1", r"x\in[0,1)", "[0,1["), ("(0,1)", "[0,1]", "0,1"), "an open end is not a closed one"),
    Row("unions", r"(-\infty,2)\cup(3,\infty)", (r"(3,\infty)\cup(-\infty,2)", r"x<2\text{ or }x>3"), (r"(-\infty,2)", r"(-\infty,2]\cup(3,\infty)"),
        "unordered, complete"),
    Row("and between inequalities", "(3,4]", (r"x>3\text{ and }x\le 4", r"x>3,\ x\le 4"), (r"x>3\text{ or }x\le 4",),
        "and is the intersection, or the union; a comma is what is not empty"),
    Row("matrices", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", (r"\begin{bmatrix}1&2\\3&4.0\end{bmatrix}",),
        (r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", "-2"), "entry by entry; brackets of a matrix are style"),
    Row("expressions", "x^2+2x+1", ("(x+1)^2", "x(x+2)+1"), ("(x-1)^2", "y^2+2y+1"), "symbolic equality"),
    Row("quantities", r"\sqrt{4\pi G\rho r^2}", (r"2r\sqrt{\pi G\rho}",), (r"2r\sqrt{\pi G}",),
        "several letters under roots are lengths, masses, speeds, and positive; x, y, z, t may be negative"),
    Row("slashes", r"\frac{t}{RC}", ("t/RC", "t/(RC)"), ("t/R+C",), "both readings of t/RC are accepted, as it has no third"),
    Row("sums and integrals", r"\frac{n(n+1)}{2}", (r"\sum_{k=1}^{n} k",), (r"\sum_{k=1}^{n} k^2",), "by value, at whole numbers"),
    Row("left standing", "55", ("55",), (r"\sum_{k=1}^{10} k",), "a number was asked, and this is the question again"),
    Row("constants of integration", "x^2+C", ("x^2+c",), ("x^2", "x^2+x", "Cx^2"), "the constant has no name of its own"),
    Row("functions", "f(x)=2x+3", ("2x+3", "y=2x+3", "f(t)=2t+3"), ("2x", "f(x)=3x+2"), "the name of an argument is free"),
    Row("equations", "y=2x+3", ("2x-y+3=0", "2y=4x+6"), ("y=2x-3", "y=mx+b", "x=2y+3", "y"), "the same up to a constant factor"),
    Row("number bases", "2516_8", ("2516_{8}", "(2516)_8"), ("2516_9",), "the base is part of the number"),
    Row("ratios", "3:4", ("3 : 4", r"\frac{3}{4}"), ("4:3", "0.75", "7"), "a ratio may be written as a fraction, not evaluated"),
    Row("choices", "C", ("(C)", r"\text{C}", "c", "C. 12"), ("B", "C or D", r"\text{not C}", "ABCDE"), "exactly one letter"),
    Row("texts", r"\text{Evelyn}", ("Evelyn", "evelyn."), ("Carla", "E", r"\text{Evelyn or Carla}"), "the same words, no others"),
)  # fmt: skip


def table() -> str:
    """The policy as a Markdown table."""

    def cell(answers: tuple[str, ...]) -> str:
        return " ".join(f"`{answer.replace('|', chr(92) + '|')}`" for answer in answers)

    lines = ["| rule | gold | accepted | refused | why |", "|--|--|--|--|--|"]
    lines += [
        f"| {row.rule} | {cell((row.gold,))} | {cell(row.accepts)} | {cell(row.refuses)} | {row.why} |"
        for row in ROWS
    ]
    return "\n".join(lines)


__doc__ += "\n" + table()
