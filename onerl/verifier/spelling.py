r"""Spellings of one thing folded, as text: unicode, digit groups, clock times, wrapping.

What this returns means the same as what came in; `tokens` cuts it into tokens.
"""

import re

from onerl.verifier.extract import closing_brace

_CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "×": r"\cdot ", "·": r"\cdot ", "⋅": r"\cdot ",
    "÷": "/", "∕": "/", "π": r"\pi ", "∞": r"\infty ", "°": r"^{\circ}", "º": r"^{\circ}",
    "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "±": r"\pm ", "∓": r"\mp ",
    "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
    "⅔": r"\frac{2}{3}", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "ℝ": r"\mathbb{R}",
    "∛": r"\sqrt[3]", "’": "'", "′": "'", "⟨": r"\langle ", "⟩": r"\rangle ", "│": "|",
    "ω": r"\omega ", "λ": r"\lambda ", "φ": r"\phi ", "μ": r"\mu ", "ℤ": r"\mathbb{Z}",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2003": " ", "\u3000": " ",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_FULLWIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_PLAIN_ROOT = re.compile(r"√\s*(?:\(|(\d+(?:\.\d+)?|[a-z]))")

# Digits grouped by a mark that can only be a thousands separator, and by one that could be a list.
_SURE_GROUPS = re.compile(
    r"(?<![\d.])(\d{1,3})((?:(?:,\s?\\!\s?|\{\s?,\s?\}\s?|\\,\s?|\\!\s?|\\ )\d{3})+)(?![\d])"
)
_MAYBE_GROUPS = re.compile(r"(?<![\d.,])([1-9]\d{0,2})((?:,\d{3})+|(?: \d{3})+)(?![\d,])")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z])")
_CLOCK = re.compile(
    r"(:\d\d)\s*\\?,?\s*(?:\\(?:text|mathrm)\s*\{\s*)?([ap])\.?\s?m\b\.?(?:\s*\})?", re.I
)
_TRAILING = ".,;:"


def strip_wrapping(text: str) -> str:
    """Without math delimiters, boxes, whole-group braces and closing punctuation around it."""
    for _ in range(8):
        before, text = text, text.strip()
        for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            inner = text[len(left) : len(text) - len(right)]
            if text.startswith(left) and text.endswith(right) and left not in inner and inner:
                text = inner.strip()
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
        text = _SUPERSCRIPT_RUN.sub(lambda run: "^{" + run[0].translate(_SUPERSCRIPTS) + "}", text)
        text = _PLAIN_ROOT.sub(lambda m: r"\sqrt{" + m[1] + "}" if m[1] else "sqrt(", text)
        text = text.translate(_FULLWIDTH)
        for character, latex in _CHARACTERS.items():
            text = text.replace(character, latex)
    if "\\\\" in text and "\\begin" not in text.replace("\\\\begin", ""):
        text = _DOUBLED.sub(r"\\", text)
    elif "\\\\begin" in text:
        text = text.replace("\\\\\\\\", "\0").replace("\\\\", "\\").replace("\0", "\\\\")
    text = strip_wrapping(text)
    text = _CLOCK.sub(r"\1 \\text{\2m}", text)
    text = _SURE_GROUPS.sub(_ungroup, text)
    if group_digits:
        text = _MAYBE_GROUPS.sub(_ungroup_outside_brackets, text)
    return text


def _ungroup(match: re.Match) -> str:
    return match[1] + re.sub(r"\D", "", match[2])


def _ungroup_outside_brackets(match: re.Match) -> str:
    """(12,102) is a point or an interval; 12,102 may be a number."""
    before = match.string[: match.start()]
    inside = sum(before.count(c) for c in "([") > sum(before.count(c) for c in ")]")
    return match[0] if inside or before.rstrip().endswith("\\{") else _ungroup(match)
