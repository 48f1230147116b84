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
    """kind: num, letter, word, cmd, op, open, close, text, unit, sep, rel."""

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
    "arctan": "atan", "arcsin": "asin", "arccos": "acos", "tg": "tan", "ctg": "cot",
    "varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "implies": "Rightarrow",
    "bigcup": "cup", "backslash": "setminus", "ldots": "dots", "cdots": "dots", "hdots": "dots",
    "dotsc": "dots", "dotsb": "dots", "lg": "log10", "degree": "circ", "degrees": "circ",
    "imaginaryI": "i", "pounds": "£", "euro": "€", "bmod": "mod", "to": "rightarrow",
}  # fmt: skip
_DROPPED = frozenset(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm displaystyle "
    "textstyle scriptstyle limits nolimits quad qquad thinspace enspace hfill rm bf it mathstrut "
    "nonumber hline middle allowbreak nobreak centering small large normalsize".split()
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
    "sin cos tan cot sec csc sinh cosh tanh coth asin acos atan ln log log10 exp sqrt max min gcd "
    "lcm abs arcsin arccos arctan floor ceil".split()
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
    "the day sum red".split()
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


def _lex(text: str, out: list[Token], nesting: int) -> None:
    if nesting > 6:
        raise UnreadableError("nested too deeply")
    position, space = 0, False
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
            _word(value, out, space)
        elif kind == "num":
            repeats = value.endswith(".") and text.startswith("\\overline", position)
            out.append(Token("num", value if repeats else value.rstrip("."), space))
        elif kind == "row":
            out.append(Token("op", "\\\\", space))
        elif kind == "escaped":
            _escaped(value, out, space)
        else:
            _sign(value, out, space)
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


def _sign(value: str, out: list[Token], space: bool) -> None:
    if value == "$":
        return
    if value in "£€":
        out.append(Token("unit", "gbp" if value == "£" else "eur", space))
    elif value in _BRACKETS:
        out.append(Token(_BRACKETS[value], value, space))
    elif value in ("<", ">", "<=", ">=", "!="):
        name = {"<=": "le", ">=": "ge", "!=": "ne"}.get(value, value)
        out.append(Token("rel", name, space))
    elif value in ("=", ":="):
        out.append(Token("rel", "=", space))
    elif value == "*" or value == "**":
        out.append(Token("op", "*" if value == "*" else "^", space))
    elif value in "+-/^_!,;:|'&%?":
        out.append(Token("op", value, space))
    elif value == ".":
        out.append(Token("op", ".", space))
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
    if name in _TEXT and close > 0:
        _text(text[opening + 1 : close], out, space or position < opening, nesting)
        return close + 1
    if name in _IGNORED_WITH_GROUP and close > 0:
        return close + 1
    if name in _SPLICED:
        if close > 0:
            _lex(text[opening + 1 : close], out, nesting + 1)
            return close + 1
        return position
    if name in ("dot", "ddot") and close > 0:
        _lex(text[opening + 1 : close], out, nesting + 1)
        out.extend(Token("op", "'") for _ in range(1 + (name == "ddot")))
        return close + 1
    if name == "prime":
        out.append(Token("op", "'", space))
    elif name in ("and", "or"):
        out.append(Token("sep", name, space))
    elif name in ("le", "ge", "ne", "<", ">", "=", "in", "approx", "equiv", "sim", "notin"):
        out.append(Token("rel", name, space))
    elif name in _BRACKETS:
        bracket = name if name not in "{}" else "\\" + name
        out.append(Token(_BRACKETS[name], bracket, space))
    elif name in ("langle", "lfloor", "lceil"):
        out.append(Token("open", name, space))
    elif name in ("rangle", "rfloor", "rceil"):
        out.append(Token("close", name, space))
    elif name in ("|", ":", "/"):
        out.append(Token("op", name, space))
    elif name in ("£", "€"):
        _sign(name, out, space)
    elif name in ("Rightarrow", "therefore", "because", "iff", "Leftrightarrow"):
        out.append(Token("op", "=>", space))
    elif name == "i":
        out.append(Token("letter", "i", space))
    elif name == "cdot":
        out.append(Token("op", "*", space))
    elif name in _GREEK:
        out.append(Token("letter", "\\" + name, space))
    elif name in ("begin", "end") and close > 0:
        out.append(Token("cmd", name + "{" + text[opening + 1 : close].strip("*") + "}", space))
        if name == "begin" and text[opening + 1 : close] in ("array", "aligned", "alignedat"):
            columns = re.compile(r"\s*\{[lcr|\s\d]*\}").match(text, close + 1)
            return columns.end() if columns else close + 1
        return close + 1
    else:
        out.append(Token("cmd", name, space))
    return position


def _word(word: str, out: list[Token], space: bool) -> None:
    """A run of plain letters: a function, separator, unit, word, or product of variables."""
    lower = word.lower()
    previous = out[-1] if out else None
    if lower in FUNCTIONS:
        out.append(Token("cmd", _SYNONYMS.get(lower, lower), space))
    elif lower in _WORD_TOKENS and (lower != "in" or previous is None or previous.kind == "letter"):
        kind, text = _WORD_TOKENS[lower]
        out.append(Token("rel" if lower == "in" else kind, text, space))
    elif word in ("C", "F") and previous is not None and _is_degree(out):
        out.append(Token("unit", lower, space))
    elif len(word) == 1:
        out.append(Token("letter", word, space))
    elif (units.is_unit(word) or units.is_modifier(word)) and _measures(previous):
        out.append(Token("unit", lower, space))
    elif len(word) > 3 or lower in _ENGLISH:
        out.append(Token("word", word, space))
    else:
        for index, letter in enumerate(word):
            out.append(Token("letter", letter, space and index == 0))


_BEFORE_UNITS = frozenset(("/", "%", "*", "pi", "circ"))


def _measures(token: Token | None) -> bool:
    """Whether a unit can follow: after a number, a bracket or another unit."""
    if token is None:
        return False
    return token.kind in ("num", "close", "unit", "text", "word") or token.text in _BEFORE_UNITS


def _is_degree(out: list[Token]) -> bool:
    return any(token.text == "circ" for token in out[-2:])


def _text(content: str, out: list[Token], space: bool, nesting: int) -> None:
    """The content of \\text{...} and its kin."""
    words = content.replace("$", "").replace("~", " ").strip()
    lower = re.sub(r"[\s,]+", " ", words).strip(" .").lower()
    if not lower:
        if "," in words:
            out.append(Token("op", ",", space))
        return
    pieces = re.findall(r"[A-Za-z]+|\^|/|-?\d+", words)
    if lower in ("and", "or"):
        out.append(Token("sep", lower, space))
    elif not re.search(r"[A-Za-z]", words):
        _lex(words, out, nesting + 1)
    elif lower in _WORD_TOKENS or lower in FUNCTIONS:
        _word(lower, out, space)
    elif lower in ("i", "e", "d") and words == lower:
        out.append(Token("letter", lower, space))
    elif lower in ("am", "pm", "a.m", "p.m"):
        out.append(Token("text", lower.replace(".", ""), space))
    elif _measures(out[-1] if out else None) and units.read_unit(pieces) is not None:
        out.extend(Token("unit", piece, space and not index) for index, piece in enumerate(pieces))
    elif re.fullmatch(r"[A-Za-z]", words):
        out.append(Token("letter", words, space))
    elif re.match(r"\s*[-+\d.\\]", words) and nesting < 3:
        _lex(words, out, nesting + 1)
    else:
        out.append(Token("text", words, space))


def _fold_units(tokens: list[Token]) -> list[Token]:
    r"""\frac{unit}{unit} becomes unit / unit, and the power of a unit joins it."""
    out: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token == ("cmd", "frac", token.space) and index and index + 6 < len(tokens) + 1:
            window = tokens[index + 1 : index + 7]
            names = [t.text for t in window]
            if (
                len(window) == 6
                and names[0] == "{"
                and names[2:4] == ["}", "{"]
                and names[5] == "}"
            ):
                words = [names[1], names[4]]
                kinds = {window[1].kind, window[4].kind}
                if kinds <= {"text", "unit", "word"} and all(
                    units.is_unit(w.strip()) for w in words
                ):
                    out += [
                        Token("unit", words[0], True),
                        Token("unit", "/"),
                        Token("unit", words[1]),
                    ]
                    index += 7
                    continue
        out.append(token)
        index += 1
    return out


def spell(tokens: list[Token]) -> str:
    """One canonical spelling, for comparing texts and naming things that are not evaluated."""
    return " ".join(token.text for token in tokens if token.text not in ("{", "}"))


def latex(tokens: list[Token]) -> str:
    """LaTeX again, for the symbolic engine."""
    return " ".join(_LATEX.get(token.text) or _as_latex(token) for token in tokens)


_LATEX = {
    "*": r"\cdot", "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan",
    "log10": r"\log_{10}",
    "or": ",", "and": ",", "lfloor": r"\lfloor", "rfloor": r"\rfloor", "lceil": r"\lceil",
    "rceil": r"\rceil", "langle": "(", "rangle": ")",
}  # fmt: skip


def _as_latex(token: Token) -> str:
    if token.kind in ("cmd", "rel") and token.text.replace("{", "").replace("}", "").isalpha():
        return "\\" + token.text
    return token.text
