r"""Tokens to a syntax tree of one mathematical expression.

A small precedence parser for what answers are made of: arithmetic, powers, roots, functions,
factorials, binomials, mixed numbers, implicit products, sums, integrals and limits. It evaluates
nothing; a tree is nested tuples whose first item names the node. Anything else raises
`UnreadableError`.
"""

from fractions import Fraction

from onerl.verifier.commands import MATES, Commands
from onerl.verifier.tokens import Token, UnreadableError, spell

_MAX_DIGITS = 400
_END = Token("end", "")
_BINARY = {"+": "add", "-": "sub", "*": "mul", "/": "div", "mod": "mod", "over": "div",
           "choose": "binom"}  # fmt: skip


def parse(tokens: list[Token], *, tight: bool = False) -> tuple:
    """The tree of `tokens`. Raises UnreadableError unless all of them form one expression.

    With `tight`, a product without a sign binds closer than a slash: t/RC is t/(RC).
    """
    reader = _Reader(tokens, tight)
    tree = reader.sum()
    if reader.peek() is not _END:
        raise UnreadableError(f"left over: {reader.peek().text}")
    return tree


def number(text: str) -> tuple:
    """The node of a literal: exact value, and how many decimals were written."""
    if len(text) > _MAX_DIGITS:
        raise UnreadableError("number too long")
    return ("num", Fraction(text), len(text.split(".")[1]) if "." in text else None)


class _Reader(Commands):
    def __init__(self, tokens: list[Token], tight: bool = False):
        self.tokens = [*tokens, _END, _END, _END]  # as far as anyone looks ahead
        self.tight = tight
        self.position = 0
        self.bars = 0  # open |absolute values|

    parsed = staticmethod(parse)

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[self.position + ahead]

    def take(self) -> Token:
        token = self.tokens[self.position]
        if token is _END:
            raise UnreadableError("unfinished")
        self.position += 1
        return token

    def accept(self, kind: str, *texts: str) -> Token | None:
        """The next token, taken, if it is one of `texts`."""
        token = self.tokens[self.position]
        if token.kind != kind or token.text not in texts:
            return None
        self.position += 1
        return token

    def expect(self, text: str) -> None:
        if self.take().text != text:
            raise UnreadableError(f"expected {text}")

    # sum := product (("+" | "-") product)*
    def sum(self) -> tuple:
        tree = self.product()
        while sign := self.accept("op", "+", "-"):
            tree = (_BINARY[sign.text], tree, self.product())
        sign = self.accept("cmd", "over", "choose")
        return (_BINARY[sign.text], tree, self.sum()) if sign else tree

    # product := sign (("*" | "/" | "mod" | nothing) sign)*
    def product(self) -> tuple:
        tree = self.signed()
        while True:
            token = self.accept("op", "*", "/") or self.accept("cmd", "mod")
            if token:
                right = self.signed()
                while token.text == "/" and self.tight and self._starts_factor(self.peek()):
                    right = self._implicit(right, self.peek())
                tree = (_BINARY[token.text], tree, right)
            elif self._starts_factor(self.peek()):
                tree = self._implicit(tree, self.peek())
            else:
                return tree

    def signed(self, operand=None) -> tuple:
        sign = self.accept("op", "+", "-")
        if sign is None:
            return (operand or self.power)()
        inner = self.signed(operand)
        return ("neg", inner) if sign.text == "-" else inner

    def _starts_factor(self, token: Token) -> bool:
        if token.text == "|":
            return self.bars == 0
        return token.kind in ("num", "letter", "word", "open") or (
            token.kind == "cmd" and token.text not in ("over", "choose", "of")
        )

    def _implicit(self, left: tuple, token: Token) -> tuple:
        """A product without a sign, or a mixed number such as 4\\frac{2}{3} and 4 2/3."""
        if left[0] == "neg":  # -2\frac{1}{3} is minus the mixed number
            return ("neg", self._implicit(left[1], token))
        previous = self.tokens[self.position - 1]
        counted = previous.kind == "num" and left == number(previous.text)
        whole = counted and left[1].denominator == 1
        apart = token.kind == "num" and previous.kind != "close"
        mixed = apart and self.peek(1).text != "^"
        if apart and (not token.space or previous.kind != "num" or (mixed and not whole)):
            raise UnreadableError("two numbers without an operator")
        if mixed:
            top, slash, bottom = self.take(), self.take(), self.take()
            if slash.text != "/" or bottom.kind != "num":
                raise UnreadableError("two numbers without an operator")
            right = ("div", number(top.text), number(bottom.text))
        else:
            right = self.power()
            if whole and token.text == "frac" and right[0] == "div" and left[2] is None:
                top, bottom = right[1:]
                mixed = top[0] == bottom[0] == "num" and 0 < top[1] < bottom[1]
        if mixed and not right[1][1].denominator == right[2][1].denominator == 1:
            raise UnreadableError("not a mixed number")
        return ("add" if mixed else "mul", left, right)

    # power := postfix ("^" exponent)?
    def power(self) -> tuple:
        base = self.postfix(self.primary())
        if self.accept("op", "^"):
            if self._degree_mark():
                return self.postfix(("deg", base))
            exponent = self.exponent()
            if self.accept("op", "^"):  # a tower without braces: right to left
                exponent = ("pow", exponent, self.power())
            base = self.postfix(("pow", base, exponent))
        return base

    def _degree_mark(self) -> bool:
        texts = [self.peek(i).text for i in range(3)]
        length = 1 if texts[0] == "circ" else 3 * (texts == ["{", "circ", "}"])
        self.position += length
        return length > 0

    def exponent(self) -> tuple:
        return self.signed(self.primary)

    def postfix(self, tree: tuple) -> tuple:
        while True:
            if self.peek().text == "!":
                tree = ("fact", tree)
            elif self.peek().text == "%":
                tree = ("div", tree, number("100"))
            elif self.peek()[:2] == ("cmd", "circ"):
                tree = ("deg", tree)
            else:
                return tree
            self.take()

    def primary(self) -> tuple:
        token = self.take()
        if token.kind == "num":
            return self._number(token)
        if token.kind == "letter" or token.kind == "word":
            return self._name(token)
        if token.kind == "open":
            return self._bracketed(token)
        if token.kind == "cmd":
            return self._command(token.text)
        if token.text == "|":
            self.bars += 1
            inner = self.sum()
            self.bars -= 1
            self.expect("|")
            return ("fn", "abs", inner)
        raise UnreadableError(f"unexpected {token.text!r}")

    def _number(self, token: Token) -> tuple:
        follow = self.peek()
        if "." in token.text and follow.text == "overline":
            self.take()
            return self._repeating(token.text)
        if follow.text in ("E", "e") and follow.kind == "letter" and not follow.space:
            signed = self.peek(1).text in ("+", "-")
            digits = self.peek(1 + signed)
            if digits.kind == "num" and digits.text.isdigit() and len(digits.text) <= 4:
                operation = "div" if self.peek(1).text == "-" else "mul"
                self.position += 2 + signed
                power = ("pow", number("10"), number(digits.text))
                return (operation, number(token.text), power)
        return number(token.text)

    def _repeating(self, head: str) -> tuple:
        digits = spell(self._group())
        if not digits.isdigit() or len(digits) + len(head) > 60:
            raise UnreadableError("not a repeating decimal")
        shift = 10 ** len(head.partition(".")[2])
        part = Fraction(int(digits), (10 ** len(digits) - 1) * shift)
        return ("num", Fraction(head + "0") + part, None)

    def _group(self) -> list[Token]:
        """The tokens of {…} or (…), or the single token that stands for them."""
        opening = self.peek().text
        if opening not in ("{", "("):
            return [self.take()]
        self.take()
        start, depth = self.position, 1
        while depth:
            token = self.take()
            depth += (token.text == opening) - (token.text == MATES[opening])
        return self.tokens[start : self.position - 1]

    def _name(self, token: Token) -> tuple:
        """A variable with its subscript and primes; e, i and f(0) are special."""
        name = token.text
        if self.accept("op", "_"):
            below = self._group()
            name += "_" + spell(below)
            if token.text == "C" and self.accept("op", "^"):  # C_n^k, C_{2n}^{n}
                return ("binom", parse(below), self._argument())
        while self.accept("op", "'"):
            name += "'"
        if name in ("e", "i"):
            return ("const", name)
        if token.kind == "word":
            name = name.casefold()
            if self.peek().text == "(":  # an unknown function of an argument as it is written
                return ("var", f"{name}({spell(self._group())})")
        if name == "C" and self.peek().text == "(" and (chosen := self._chosen()):
            return chosen
        argument = [self.peek(i) for i in range(3)]
        if [t.text for t in argument[::2]] == ["(", ")"] and argument[1].kind == "num":
            self.position += 3  # f(0): a value of an unknown function, not f times 0
            return ("var", f"{name}({argument[1].text})")
        return ("var", name)

    def _chosen(self) -> tuple | None:
        """C(n, k), a binomial; None when the bracket holds one expression."""
        before = self.position
        self.take()
        upper = self.sum()
        if not self.accept("op", ","):
            self.position = before
            return None
        lower = self.sum()
        self.expect(")")
        return ("binom", upper, lower)

    def _bracketed(self, token: Token) -> tuple:
        close = MATES.get(token.text)
        if close is None:
            raise UnreadableError(f"unexpected {token.text}")
        bars, self.bars = self.bars, 0
        inner = self.sum()
        self.bars = bars
        self.expect(close)
        name = {"lfloor": "floor", "lceil": "ceil"}.get(token.text)
        return ("fn", name, inner) if name else inner

    def _argument(self) -> tuple:
        """One braced group or a single digit, letter or command, as \\frac and \\sqrt take it."""
        token = self.peek()
        if token.text == "{":
            return self.primary()
        if token.kind == "num" and len(token.text) > 1 and "." not in token.text:
            # \frac12: only the first digit is the argument
            self.tokens[self.position] = Token("num", token.text[1:])
            return number(token.text[0])
        if token.kind in ("num", "letter", "cmd"):
            return self.primary()
        raise UnreadableError("missing argument")
