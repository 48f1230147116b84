r"""LaTeX to tokens: the only place that knows how answers are spelled.

What never changes a value is dropped here (spacing, ``\left``, fonts, dollar signs of math mode)
and spellings of one thing are folded (``\dfrac``, ``\leq``, unicode). Everything after works on
tokens.
"""
# word lists read better as words
# ruff: noqa: SIM905

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from onerl.verifier import units, vocabulary
from onerl.verifier.extract import closing_brace
from onerl.verifier.spelling import clean

MAX_DEPTH = 40  # nesting of brackets; deeper text is no answer
MAX_TOKENS = 1200


class UnreadableError(Exception):
    """The text cannot be read as an answer."""


class Token(NamedTuple):
    """kind: num, letter, word, cmd, op, open, close, unit, sep, rel."""

    kind: str
    text: str
    space: bool = False


FUNCTIONS = vocabulary.words("functions")
_COMMANDS = vocabulary.names("commands")
_DROPPED, _SPLICED, _TEXT, _IGNORED, _LETTERS, _ENGLISH, _UNSPACED = map(
    vocabulary.words,
    ("dropped", "spliced", "text", "ignored", "letters", "english", "unspaced"),
)
# signs, escaped signs and commands that are one token
_SIGNS = {
    **{sign: ("op", sign) for sign in (*"+-*/^_!,;:|'&%?.", "\\\\")},
    **{sign: ("open", sign) for sign in ("(", "[", "{", "\\{", "langle", "lfloor", "lceil")},
    **{sign: ("close", sign) for sign in (")", "]", "}", "\\}", "rangle", "rfloor", "rceil")},
    **{sign: ("rel", sign) for sign in "< > = le ge ne in notin approx equiv sim".split()},
    **dict.fromkeys("Rightarrow therefore because iff Leftrightarrow".split(), ("op", "=>")),
    "<=": ("rel", "le"), ">=": ("rel", "ge"), "!=": ("rel", "ne"), ":=": ("rel", "="),
    "\\%": ("op", "%"), "\\&": ("op", "&"), "\\|": ("op", "|"), "**": ("op", "^"),
    "cdot": ("op", "*"), "prime": ("op", "'"), "i": ("letter", "i"),
    "and": ("sep", "and"), "or": ("sep", "or"),
    "\\$": ("unit", "usd"), "£": ("unit", "gbp"), "€": ("unit", "eur"),
}  # fmt: skip
_WORDS = {
    "and": ("sep", "and"), "or": ("sep", "or"), "in": ("rel", "in"), "oo": ("word", "oo"),
    "pi": ("cmd", "pi"), "mod": ("cmd", "mod"),
    **dict.fromkeys(("infinity", "infty", "inf"), ("cmd", "infty")),
    **dict.fromkeys(("percent", "pct", "percentage"), ("op", "%")),
}  # fmt: skip
_NEGATION = {"=": "ne", "in": "notin", "<": "ge", ">": "le", "le": ">", "ge": "<"}
_LEXEME = re.compile(
    r"(?P<space>\s+|~|\\[,;:!> ]|\\$)"
    r"|(?P<num>\d+(?:\.(?:\d+|(?![.\d])))?|\.\d+)"
    r"|\\(?P<cmd>[A-Za-z]+)\*?"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<dots>\.\.\.+)"
    r"|(?P<sign>\\.|<=|>=|!=|:=|\*\*|.)(?:(?<=\\\\)\s?\[\d[^\]]*\])?",
    re.S,
)
_ARRAYS = frozenset(("begin{array}", "begin{aligned}", "begin{alignedat}", "begin{tabular}"))
_COLUMNS = re.compile(r"\s*\{[lcr|\s\d]*\}")
_GROUP = re.compile(r" *\{")
_LETTER = re.compile(r"\s*(\\?[A-Za-z](?:(?<=\\[A-Za-z])[A-Za-z]+)?)")
_NEGATED = re.compile(r"\s*(?:\\([A-Za-z]+)|([=<>]))")


def tokenise(text: str, *, group_digits: bool = True) -> list[Token]:
    """The tokens of an answer. Raises UnreadableError."""
    tokens: list[Token] = []
    _lex(clean(text, group_digits=group_digits), tokens, 0)
    if len(tokens) > MAX_DEPTH and max(depths(tokens)) > MAX_DEPTH:
        raise UnreadableError("nested too deeply")
    return _fold_units(tokens)


def depths(tokens: list[Token]) -> Iterator[int]:
    """How many brackets are open behind each token."""
    return itertools.accumulate((t.kind == "open") - (t.kind == "close") for t in tokens)


def _lex(text: str, out: list[Token], nesting: int, *, said: bool = False) -> None:
    r"""Appends the tokens of `text`; `said` inside \text{}, where letters are words."""
    if nesting > 6:
        raise UnreadableError("nested too deeply")
    position, space = 0, said
    while position < len(text):
        match = _LEXEME.match(text, position)
        position = match.end()
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "space":
            space = True
            continue
        if kind == "sign":
            if value in _SIGNS and not (said and value in ".;"):
                out.append(Token(*_SIGNS[value], space))
            elif value not in ("$", ".", ";", "\\(", "\\)", "\\[", "\\]"):  # math delimiters
                raise UnreadableError(repr(value))
        elif kind == "num":
            repeats = value.endswith(".") and text.startswith("\\overline", position)
            out.append(Token("num", value if repeats else value.rstrip("."), space))
        elif kind == "word":
            _word(value, out, space, said)
        elif kind == "cmd":
            position = _command(value, text, position, out, space, nesting)
        else:
            out.append(Token("cmd", "dots", space))
        space = False
        if len(out) > MAX_TOKENS:
            raise UnreadableError("too long")


def _command(name: str, text: str, position: int, out: list, space: bool, nesting: int) -> int:
    """Appends what the command at `position` means; returns where reading goes on."""
    name = _COMMANDS.get(name, name)
    if name in _DROPPED:
        # "\left." and "\right." are invisible brackets.
        return position + (name in ("left", "right") and text.startswith(".", position))
    group = _GROUP.match(text, position)
    close = closing_brace(text, group.end() - 1) if group else -1
    letter = _LETTER.match(text, position) if name in ("dot", "ddot") and close < 0 else None
    content = text[group.end() : close] if close > 0 else letter and letter[1]
    apart = space or (close > 0 and len(group[0]) > 1)
    if content is not None and _group(name, content, out, apart, nesting):
        arrays = name == "begin" and out[-1].text in _ARRAYS
        columns = _COLUMNS.match(text, close + 1) if arrays else None
        return (columns or letter).end() if columns or letter else close + 1
    if name == "not":  # negates the sign that follows
        negated = _NEGATED.match(text, position)
        sign = negated and (_COMMANDS.get(negated[1], negated[1]) or negated[2])
        if sign not in _NEGATION:
            raise UnreadableError("\\not")
        out.append(Token("rel", _NEGATION[sign], space))
        return negated.end()
    if name in _SIGNS:
        out.append(Token(*_SIGNS[name], space))
    elif name in _LETTERS:
        out.append(Token("letter", "\\" + name, space))
    elif name == "AA" and _measures(out[-1] if out else None):
        out.append(Token("unit", "angstrom", space))
    elif name not in _SPLICED and name not in _TEXT:
        out.append(Token("cmd", name, space))
    return position


def _group(name: str, content: str, out: list[Token], space: bool, nesting: int) -> bool:
    """Appends a command that takes the group behind it; False for one that does not."""
    if name in _TEXT:
        _text(content, out, space, nesting)
    elif name in _SPLICED:
        _lex(content, out, nesting + 1)
    elif name in ("dot", "ddot"):
        _lex(content, out, nesting + 1)
        out += [Token("op", "'")] * (1 + (name == "ddot"))
    elif name in ("begin", "end"):
        out.append(Token("cmd", name + "{" + content.strip("*") + "}", space))
    else:
        return name in _IGNORED
    return True


def _word(word: str, out: list[Token], space: bool, said: bool) -> None:
    """A run of plain letters: a function, separator, unit, word, or product of variables."""
    lower = word.lower()
    previous = out[-1] if out else None
    measures = _measures(previous)
    if lower in _WORDS and (lower != "in" or previous is None or previous.kind == "letter"):
        kind, text = _WORDS[lower]
        out.append(Token(kind, text, space))
    elif measures and said and units.said_unit(word):
        out.append(Token("unit", units.said_unit(word), space))
    elif lower in FUNCTIONS or ((said or len(word) > 2) and _COMMANDS.get(lower) in FUNCTIONS):
        out.append(Token("cmd", _COMMANDS.get(lower, lower), space))
    elif word in ("C", "F") and any(token.text == "circ" for token in out[-2:]):
        out.append(Token("unit", lower, space))
    elif len(word) == 1:
        out.append(Token("letter", word, space))
    elif measures and units.is_unit(word, modifiers=True) and (space or lower not in _UNSPACED):
        out.append(Token("unit", lower, space))
    elif len(word) > 3 or lower in _ENGLISH or (said and not word.isupper()):
        out.append(Token("word", word, space))
    else:
        out += [Token("letter", letter, space and not at) for at, letter in enumerate(word)]


_BEFORE_UNITS = frozenset(("/", "%", "*", "pi", "circ"))


def _measures(token: Token | None) -> bool:
    """Whether a unit can follow: after a number, a bracket or another unit."""
    if token is None:
        return False
    return token.kind in ("num", "close", "unit", "word") or token.text in _BEFORE_UNITS


def _text(content: str, out: list[Token], space: bool, nesting: int) -> None:
    """The content of \\text{...} and its kin."""
    words = content.replace("$", "").replace("~", " ").strip()
    lower = re.sub(r"[\s,]+", " ", words).strip(" .").lower()
    if not lower:
        if "," in words:
            out.append(Token("op", ",", space))
    elif lower in ("am", "pm", "a.m", "p.m"):
        out.append(Token("word", lower.replace(".", ""), space))
    elif lower in ("i", "e", "d") and words == lower:
        out.append(Token("letter", lower, space))
    else:
        _lex(words, out, nesting + 1, said=not any(sign in words for sign in "=<>"))


_FOLDED = frozenset(("frac", "\\mu", "\\Omega", "^"))


def _fold_units(tokens: list[Token]) -> list[Token]:
    r"""\frac{unit}{unit} becomes unit / unit; micro, kilo-ohm and the sun's units one unit each."""
    out: list[Token] = []
    index = 0
    while index < len(tokens):
        token, last = tokens[index], out[-1] if out else None
        if token.kind != "unit" and token.text not in _FOLDED:
            out.append(token)
            index += 1
            continue
        texts = [t.text for t in tokens[index + 1 : index + 7]]
        kinds = [t.kind for t in tokens[index + 1 : index + 7]]
        units_of = texts[:1] + texts[2:4] + texts[5:] == ["{", "}", "{", "}"]
        if token.text == "frac" and last and units_of and all(
            (kind in ("unit", "word") or (kind == "letter" and token.space)) and units.is_unit(text)
            for kind, text in ((kinds[1], texts[1]), (kinds[4], texts[4]))
        ):  # fmt: skip
            out += [Token("unit", texts[1], True), Token("unit", "/"), Token("unit", texts[4])]
            index += 6
        elif token.text == "\\mu" and _measures(last) and kinds[:1] in (["unit"], ["letter"]) and (
            kinds != ["letter"] or texts[0] in "msgFAV"
        ):  # fmt: skip
            out.append(Token("unit", "u" + texts[0].lower(), token.space))
            index += 1
        elif token.kind == "unit" and texts[:1] == ["_"] and "\\odot" in texts[1:3]:
            out.append(Token("unit", token.text.lower() + "sun", token.space))
            index += texts.index("\\odot") + (texts[1] == "{") + 1
        elif token.kind == "unit" and len(token.text) == 1 and texts[:1] == ["_"]:
            out.append(Token("letter", token.text.upper(), token.space))  # a digit: 2A_{16}
        elif token.text == "\\Omega" and last is not None and last.text in ("k", "m", "\\mu"):
            out[-1] = Token("unit", last.text[-1] + "ohm", last.space)
        elif token.text == "^" and texts[:2] == ["{", "'"] and "}" in texts:
            primes = texts.index("}") - 1  # a prime written as a power
            out += [Token("op", "'")] * primes
            index += primes + 2
        else:
            out.append(token)
        index += 1
    return out


def spell(tokens: list[Token]) -> str:
    """One canonical spelling, for comparing texts and naming things that are not evaluated."""
    return " ".join(token.text for token in tokens if token.text not in ("{", "}"))
