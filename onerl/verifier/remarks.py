r"""What is said around an answer: "the answer is", ", k \in \mathbb{Z}", "for all x".

A remark is dropped, and the whole-number parameters it declares are remembered, because their
names are free: n\pi and k\pi are one family. A remark never hides an answer: words with numbers,
equations or alternatives behind them stay, and make the answer unreadable or a list.
"""

# ruff: noqa: SIM905

from onerl.verifier.tokens import Token

_LABEL = frozenset("the final answer answers is are solution solutions set result so thus".split())
_OPENERS = frozenset(("for", "where", "with"))
_WHOLE = frozenset(("integer", "integers", "natural", "whole"))


def without_remarks(tokens: list[Token]) -> tuple[list[Token], frozenset[str]]:
    """(the answer's own tokens, the names of whole-number parameters)."""
    tokens = _without_label(tokens)
    names: set[str] = set()
    start = next((i for i, token in enumerate(tokens) if i and _opens(token)), None)
    if start is not None and _harmless(tokens[start:]):
        rest = tokens[start:]
        words = {word for token in rest for word in _words(token)}
        if words & _WHOLE or _sets(rest):
            names |= {token.text for token in rest if token.kind == "letter"}
        tokens = tokens[:start]
    while True:
        declared = _declaration(tokens)
        if declared is None:
            return tokens, frozenset(names)
        names.add(declared)
        cut = len(tokens) - 6
        tokens = tokens[:cut]


def _without_label(tokens: list[Token]) -> list[Token]:
    """Without a leading "the answer is" or "Answer:"."""
    start = 0
    while start < len(tokens) - 1 and set(_words(tokens[start]) or [""]) <= _LABEL:
        start += 1
    return tokens[start + (start > 0 and tokens[start].text == ":") :]


def _opens(token: Token) -> bool:
    return token.kind in ("text", "word") and bool(set(_words(token)[:1]) & _OPENERS)


def _words(token: Token) -> list[str]:
    if token.kind not in ("text", "word"):
        return []
    return "".join(c if c.isalpha() else " " for c in token.text.lower()).split()


def _harmless(tokens: list[Token]) -> bool:
    alternatives = any(token.kind == "sep" or "or" in _words(token) for token in tokens)
    values = any(token.kind == "num" or token.text in ("=", "pm", ",") for token in tokens)
    digits = any(c.isdigit() for token in tokens for c in token.text)
    return not (alternatives or values or digits)


def _sets(tokens: list[Token]) -> bool:
    return any(token.text == "mathbb" for token in tokens)


def _declaration(tokens: list[Token]) -> str | None:
    r"""The k of a trailing ``, k \in \mathbb{Z}`` (or N)."""
    tail = tokens[-6:]
    if len(tokens) < 8 or [t.text for t in tail[1:4]] != ["in", "mathbb", "{"]:
        return None
    if tail[0].kind != "letter" or tail[4].text not in "ZN" or tail[5].text != "}":
        return None
    return tail[0].text
