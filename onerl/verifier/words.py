r"""All words the verifier knows: what may be said around an answer, and words that are numbers.

A word around a number is dropped only if `vocabulary.txt` lists it. Anything else stays, as a
factor that no number equals: "3 million" is 3000000, "24 divisors" is 24, "24 fails" is not 24.
"""

import itertools
import re
from fractions import Fraction

from onerl.verifier import vocabulary
from onerl.verifier.commands import matching
from onerl.verifier.tokens import Token, depths

_SMALL, _THINGS, _KINDS = map(vocabulary.words, ("small", "things", "kinds"))
_BEFORE, _AFTER = (_SMALL | vocabulary.words(section) for section in ("before", "after"))
_NEVER_AFTER, _SHADES, _AMOUNTS = map(vocabulary.words, ("never after", "shades", "amounts"))
_OPENERS, _WHOLE = map(vocabulary.words, ("openers", "whole"))
_REMARK = _SMALL | _OPENERS | _WHOLE | vocabulary.words("remark")
_FILLERS = _SMALL | vocabulary.words("fillers")
EMPTY, REALS = map(vocabulary.phrases, ("empty", "reals"))
_COMPARISONS = {
    "greater than or equal to": "ge", "less than or equal to": "le", "greater than": ">",
    "less than": "<", "more than": ">", "at least": "ge", "at most": "le",
}  # fmt: skip

_ONES = {word: at for at, word in enumerate(vocabulary.listed("ones"))}
_TENS = {word: 10 * at for at, word in enumerate(vocabulary.listed("tens"), 2)}
NUMERALS = _ONES | _TENS  # the words of number bases
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_PARTS = {word: at for at, word in enumerate(vocabulary.listed("parts"), 2)}
_PARTS |= {"quarter": 4, "hundredth": 100, "thousandth": 1000, "millionth": 10**6}
_WORD = re.compile(r"[^\W_]+")
_SIGNS = ("negative", "minus")


def folded(tokens: list[Token]) -> list[Token]:
    """Number words as numbers, "is greater than" as a sign, without a label before the answer."""
    if not any(token.kind == "word" for token in tokens):
        return tokens
    tokens = [
        Token("word", "a", token.space) if token.text == "a" and after.kind == "word" else token
        for token, after in zip(tokens, [*tokens[1:], Token("end", "")], strict=True)
    ]
    return without_label(_compared(_numbers(tokens)))


def _numbers(tokens: list[Token]) -> list[Token]:
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        value, end = _read_number(tokens, at)
        if value is None:
            after = tokens[at + 1 : at + 2]
            signed = _lower(token) in _SIGNS and after and (
                after[0].kind == "num" or _read_number(tokens, at + 1)[0] is not None
            )  # fmt: skip
            out.append(Token("op", "-", True) if signed else token)
            end = at + 1
        elif [t.text for t in [*out[-2:], *tokens[end : end + 1]]] == [str(value), "(", ")"]:
            out.pop()  # 9 (nine)
            end += 1
        elif value.denominator == 1:
            out.append(Token("num", str(value), token.space))
        else:
            top, bottom = (Token("num", str(part)) for part in value.as_integer_ratio())
            out += [Token("open", "(", token.space), top, Token("op", "/"), bottom]
            out.append(Token("close", ")"))
        at = end
    return out


def _read_number(tokens: list[Token], at: int) -> tuple[Fraction | None, int]:
    """The number that begins at a token with at least one number word, and where it ends."""
    total, part, last = Fraction(0), Fraction(0), ""
    start, first = at, tokens[at]
    if first.kind == "num" and "." not in first.text[-1:] and len(first.text) < 20:
        part, last, at = Fraction(first.text), "digits", at + 1
    elif _lower(first) in ("a", "an") and at + 1 < len(tokens):
        if _singular(_lower(tokens[at + 1])) not in {*_PARTS, *_SCALES, "hundred"}:
            return None, at
        part, last, at = Fraction(1), "digits", at + 1
    begin = at
    while at < len(tokens):
        word = _lower(tokens[at])
        follows = _lower(tokens[at + 1]) if at + 1 < len(tokens) else ""
        if word == "and" and last in ("hundred", "scale") and follows in NUMERALS:
            at += 1
            continue
        if word in _ONES and last in ("", "tens", "hundred", "scale"):
            if last == "tens" and not 0 < _ONES[word] < 10:
                break
            part, last = part + _ONES[word], "ones"
        elif word in _TENS and last in ("", "hundred", "scale"):
            part, last = part + _TENS[word], "tens"
        elif word == "hundred" and last in ("ones", "digits"):
            part, last = part * 100, "hundred"
        elif word in _SCALES and last not in ("", "scale"):
            total, part, last = total + part * _SCALES[word], Fraction(0), "scale"
        elif _singular(word) in _PARTS and last not in ("", "scale"):
            return (total + part) / _PARTS[_singular(word)], at + 1
        else:
            break
        at += 1
    return (total + part, at) if at > begin else (None, start)


def _compared(tokens: list[Token]) -> list[Token]:
    """x is greater than 2, as x > 2."""
    for at in range(1, len(tokens) - 1):
        if tokens[at - 1].kind != "letter" or tokens[at].kind != "word":
            continue
        end = at
        while end < len(tokens) and tokens[end].kind in ("word", "sep"):
            end += 1
        phrase = " ".join(map(_lower, tokens[at:end])).removeprefix("is ").removeprefix("must be ")
        if phrase in _COMPARISONS and end < len(tokens):
            return [*tokens[:at], Token("rel", _COMPARISONS[phrase]), *tokens[end:]]
    return tokens


def without_label(tokens: list[Token]) -> list[Token]:
    """Without a leading "the answer is", "Answer:" or "all integers" before mathematics."""
    end = len(tokens)
    start = next((at for at in range(end) if not _may_stand(tokens[at], _BEFORE)), end)
    label, rest = [_lower(token) for token in tokens[:start]], tokens[start:]
    if label and rest and rest[0].text == ":":
        label, rest = [*label, ":"], rest[1:]
    if not label or not rest or label[-1] in _SHADES:
        return tokens
    if label[-1] == "of" and not _AMOUNTS.intersection(label[-2:-1]):
        return tokens  # the square root of 9
    if rest[0].kind == "word" or all(token.kind in ("word", "sep", "letter") for token in rest):
        return tokens  # words all the way: a text
    return rest


def without_nouns(tokens: list[Token]) -> list[Token]:
    """A value without the words around it that only say what it is or what is counted."""
    if not any(token.kind == "word" for token in tokens):
        return tokens
    kept = without_label(tokens)
    end = len(kept)
    if kept[-1].text == ")" and end > 2:  # (exact)
        start = next((i for i in range(end) if matching(kept, i) == end - 1), 0)
        said = kept[start + 1 : end - 1]
        if start and all(_may_stand(token, _AFTER) for token in said):
            end = start
    while end > 0 and _may_stand(kept[end - 1], _AFTER):
        end -= 1
    if end == len(kept) or not end or _lower(kept[end]) in _NEVER_AFTER:
        return kept
    return kept[:end] if any(token.kind in ("num", "cmd") for token in kept[:end]) else tokens


def _may_stand(token: Token, small: frozenset[str]) -> bool:
    word = _lower(token)
    return token.kind == "word" and (word in small or word in _KINDS or _singular(word) in _THINGS)


def _lower(token: Token) -> str:
    return token.text.lower() if token.kind in ("word", "sep", "letter") else ""


def _singular(word: str) -> str:
    if word == "halves":
        return "half"
    for ending, instead in (("ies", "y"), ("ches", "ch"), ("xes", "x"), ("sses", "ss"), ("s", "")):
        if word.endswith(ending) and len(word) > 3:
            return word.removesuffix(ending) + instead
    return word


def without_remarks(tokens: list[Token]) -> tuple[list[Token], frozenset[str]]:
    r"""(the answer's own tokens, the names of whole-number parameters that a remark declares).

    Remarks are ", k \in \mathbb{Z}", "for all x", "where n is an integer". A remark never hides
    an answer: with equations or alternatives in it, it stays, and makes the answer unreadable.
    """
    names: set[str] = set()
    start = next((i for i, token in enumerate(tokens) if i and _opens(tokens, i)), None)
    if start is not None and _is_remark(tokens[start:], tokens[:start]):
        rest, end = tokens[start:], start
        if {_lower(token) for token in rest} & _WHOLE or _declares_whole(rest):
            names |= _letters(rest)
        if tokens[end - 1].text in ("(", ",") and end > 1:
            end -= 1
        tokens = tokens[:end]
    while declared := _declaration(tokens):
        name, end = declared
        if _declares_whole(tokens[end:]):
            names.add(name)
        tokens = tokens[:end]
    return tokens, frozenset(names)


def _opens(tokens: list[Token], at: int) -> bool:
    token, rest = tokens[at], tokens[at + 1 :]
    if token.kind != "letter" or tokens[at - 1].text != ",":
        return token.text == "forall" or (token.kind == "word" and _lower(token) in _OPENERS)
    return bool(rest) and all(t.kind == "word" and _lower(t) in _REMARK for t in rest)


def _is_remark(rest: list[Token], answer: list[Token]) -> bool:
    """Whether what begins with an opener says only what a name of the answer stands for."""
    bound = bool(_letters(answer) & _letters(rest))
    related = False
    for token, depth in zip(rest, depths(rest), strict=True):
        related = related or (token.kind == "rel" and token.text in ("<", ">", "le", "ge", "in"))
        if token.kind == "word" and token.text.lower() not in _REMARK:
            return False
        if token.kind == "sep" or token.text in ("=", "pm", ",", "ne", "?"):
            return False
        if token.kind == "num" and depth <= 0 and not (related and bound):
            return False
    return True


def _letters(tokens: list[Token]) -> set[str]:
    return {token.text for token in tokens if token.kind == "letter"}


def _declares_whole(tokens: list[Token]) -> bool:
    texts = [token.text for token in tokens]
    return ("mathbb", "{") in itertools.pairwise(texts) and not {"R", "C", "Q"} & set(texts)


def _declaration(tokens: list[Token]) -> tuple[str, int] | None:
    r"""(k, where it begins) of a trailing ", k \in \mathbb{Z}", with or without brackets."""
    at = max((at for at, token in enumerate(tokens) if token.text == "in"), default=0)
    end = len(tokens) - (at > 0 and tokens[-1].text == ")")
    texts = [token.text for token in tokens[:end]] if at else []
    if at < 2 or tokens[at - 1].kind != "letter" or texts[at + 1 : at + 3] != ["mathbb", "{"]:
        return None
    positive = set(texts[at + 5 :]) <= {"^", "_", "{", "}", "+", "*", ">", "ge", "0"}
    before = texts[at - 2]
    member = before in ("{", "\\{") or (before == "(" and end == len(tokens))
    if matching(tokens, at + 2) != at + 4 or not positive or member:
        return None
    return texts[at - 1], at - 2 if before in (",", "(", ";") else at - 1


def plain_text(spelling: str) -> str:
    """The words that make a text: without case, punctuation, articles and "the function is"."""
    lower = [word for word in map(str.lower, _WORD.findall(spelling)) if word != "and"]
    text = " ".join(lower)
    if text == "dne":
        return "does not exist"
    own = [word for word in lower if word not in _FILLERS]
    return " ".join(own) or text


def same_text(gold: str, answer: str) -> bool:
    """The same words, or the gold's with a thing's name behind them: even, an even function."""
    wanted, said = plain_text(gold), plain_text(answer)
    if wanted == said:
        return wanted != ""
    extra = said.removeprefix(wanted + " ") if wanted else said
    return extra != said and all(_singular(word) in _THINGS for word in extra.split())
