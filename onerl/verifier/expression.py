r"""Tokens to a syntax tree of one mathematical expression.

A small precedence parser for what answers are made of: arithmetic, powers, roots, functions,
factorials, binomials, mixed numbers, implicit products, sums, integrals and limits. It evaluates
nothing; a tree is nested tuples whose first item names the node. Anything else raises
`UnreadableError`.
"""

from fractions import Fraction

from onerl.verifier.tokens import FUNCTIONS, Token, UnreadableError, spell

_UNARY = FUNCTIONS - {"sqrt", "log", "max", "min", "gcd", "lcm"}
_MANY = frozenset(("max", "min", "gcd", "lcm"))
_MATES = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "lfloor": "rfloor", "lceil": "rceil"}
_MAX_DIGITS = 400
_BOUND = frozenset(("sum", "prod", "int", "lim"))
_BOUND_NAME = "#"


def parse(tokens: list[Token], *, tight: bool = False) -> tuple:
    """The tree of `tokens`. Raises UnreadableError unless all of them form one expression.

    With `tight`, a product without a sign binds closer than a slash: t/RC is t/(RC).
    """
    reader = _Reader(tokens, tight)
    tree = reader.sum()
    if reader.position != len(tokens):
        raise UnreadableError(f"left over: {tokens[reader.position].text}")
    return tree


def matching(tokens: list[Token], start: int) -> int:
    """Index of the bracket that closes the one at `start`, or -1."""
    depth = 0
    for index in range(start, len(tokens)):
        depth += (tokens[index].kind == "open") - (tokens[index].kind == "close")
        if depth == 0:
            return index
    return -1


def _with_bound(tree: tuple, name: str) -> tuple:
    """`tree` with its bound variable under a name that no answer can write."""
    if tree == ("var", name) or tree == ("const", name):
        return ("var", _BOUND_NAME)
    return tuple(_with_bound(part, name) if isinstance(part, tuple) else part for part in tree)


def number(text: str) -> tuple:
    """The node of a literal: exact value, and how many decimals were written."""
    if len(text) > _MAX_DIGITS:
        raise UnreadableError("number too long")
    return ("num", Fraction(text), len(text.split(".")[1]) if "." in text else None)


class _Reader:
    def __init__(self, tokens: list[Token], tight: bool = False):
        self.tokens = tokens
        self.tight = tight
        self.position = 0
        self.bars = 0  # open |absolute values|

    def peek(self, ahead: int = 0) -> Token:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else Token("end", "")

    def take(self) -> Token:
        if self.position >= len(self.tokens):
            raise UnreadableError("unfinished")
        self.position += 1
        return self.tokens[self.position - 1]

    def expect(self, text: str) -> None:
        if self.take().text != text:
            raise UnreadableError(f"expected {text}")

    # sum := product (("+" | "-") product)*
    def sum(self) -> tuple:
        tree = self.product()
        while self.peek().text in ("+", "-") and self.peek().kind == "op":
            operator = self.take().text
            tree = ("add" if operator == "+" else "sub", tree, self.product())
        if self.peek().kind == "cmd" and self.peek().text in ("over", "choose"):
            operator = self.take().text
            return ("div" if operator == "over" else "binom", tree, self.sum())
        return tree

    # product := sign (("*" | "/" | nothing) sign)*
    def product(self) -> tuple:
        tree = self.signed()
        while True:
            token = self.peek()
            if token.kind == "op" and token.text in ("*", "/"):
                self.take()
                right = self.signed()
                while token.text == "/" and self.tight and self._starts_factor(self.peek()):
                    right = self._implicit(right, self.peek())
                tree = ("mul" if token.text == "*" else "div", tree, right)
            elif token == ("cmd", "mod", token.space):
                self.take()
                tree = ("mod", tree, self.signed())
            elif self._starts_factor(token):
                tree = self._implicit(tree, token)
            else:
                return tree

    def signed(self) -> tuple:
        token = self.peek()
        if token.kind == "op" and token.text in ("+", "-"):
            self.take()
            inner = self.signed()
            return ("neg", inner) if token.text == "-" else inner
        return self.power()

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
        whole = (
            previous.kind == "num" and left == number(previous.text) and left[1].denominator == 1
        )
        if token.kind == "num" and previous.kind != "close":
            powers = self.peek(1).text == "^"
            if not token.space or previous.kind != "num" or not (whole or powers):
                raise UnreadableError("two numbers without an operator")
            if not powers:
                top, slash, bottom = self.take(), self.take(), self.take()
                if slash.text != "/" or bottom.kind != "num":
                    raise UnreadableError("two numbers without an operator")
                return self._mixed(left, ("div", number(top.text), number(bottom.text)))
        right = self.power()
        if whole and token.text == "frac" and right[0] == "div":
            top, bottom = right[1], right[2]
            if top[0] == bottom[0] == "num" and 0 < top[1] < bottom[1] and left[2] is None:
                return self._mixed(left, right)
        return ("mul", left, right)

    @staticmethod
    def _mixed(whole: tuple, part: tuple) -> tuple:
        if part[1][1].denominator != 1 or part[2][1].denominator != 1:
            raise UnreadableError("not a mixed number")
        return ("add", whole, part)

    # power := postfix ("^" exponent)?
    def power(self) -> tuple:
        base = self.postfix(self.primary())
        if self.peek().text == "^":
            self.take()
            if self._degree_mark():
                return self.postfix(("deg", base))
            exponent = self.exponent()
            if self.peek().text == "^":  # a tower without braces: right to left
                self.take()
                exponent = ("pow", exponent, self.power())
            base = self.postfix(("pow", base, exponent))
        return base

    def _degree_mark(self) -> bool:
        texts = [self.peek(i).text for i in range(3)]
        if texts[0] == "circ":
            self.position += 1
            return True
        if texts == ["{", "circ", "}"]:
            self.position += 3
            return True
        return False

    def exponent(self) -> tuple:
        token = self.peek()
        if token.kind == "op" and token.text in ("+", "-"):
            self.take()
            inner = self.exponent()
            return ("neg", inner) if token.text == "-" else inner
        return self.primary()

    def postfix(self, tree: tuple) -> tuple:
        while True:
            token = self.peek()
            if token.text == "!":
                self.take()
                tree = ("fact", tree)
            elif token.text == "circ" and token.kind == "cmd":
                self.take()
                tree = ("deg", tree)
            elif token.text == "%":
                self.take()
                tree = ("div", tree, ("num", Fraction(100), None))
            else:
                return tree

    def primary(self) -> tuple:
        token = self.take()
        if token.kind == "num":
            return self._number(token)
        if token.kind == "letter" or token.kind == "word":
            return self._name(token)
        if token.kind == "open":
            return self._bracketed(token)
        if token.text == "|":
            self.bars += 1
            inner = self.sum()
            self.bars -= 1
            self.expect("|")
            return ("fn", "abs", inner)
        if token.kind == "cmd":
            return self._command(token.text)
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
                sign = "-" if self.peek(1).text == "-" else ""
                self.position += 2 + signed
                power = ("pow", ("num", Fraction(10), None), number(digits.text))
                mantissa = number(token.text)
                return ("div" if sign else "mul", mantissa, power)
        return number(token.text)

    def _repeating(self, head: str) -> tuple:
        digits = spell(self._group())
        if not digits.isdigit() or len(digits) + len(head) > 60:
            raise UnreadableError("not a repeating decimal")
        _, _, tail = head.partition(".")
        shift = 10 ** len(tail)
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
            depth += (token.text == opening) - (token.text == _MATES[opening])
        return self.tokens[start : self.position - 1]

    def _name(self, token: Token) -> tuple:
        """A variable with its subscript and primes; e, i and f(0) are special."""
        name = token.text
        if self.peek().text == "_":
            self.take()
            below = self._group()
            name += "_" + spell(below)
            if token.text == "C" and self.peek().text == "^":  # C_n^k, C_{2n}^{n}
                self.take()
                return ("binom", parse(below), self._argument())
        while self.peek().text == "'":
            self.take()
            name += "'"
        if name in ("e", "i"):
            return ("const", name)
        if token.kind == "word":
            name = name.casefold()
            if self.peek().text == "(":  # an unknown function of an argument as it is written
                return ("var", f"{name}({spell(self._group())})")
        if name == "C" and self.peek().text == "(":
            chosen = self._chosen()
            if chosen:
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
        if self.peek().text == ",":
            self.take()
            lower = self.sum()
            self.expect(")")
            return ("binom", upper, lower)
        self.position = before
        return None

    def _bracketed(self, token: Token) -> tuple:
        close = _MATES.get(token.text)
        if close is None:
            raise UnreadableError(f"unexpected {token.text}")
        bars, self.bars = self.bars, 0
        inner = self.sum()
        self.bars = bars
        self.expect(close)
        if token.text in ("lfloor", "lceil"):
            return ("fn", "floor" if token.text == "lfloor" else "ceil", inner)
        return inner

    def _argument(self) -> tuple:
        """One braced group or a single digit, letter or command, as \\frac and \\sqrt take it."""
        token = self.peek()
        if token.text == "{":
            return self.primary()
        if token.kind == "num" and len(token.text) > 1 and "." not in token.text:
            # \frac12: only the first digit is the argument
            self.tokens = list(self.tokens)
            self.tokens[self.position] = Token("num", token.text[1:])
            return number(token.text[0])
        if token.kind in ("num", "letter", "cmd"):
            return self.primary()
        raise UnreadableError("missing argument")

    def _command(self, name: str) -> tuple:
        if name == "frac":
            if self._is_derivative():
                return self._derivative()
            return ("div", self._argument(), self._argument())
        if name == "sqrt":
            return self._root()
        if name == "root":  # \\root 3 \\of 7
            degree = self._argument()
            self.expect("of")
            return ("root", self._argument(), degree)
        if name in _BOUND:
            return self._bound(name)
        if name == "binom":
            return ("binom", self._argument(), self._argument())
        if name == "pi":
            return ("const", "pi")
        if name == "infty":
            return ("const", "oo")
        if name in ("overline", "angle", "triangle", "mathbb", "widetilde", "overset"):
            group = self._group()
            if name == "angle":
                while self.peek().kind == "letter":
                    group.append(self.take())
            return ("var", name + " " + spell(group))
        if name in _MANY:
            return self._many(name)
        if name in ("log", "log10", "ln"):
            return self._logarithm(name)
        if name in _UNARY:
            return self._function(name)
        raise UnreadableError(f"\\{name}")

    def _bound(self, name: str) -> tuple:
        """A sum, product, integral or limit: (name, from, to, body in the bound variable)."""
        low, high = None, ("const", "oo")
        while self.peek().text in ("_", "^"):
            if self.take().text == "_":
                low = self._group()
            else:
                high = parse(self._group())
        if low is None:
            raise UnreadableError(f"\\{name}")
        sign = {"lim": "to"}.get(name, "=")
        if name == "int":
            body, variable = self._integrand()
            start = parse(low)
        else:
            if len(low) < 3 or low[0].kind != "letter" or low[1].text != sign:
                raise UnreadableError(f"\\{name}")
            variable, start = low[0].text, parse(low[2:])
            body = self.product()
        return (name, start, high, _with_bound(body, variable))

    def _integrand(self) -> tuple[tuple, str]:
        """(body, variable) of what stands before dx."""
        depth = 0
        for at in range(self.position, len(self.tokens) - 1):
            token, after = self.tokens[at], self.tokens[at + 1]
            depth += (token.kind == "open") - (token.kind == "close")
            if depth == 0 and token.text == "d" and after.kind == "letter":
                body = self.tokens[self.position : at]
                self.position = at + 2
                tree = parse(body) if body else ("num", Fraction(1), None)
                return tree, after.text
        raise UnreadableError("\\int")

    def _derivative(self) -> tuple:
        """dy/dt as y', and what is more involved as it is spelled."""
        top, bottom = self._group(), self._group()
        order, name = 1, top[1:]
        if name[:1] and name[0].text == "^":
            name = [token for token in name[1:] if token.text not in "{}"]
            order, name = int(name[0].text) if name[0].text.isdigit() else 0, name[1:]
        if top[0].text == "d" and 0 < order < 5 and len(name) == 1 and name[0].kind == "letter":
            return ("var", name[0].text + "'" * order)
        return ("var", f"frac {spell(top)} / {spell(bottom)}")

    def _is_derivative(self) -> bool:
        first, sign = self.peek(), self.peek(1)
        if first.text != "{" or sign.text not in ("d", "\\partial"):
            return False
        close = matching(self.tokens, self.position)
        bottom = [token.text for token in self.tokens[close + 1 : close + 3]]
        return close > 0 and bottom == ["{", sign.text]

    def _root(self) -> tuple:
        degree = None
        if self.peek().text == "[":
            self.take()
            degree = self.sum()
            self.expect("]")
        token = self.peek()
        whole = token.kind == "num" or token.text == "("  # \sqrt13 is the root of 13
        inner = self.primary() if whole else self._argument()
        return ("root", inner, degree or ("num", Fraction(2), None))

    def _logarithm(self, name: str) -> tuple:
        base = {"log10": ("num", Fraction(10), None), "ln": ("const", "e"), "log": None}[name]
        if self.peek().text == "_":
            self.take()
            base = self._argument()
        power = self._function_power()
        # "log" without a base: unknown, but the same on both sides
        tree = ("log", base, self._function_argument())
        return ("pow", tree, power) if power else tree

    def _function(self, name: str) -> tuple:
        power = self._function_power()
        argument = self._function_argument()
        if power == ("neg", ("num", Fraction(1), None)) and "a" + name in _UNARY:
            return ("fn", "a" + name, argument)
        if name == "cis":
            return ("fn", "exp", ("mul", ("const", "i"), argument))
        tree = ("fn", name, argument)
        return ("pow", tree, power) if power else tree

    def _function_power(self) -> tuple | None:
        if self.peek().text != "^":
            return None
        self.take()
        return self.exponent()

    def _function_argument(self) -> tuple:
        """\\sin 2x takes the product up to the next sign; \\sin(2x) y takes the bracket alone."""
        token = self.peek()
        if token.text in ("(", "{", "["):
            return self.primary()
        tree = self.signed()
        while True:
            token = self.peek()
            simple = token.kind in ("num", "letter") or token.text in ("pi", "frac", "sqrt")
            if not simple:
                return tree
            tree = self._implicit(tree, token)

    def _many(self, name: str) -> tuple:
        if self.peek().text not in ("(", "\\{", "{"):
            raise UnreadableError(f"\\{name}")
        bracket = self.take().text
        items = [self.sum()]
        while self.peek().text == ",":
            self.take()
            items.append(self.sum())
        self.expect(_MATES[bracket])
        return ("many", name, *items)
