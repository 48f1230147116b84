r"""LaTeX to tokens: the only place that knows how answers are spelled.

What never changes a value is dropped here (spacing, ``\left``, fonts, dollar signs of math mode)
and spellings of one thing are folded (``\dfrac``, ``\leq``, unicode). Everything after works on
tokens.
"""
# Word lists read better as words.
# ruff: noqa: SIM905

import re
from typing import NamedTuple

from onerl.verifier import units
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


_SYNONYMS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom",
    "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "lt": "<", "gt": ">",
    "times": "cdot", "ast": "cdot", "div": "/", "varnothing": "emptyset", "lbrack": "[",
    "rbrack": "]", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "colon": ":", "land": "and",
    "wedge": "and", "lor": "or", "vee": "or", "infin": "infty", "simeq": "approx",
    "approxeq": "approx", "thickapprox": "approx", "doteq": "=", "lbrace": "{", "rbrace": "}",
    "tg": "tan", "ctg": "cot", "sh": "sinh", "ch": "cosh", "th": "tanh", "surd": "sqrt",
    **{prefix + name: "a" + name for prefix in ("arc", "ar") for name in (
        "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")},
    "varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "implies": "Rightarrow",
    "bigcup": "cup", "backslash": "setminus", "smallsetminus": "setminus",
    **{name: "dots" for name in ("ldots", "cdots", "hdots", "dotsc", "dotsb")},
    "lg": "log10", "degree": "circ", "degrees": "circ",
    "imaginaryI": "i", "pounds": "£", "euro": "€", "bmod": "mod", **{name: "Rightarrow" for name in ("rightarrow", "longrightarrow", "Longrightarrow", "mapsto")},
    "qquad": "quad",
}  # fmt: skip
_DROPPED = frozenset(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm displaystyle "
    "textstyle scriptstyle limits nolimits thinspace enspace hfill rm bf it mathstrut "
    "nonumber hline strut middle allowbreak nobreak centering small large normalsize".split()
)
_SPLICED = frozenset(
    "mathbf boldsymbol bm mathit mathcal mathscr vec overrightarrow hat widehat tilde bar "
    "mathbin mathrel mathord ensuremath underline color textcolor boxed fbox".split()
)
_TEXT = frozenset(
    "text textbf textit textrm textsf texttt textnormal mathrm mathsf mathtt mbox hbox "
    "operatorname emph mathnormal".split()
)
_IGNORED_WITH_GROUP = frozenset("hspace vspace phantom hphantom label tag color".split())
FUNCTIONS = frozenset(
    "sin cos tan cot sec csc sinh cosh tanh coth sech csch asin acos atan acot asec acsc asinh acosh "
    "atanh ln log log10 exp sqrt max min gcd lcm abs floor ceil cis".split()
)
_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar ell "
    "imath jmath nabla partial mho odot oplus star infty_ Re Im aleph".split()
)
_WORD_TOKENS = {
    "and": ("sep", "and"), "or": ("sep", "or"), "pi": ("cmd", "pi"), "infinity": ("cmd", "infty"),
    "infty": ("cmd", "infty"), "inf": ("cmd", "infty"), "oo": ("word", "oo"),
    "percent": ("op", "%"),
    "pct": ("op", "%"), "percentage": ("op", "%"), "in": ("word", "in"), "mod": ("cmd", "mod"),
}  # fmt: skip
# Short plain words that are not products of variables.
_ENGLISH = frozenset(
    "no yes not all odd any one two six ten the nan inf its per for are non zoo and oo if is of "
    "the day sum red dne".split()
)
_LEXEME = re.compile(
    r"(?P<space>\s+|~|\\[,;:!> ]|\\$)"
    r"|(?P<num>\d+(?:\.(?:\d+|(?![.\d])))?|\.\d+)"
    r"|(?P<row>\\\\(?:\s?\[\d[^\]]*\])?)"
    r"|\\(?P<cmd>[A-Za-z]+)\*?"
    r"|\\(?P<escaped>.)"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<sign><=|>=|!=|:=|\.\.\.+|\*\*|.)",
    re.S,
)
_ARRAYS = frozenset(("begin{array}", "begin{aligned}", "begin{alignedat}", "begin{tabular}"))
_COLUMNS = re.compile(r"\s*\{[lcr|\s\d]*\}")
_LETTER = re.compile(r"\s*(\\?[A-Za-z](?:(?<=\\[A-Za-z])[A-Za-z]+)?)")
_NEGATED = re.compile(r"\s*(?:\\([A-Za-z]+)|([=<>]))")
_NEGATION = {"=": "ne", "in": "notin", "<": "ge", ">": "le", "le": ">", "ge": "<", "leq": ">",
             "geq": "<"}  # fmt: skip
_RELATIONS = {
    "<": "<", ">": ">", "<=": "le", ">=": "ge", "!=": "ne", "=": "=", ":=": "=",
}  # fmt: skip
# commands that are one token
_SIMPLE = {
    "prime": ("op", "'"), "and": ("sep", "and"), "or": ("sep", "or"), "i": ("letter", "i"),
    "cdot": ("op", "*"), "langle": ("open", "langle"), "rangle": ("close", "rangle"),
    "£": ("unit", "gbp"), "€": ("unit", "eur"),
    **{name: ("rel", name) for name in "le ge ne < > = in approx equiv sim notin".split()},
    **{name: ("open", name) for name in ("lfloor", "lceil")},
    **{name: ("close", name) for name in ("rfloor", "rceil")},
    **{name: ("op", name) for name in "|:/"},
    **{name: ("op", "=>") for name in "Rightarrow therefore because iff Leftrightarrow".split()},
}  # fmt: skip
_BRACKETS = {"(": "open", "[": "open", "{": "open", ")": "close", "]": "close", "}": "close"}


def tokenise(text: str, *, group_digits: bool = True) -> list[Token]:
    """The tokens of an answer. Raises UnreadableError."""
    tokens: list[Token] = []
    _lex(clean(text, group_digits=group_digits), tokens, 0)
    depth = 0
    for token in tokens:
        depth += (token.kind == "open") - (token.kind == "close")
        if depth > MAX_DEPTH:
            raise UnreadableError("nested too deeply")
    return _fold_units(tokens)


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
        if kind == "cmd":
            position = _command(value, text, position, out, space, nesting)
        elif kind == "word":
            _word(value, out, space, said)
        elif kind == "num":
            repeats = value.endswith(".") and text.startswith("\\overline", position)
            out.append(Token("num", value if repeats else value.rstrip("."), space))
        elif kind == "row":
            out.append(Token("op", "\\\\", space))
        elif kind == "escaped":
            _escaped(value, out, space)
        else:
            _sign(value, out, space, said)
        space = False
        if len(out) > MAX_TOKENS:
            raise UnreadableError("too long")


def _escaped(value: str, out: list[Token], space: bool) -> None:
    if value in "{}":
        out.append(Token("open" if value == "{" else "close", "\\" + value, space))
    elif value in "%&":
        out.append(Token("op", value, space))
    elif value == "$":
        out.append(Token("unit", "usd", space))
    elif value == "|":
        out.append(Token("op", "|", space))
    elif value not in "()[]":  # stray math delimiters are dropped
        raise UnreadableError(f"\\{value}")


def _sign(value: str, out: list[Token], space: bool, said: bool = False) -> None:
    if value == "$" or (said and value in ".;"):
        return
    if value in "£€":
        out.append(Token("unit", "gbp" if value == "£" else "eur", space))
    elif value in _BRACKETS:
        out.append(Token(_BRACKETS[value], value, space))
    elif value in _RELATIONS:
        out.append(Token("rel", _RELATIONS[value], space))
    elif value == "*" or value == "**":
        out.append(Token("op", "*" if value == "*" else "^", space))
    elif value in "+-/^_!,;:|'&%?.":
        out.append(Token("op", value, space))
    elif value.startswith("..."):
        out.append(Token("cmd", "dots", space))
    else:
        raise UnreadableError(repr(value))


def _command(name: str, text: str, position: int, out: list, space: bool, nesting: int) -> int:
    """Appends what the command at `position` means; returns where reading goes on."""
    name = _SYNONYMS.get(name, name)
    if name in _DROPPED:
        # "\left." and "\right." are invisible brackets.
        if name in ("left", "right") and text[position : position + 1] == ".":
            return position + 1
        return position
    opening = position
    while text[opening : opening + 1] == " ":
        opening += 1
    close = closing_brace(text, opening) if text[opening : opening + 1] == "{" else -1
    if close > 0:
        after = _group(name, text[opening + 1 : close], out, space or position < opening, nesting)
        if after:
            arrays = name == "begin" and out[-1].text in _ARRAYS
            columns = _COLUMNS.match(text, close + 1) if arrays else None
            return columns.end() if columns else close + 1
    if name in ("dot", "ddot") and close < 0:
        letter = _LETTER.match(text, position)
        if letter and _group(name, letter[1], out, space, nesting):
            return letter.end()
    if name == "not":  # negates the sign that follows
        negated = _NEGATED.match(text, position)
        sign = _NEGATION.get(negated[1] or negated[2]) if negated else None
        if sign is None:
            raise UnreadableError("\\not")
        out.append(Token("rel", sign, space))
        return negated.end()
    if name in _SPLICED or name in _TEXT:
        return position
    kind, said = _SIMPLE.get(name, ("", ""))
    if kind:
        out.append(Token(kind, said, space))
    elif name in _BRACKETS:
        bracket = name if name not in "{}" else "\\" + name
        out.append(Token(_BRACKETS[name], bracket, space))
    elif name in _GREEK:
        out.append(Token("letter", "\\" + name, space))
    elif name == "AA" and _measures(out[-1] if out else None):
        out.append(Token("unit", "angstrom", space))
    else:
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
        out.extend(Token("op", "'") for _ in range(1 + (name == "ddot")))
    elif name in ("begin", "end"):
        out.append(Token("cmd", name + "{" + content.strip("*") + "}", space))
    else:
        return name in _IGNORED_WITH_GROUP
    return True


def _word(word: str, out: list[Token], space: bool, said: bool = False) -> None:
    """A run of plain letters: a function, separator, unit, word, or product of variables."""
    lower = word.lower()
    previous = out[-1] if out else None
    measures = _measures(previous)
    if lower in _WORD_TOKENS and (lower != "in" or previous is None or previous.kind == "letter"):
        kind, text = _WORD_TOKENS[lower]
        out.append(Token("rel" if lower == "in" else kind, text, space))
    elif measures and said and units.is_unit(word, exact=True):
        out.append(Token("unit", units.name_of(word), space))
    elif lower in FUNCTIONS or ((said or len(word) > 2) and _SYNONYMS.get(lower) in FUNCTIONS):
        out.append(Token("cmd", _SYNONYMS.get(lower, lower), space))
    elif word in ("C", "F") and previous is not None and _is_degree(out):
        out.append(Token("unit", lower, space))
    elif len(word) == 1:
        out.append(Token("letter", word, space))
    elif measures and (units.is_unit(word) or units.is_modifier(word)) and (
        space or lower not in _PRODUCTS
    ):  # fmt: skip
        out.append(Token("unit", lower, space))
    elif len(word) > 3 or lower in _ENGLISH or (said and not word.isupper()):
        out.append(Token("word", word, space))
    else:
        for index, letter in enumerate(word):
            out.append(Token("letter", letter, space and index == 0))


_BEFORE_UNITS = frozenset(("/", "%", "*", "pi", "circ"))
_PRODUCTS = frozenset("mg gm ms mv kv pa".split())  # written without a space


def _measures(token: Token | None) -> bool:
    """Whether a unit can follow: after a number, a bracket or another unit."""
    if token is None:
        return False
    return token.kind in ("num", "close", "unit", "word") or token.text in _BEFORE_UNITS


def _is_degree(out: list[Token]) -> bool:
    return any(token.text == "circ" for token in out[-2:])


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


def _fold_units(tokens: list[Token]) -> list[Token]:
    r"""\frac{unit}{unit} becomes unit / unit; micro, kilo-ohm and the sun's units one unit each."""
    out: list[Token] = []
    index = 0
    while index < len(tokens):
        token, last = tokens[index], out[-1] if out else None
        texts = [t.text for t in tokens[index + 1 : index + 7]]
        kinds = [t.kind for t in tokens[index + 1 : index + 7]]
        units_of = texts[:1] + texts[2:4] + texts[5:] == ["{", "}", "{", "}"]
        measured = last is not None and _measures(last)
        if token.text == "frac" and last is not None and units_of and all(
            kind in ("unit", "word") and units.is_unit(text)
            for kind, text in ((kinds[1], texts[1]), (kinds[4], texts[4]))
        ):  # fmt: skip
            out += [Token("unit", texts[1], True), Token("unit", "/"), Token("unit", texts[4])]
            index += 6
        elif token.text == "\\mu" and measured and kinds[:1] in (["unit"], ["letter"]):
            if kinds == ["letter"] and texts[0] not in "msgFAV":
                out.append(token)
            else:
                out.append(Token("unit", "u" + texts[0].lower(), token.space))
                index += 1
        elif len(token.text) == 1 and texts[:1] == ["_"] and measured and "\\odot" in texts[1:3]:
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
