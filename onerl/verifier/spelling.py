r"""Spellings of one thing folded, as text: unicode, digit groups, clock times, wrapping.

What this returns means the same as what came in; `tokens` cuts it into tokens.
"""

import re
import unicodedata

from onerl.verifier.extract import closing_brace

_CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "﹣": "-", "×": r"\cdot ", "·": r"\cdot ", "⋅": r"\cdot ",
    "÷": "/", "∕": "/", "⁄": "/", "∞": r"\infty ", "°": r"^{\circ}", "º": r"^{\circ}", "、": ",", "。": ".",
    "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∉": r"\notin ", "∅": r"\emptyset ", "±": r"\pm ",
    "∓": r"\mp ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}",
    "∛": r"\sqrt[3]", "’": "'", "‘": "'", "′": "'", "″": "''", "“": "", "”": "", '"': "", "⟨": r"\langle ",
    "⟩": r"\rangle ", "│": "|", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "Ω": r"\Omega ", "Å": r"\AA ", "¢": r"\text{ cents}", "∀": r"\forall ", "→": r"\to ", "⇒": r"\implies ",
    "∫": r"\int ", "∑": r"\sum ", "∏": r"\prod ", "\u00b5": r"\mu ", "⊙": r"\odot ",
}  # fmt: skip
_GREEK = r"alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho"
_CHARACTERS |= {chr(0x3B1 + at): rf"\{name} " for at, name in enumerate(_GREEK.split())}
_GREEK = "sigma tau upsilon phi chi psi omega"
_CHARACTERS |= {chr(0x3C3 + at): rf"\{name} " for at, name in enumerate(_GREEK.split())}
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUBSCRIPT_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_CIRCLED = re.compile("(?<=[①-⑳])(?=[①-⑳])")
_PLAIN_ROOT = re.compile(r"√\s*(?:\(|(\d+(?:\.\d+)?|[a-z]))")

# Digits grouped by a mark that can only be a thousands separator, and by one that could be a list.
_SURE_GROUPS = re.compile(
    r"(?<![\d.])(\d{1,3})((?:(?:,\s?\\!\s?|\{\s?,\s?\}\s?|\\,\s?|\\!\s?|\\ )\d{3})+)(?![\d])"
)
_MAYBE_GROUPS = re.compile(r"(?<![\d.,])([1-9]\d{0,2})((?:,\d{3})+|(?: \d{3})+)(?![\d,])")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z])")
_CLOCK = re.compile(
    r"(:\d\d)\s*\\?,?\s*(?:\\(?:text|mathrm)\s*\{\s*([ap])\.?\s?m\b\.?\s*\}|([ap])\.?\s?m\b\.?)", re.I
)
_TRAILING = ".,;:。．"
_MARKDOWN = re.compile(r"(\*\*|__|\*|`+|['\"“])([^*`_'\"]+)(?:\1|”)")
_CHOSEN = re.compile(r"(?:\{\}\s*[_^]|^\s*\^)\s*\{?(\w+)\}?\s*C\s*_\s*\{?(\w+)\}?")
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
_HYPHEN = re.compile(r"(?i)(?<=ty)-(?=[a-z])|(?<=[a-z]{3})-(?=(?:hal(?:f|ves)|thirds?|[a-z]+ths?|quarters?|years?)\b)")
_APOSTROPHES = re.compile(r"(?<![\d.'])(\d{1,3}(?:'\d{3})+)(?![\d'])")


def strip_wrapping(text: str) -> str:
    """Without math delimiters, boxes, whole-group braces and closing punctuation around it."""
    for _ in range(8):
        before, text = text, text.strip()
        for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            inner = text[len(left) : len(text) - len(right)]
            if text.startswith(left) and text.endswith(right) and left not in inner and inner:
                text = inner.strip()
        cell, mark = _LONE_CELL.fullmatch(text), _MARKDOWN.fullmatch(text)
        text = (cell or mark or ("", "", text))[2].strip()
        box = re.match(r"\\f?box(?:ed)?\s*\{", text)
        if box and closing_brace(text, box.end() - 1) == len(text) - 1:
            text = text[box.end() : -1].strip()
        if text.startswith("{") and "," not in text and closing_brace(text, 0) == len(text) - 1:
            text = text[1:-1].strip()
        while text and text[-1] in _TRAILING and not text.endswith(("\\,", "\\;", "\\:", "..")):
            text = text[:-1].rstrip()
        if text.endswith("\\"):  # a line break, or half of one
            text = text.rstrip("\\").rstrip()
        if text == before:
            break
    return text


def clean(text: str, *, group_digits: bool) -> str:
    """Spelling folded, before tokens are cut. `group_digits` reads "1,234" and "1 234" as one."""
    if any(ord(character) > 127 for character in text):
        text = _ascii(text)
    if "\\\\" in text and "\\begin" not in text.replace("\\\\begin", ""):
        text = _DOUBLED.sub(r"\\", text)
    elif "\\\\begin" in text:
        text = text.replace("\\\\\\\\", "\0").replace("\\\\", "\\").replace("\0", "\\\\")
    text = _CHOSEN.sub(r"\\binom{\1}{\2}", strip_wrapping(text).replace("\\quad", "\\quad "))
    text = _CLOCK.sub(lambda m: rf"{m[1]} \text{{{m[2] or m[3]}m}}", text)
    if "'" in text:
        text = _APOSTROPHES.sub(lambda group: group[0].replace("'", ""), text)
    text = _HYPHEN.sub(" ", _ORDINAL.sub("", _DEGREE.sub(r"^{\\circ}", text)))
    text = _CURRENCY.sub("", _MODULE.sub("", text))
    text = _SURE_GROUPS.sub(_ungroup, text)
    if group_digits:
        text = _MAYBE_GROUPS.sub(_ungroup_outside_brackets, text)
    return text


def _ascii(text: str) -> str:
    """Unicode as LaTeX: letters, signs, superscripts, fractions, digits of any width."""
    text = _CIRCLED.sub(",", _INVISIBLE.sub("", text))
    text = _SUPERSCRIPT_RUN.sub(lambda run: "^{" + run[0].translate(_SUPERSCRIPTS) + "}", text)
    text = _SUBSCRIPT_RUN.sub(lambda run: "_{" + run[0].translate(_SUBSCRIPTS) + "}", text)
    text = _PLAIN_ROOT.sub(lambda m: r"\sqrt{" + m[1] + "}" if m[1] else "sqrt(", text)
    out = []
    for character in text:
        folded = _CHARACTERS.get(character)
        if folded is None and ord(character) > 127:
            folded = unicodedata.normalize("NFKC", character)
            if "⁄" in folded:  # one half, in one character
                folded = r"\frac{" + folded.replace("⁄", "}{") + "}"
        out.append(character if folded is None else folded)
    return "".join(out)


def _ungroup(match: re.Match) -> str:
    return match[1] + re.sub(r"\D", "", match[2])


def _ungroup_outside_brackets(match: re.Match) -> str:
    """(12,102) is a point or an interval; 12,102 may be a number."""
    before = match.string[: match.start()]
    inside = sum(before.count(c) for c in "([") > sum(before.count(c) for c in ")]")
    return match[0] if inside or before.rstrip().endswith("\\{") else _ungroup(match)
