r"""Equal forms and near misses of a gold answer, made mechanically.

For the tests and `benchmarks/verifier.py`: each form is what a model might write instead of the
gold, each near miss what it might write when it is wrong. A form is made only where it is
certainly equal (a decimal only for a terminating fraction, a unit only behind a bare number).
"""

import re
from fractions import Fraction

_INTEGER = re.compile(r"-?\d+")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_FRACTION = re.compile(r"(-?)\\[dt]?frac\{(-?\d+)\}\{(\d+)\}")
_SLASH = re.compile(r"(-?\d+)/(\d+)")


def bare(gold: str) -> str:
    gold = gold.strip()
    return gold[1:-1] if re.fullmatch(r"\$[^$]*\$", gold) else gold


def value(gold: str) -> Fraction | None:
    text = bare(gold)
    if _INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text):
        return Fraction(text)
    fraction = _FRACTION.fullmatch(text)
    if fraction:
        return Fraction(int(fraction[2]), int(fraction[3])) * (-1 if fraction[1] else 1)
    slash = _SLASH.fullmatch(text)
    return Fraction(int(slash[1]), int(slash[2])) if slash else None


def equal_forms(gold: str) -> dict[str, str]:
    """name -> the content of a box that must be accepted."""
    text = bare(gold)
    forms = {
        "verbatim": gold,
        "period": gold + ".",
        "dollars": f"${text}$",
        "display": rf"\displaystyle {text}",
        "padded": f"  {text} ",
        "parens": rf"\({text}\)",
        "braces": "{" + text + "}",
    }
    if "\\frac" in text:
        forms["dfrac"] = text.replace("\\frac", "\\dfrac")
        forms["tfrac"] = text.replace("\\frac", "\\tfrac")
    if "(" in text and "\\left" not in text and ")" in text and "[" not in text:
        forms["left-right"] = text.replace("(", "\\left(").replace(")", "\\right)")
    needed = re.search(r"\\text|[A-Za-z] [A-Za-z]|\\[a-z]+ |\d \d", text)
    if " " in text and not needed:
        forms["tight"] = re.sub(r"(?<!\\) ", "", text)
    if "+" in text and "\\text" not in text:
        forms["spaced"] = text.replace("+", " + ")
    number = value(gold)
    if number is None:
        return forms
    whole = number.denominator == 1
    forms["named"] = f"n={text}"
    forms["unit"] = text + r" \text{ units}"
    forms["plus-zero"] = f"{text}+0"
    if whole:
        digits = str(int(number))
        forms["point-zero"] = digits + ".0"
        forms["fraction-over-one"] = rf"\frac{{{digits}}}{{1}}"
        if abs(number) >= 1000:
            forms["thousands"] = f"{int(number):,}"
            forms["thousands-latex"] = f"{int(number):,}".replace(",", "{,}")
            forms["thousands-thin"] = f"{int(number):,}".replace(",", "\\,")
        forms["doubled"] = rf"\frac{{{2 * int(number)}}}{{2}}"
    else:
        sign = "-" if number < 0 else ""
        top, bottom = abs(number.numerator), number.denominator
        forms["slash"] = f"{sign}{top}/{bottom}"
        forms["unreduced"] = rf"{sign}\frac{{{3 * top}}}{{{3 * bottom}}}"
        forms["percent-free decimal"] = _decimal(number)
        if top > bottom:
            mixed = rf"{sign}{top // bottom}\frac{{{top % bottom}}}{{{bottom}}}"
            forms["mixed"] = mixed if not sign else rf"-\left({mixed[1:]}\right)"
    return forms


def _decimal(number: Fraction) -> str:
    """All decimals if they end within twelve, else ten correct ones."""
    bottom = number.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    places = 10 if bottom != 1 else 12
    scaled = round(abs(number) * 10**places)
    digits = str(scaled).zfill(places + 1)
    text = f"{digits[:-places]}.{digits[-places:]}"
    return ("-" if number < 0 else "") + (text if bottom != 1 else text.rstrip("0").rstrip("."))


def near_misses(gold: str) -> dict[str, str]:
    """name -> the content of a box that must be refused."""
    text = bare(gold)
    misses = {
        "or next": rf"{text} \text{{ or }} {text}+1",
        "list": f"{text}, 987654",
        "empty": "",
    }
    if text != "0":
        misses["times x"] = f"({text})x" if "x" not in text else f"({text})w"
    digit = re.search(r"(?<![_{])\d", text)
    if digit:
        other = str((int(digit[0]) + 1) % 10)
        if other == "0":
            other = "1"
        changed = text[: digit.start()] + other + text[digit.end() :]
        misses["digit"] = changed
    number = value(gold)
    if number is None:
        return misses
    misses["plus one"] = f"{text}+1"
    if number:
        misses["sign"] = text[1:] if text.startswith("-") else "-" + text
        misses["times ten"] = f"10({text})"
        misses["half more"] = f"{text}+0.5"
    if number.denominator == 1 and abs(number) >= 10 and "." not in text:
        misses["last digit dropped"] = text[:-1]
        misses["percent of it"] = f"{text}/100"
        misses["off by a thousandth"] = f"{text}.001"
    if number.denominator > 1:
        misses["upside down"] = f"{number.denominator}/{number.numerator}"
        two = round(float(number), 2)
        if Fraction(str(two)) != number:
            misses["rounded"] = str(two)
    return misses
