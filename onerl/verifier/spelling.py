r"""Spellings of one thing folded, as text: unicode, digit groups, clock times, wrapping.

What this returns means the same as what came in; `tokens` cuts it into tokens.
"""

import re
import unicodedata
from functools import lru_cache

from onerl.verifier import vocabulary
from onerl.verifier.extract import closing_brace

_FOLDED = {
    ord(character): name + " " if name[-1].isalpha() else name
    for character, name in vocabulary.names("characters").items()
    if not character.isascii()
} | dict.fromkeys(map(ord, '“”"'), "")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_CIRCLED = re.compile("(?<=[①-⑳])(?=[①-⑳])")
_PLAIN_ROOT = re.compile(r"√\s*(?:\(|(\d+(?:\.\d+)?|[a-z]))")

# Digits grouped by a mark that can only be a thousands separator, and by one that could be a list.
_SURE_GROUPS = re.compile(
    r"(?<![\d.])\d{1,3}(?:(?:,\s?\\!\s?|\{\s?,\s?\}\s?|\\,\s?|\\!\s?|\\ )\d{3})+(?!\d)"
)
_MAYBE_GROUPS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+)(?![\d,])")
_APOSTROPHES = re.compile(r"(?<![\d.'])\d{1,3}(?:'\d{3})+(?![\d'])")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z])")
_CLOCK = re.compile(
    r"(:\d\d)\s*\\?,?\s*(?:\\(?:text|mathrm)\s*\{\s*([ap])\.?\s?m\b\.?\s*\}|([ap])\.?\s?m\b\.?)",
    re.I,
)
_TRAILING = ".,;:。．"
_MARKDOWN = re.compile(r"(\*\*|__|\*|`+|['\"“])([^*`_'\"]+)(?:\1|”)")
_CHOSEN = re.compile(r"(?:\{\}\s*[_^]|^\s*\^)\s*\{?(\w+)\}?\s*C\s*_\s*\{?(\w+)\}?")
_BOX = re.compile(r"\\f?box(?:ed)?\s*\{")
_ORDINAL = re.compile(
    r"(?<=\d)(?:\s*\^?\s*\{?\s*\\(?:text|mathrm|textsuperscript|rm)\s*\{\s*(?:st|nd|rd|th)\s*\}"
    r"|\s*\^\s*\{(?:st|nd|rd|th)\}|(?:st|nd|rd|th)\b)"
)
_DEGREE = re.compile(r"(?<=\d)\s*\^\s*(?:o(?![A-Za-z])|\{\s*o\s*\})")
_MODULE = re.compile(r"\b(?:np|numpy|math|sympy|sp)\.(?=[a-z])")
_CURRENCY = re.compile(r"\b(?:US|CA|AU)\s?(?=\\?\$)|\b(?:USD|EUR|GBP)\s(?=\d)")
_LONE_CELL = re.compile(
    r"\\begin\{(array|aligned|align\*?|gathered|tabular)\}(?:\{[lcr|]*\})?([^&\\]*)\\end\{\1\}"
)
# twenty-one, three-eighths, light-years
_HYPHEN = re.compile(
    r"(?i)(?<=ty)-(?=[a-z])|(?<=[a-z]{3})-(?=(?:hal(?:f|ves)|thirds?|[a-z]+ths?|quarters?|years?)\b)"
)
_WRAPPED = frozenset("$\\{*_`'\"“")


@lru_cache(256)  # one verdict asks for the same few texts several times
def strip_wrapping(text: str) -> str:
    """Without math delimiters, boxes, whole-group braces and closing punctuation around it."""
    for _ in range(8):
        before, text = text, text.strip()
        if text[:1] in _WRAPPED:
            text = _unwrapped(text)
        while text and text[-1] in _TRAILING and not text.endswith(("\\,", "\\;", "\\:", "..")):
            text = text[:-1].rstrip()
        if text.endswith("\\"):  # a line break, or half of one
            text = text.rstrip("\\").rstrip()
        if text == before:
            break
    return text


def _unwrapped(text: str) -> str:
    for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        inner = text[len(left) : len(text) - len(right)]
        if text.startswith(left) and text.endswith(right) and left not in inner and inner:
            return inner.strip()
    if text[0] not in "{\\":
        mark = _MARKDOWN.fullmatch(text)
        return mark[2] if mark else text
    cell = _LONE_CELL.fullmatch(text) if text.startswith("\\begin") else None
    if cell:
        return cell[2]
    box = _BOX.match(text)
    if box and closing_brace(text, box.end() - 1) == len(text) - 1:
        return text[box.end() : -1]
    if text[0] == "{" and "," not in text and closing_brace(text, 0) == len(text) - 1:
        return text[1:-1]
    return text


def clean(text: str, *, group_digits: bool) -> str:
    """Spelling folded, before tokens are cut. `group_digits` reads "1,234" and "1 234" as one."""
    if not text.isascii():
        text = _ascii(text)
    if "\\\\" in text and "\\begin" not in text.replace("\\\\begin", ""):
        text = _DOUBLED.sub(r"\\", text)
    elif "\\\\begin" in text:
        text = text.replace("\\\\\\\\", "\0").replace("\\\\", "\\").replace("\0", "\\\\")
    text = strip_wrapping(text).replace("\\quad", "\\quad ").replace("{:}", ":")
    text = _CHOSEN.sub(r"\\binom{\1}{\2}", text)
    text = _CLOCK.sub(lambda m: rf"{m[1]} \text{{{m[2] or m[3]}m}}", text)
    if "'" in text:
        text = _APOSTROPHES.sub(_ungrouped, text)
    text = _HYPHEN.sub(" ", _ORDINAL.sub("", _DEGREE.sub(r"^{\\circ}", text)))
    text = _CURRENCY.sub("", _MODULE.sub("", text))
    text = _SURE_GROUPS.sub(_ungrouped, text)
    return _MAYBE_GROUPS.sub(_ungrouped_outside_brackets, text) if group_digits else text


def _ascii(text: str) -> str:
    """Unicode as LaTeX: letters, signs, superscripts, fractions, digits of any width."""
    text = _CIRCLED.sub(",", _INVISIBLE.sub("", text))
    text = _RAISED.sub(lambda run: "^{" + _compatible(run[0]) + "}", text)
    text = _LOWERED.sub(lambda run: "_{" + _compatible(run[0]) + "}", text)
    text = _PLAIN_ROOT.sub(lambda m: r"\sqrt{" + m[1] + "}" if m[1] else "sqrt(", text)
    text = text.translate(_FOLDED)
    return text if text.isascii() else "".join(map(_compatible, text))


def _compatible(text: str) -> str:
    """Characters as the plain ones that they stand for: ² as 2, ½ as a fraction."""
    plain = unicodedata.normalize("NFKC", text)
    return r"\frac{" + plain.replace("⁄", "}{") + "}" if "⁄" in plain else plain


def _ungrouped(match: re.Match) -> str:
    return re.sub(r"\D", "", match[0])


def _ungrouped_outside_brackets(match: re.Match) -> str:
    """(12,102) is a point or an interval; 12,102 may be a number."""
    before = match.string[: match.start()]
    inside = sum(before.count(c) for c in "([") > sum(before.count(c) for c in ")]")
    return match[0] if inside or before.rstrip().endswith("\\{") else _ungrouped(match)
