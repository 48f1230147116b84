r"""What the commands of an expression mean: fractions, roots, functions, sums, integrals, limits.

`expression` reads the expression around them, and gives itself as the reader.
"""

from fractions import Fraction

from onerl.verifier.tokens import FUNCTIONS, Token, UnreadableError, spell

_UNARY = FUNCTIONS - {"sqrt", "log", "max", "min", "gcd", "lcm"}
_MANY = frozenset(("max", "min", "gcd", "lcm"))
MATES = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "lfloor": "rfloor", "lceil": "rceil"}
_BOUND = frozenset(("sum", "prod", "int", "lim"))
_NAMES = ("#", "##", "###")  # of bound variables, from the inside


def matching(tokens: list[Token], start: int) -> int:
    """Index of the bracket that closes the one at `start`, or -1."""
    depth = 0
    for index in range(start, len(tokens)):
        depth += (tokens[index].kind == "open") - (tokens[index].kind == "close")
        if depth == 0:
            return index
    return -1


def _with_bound(tree: tuple, name: str, bound: str) -> tuple:
    """`tree` with its bound variable under a name that no answer can write."""
    if tree == ("var", name) or tree == ("const", name):
        return ("var", bound)
    return tuple(_with_bound(p, name, bound) if isinstance(p, tuple) else p for p in tree)


class Commands:
    """The part of the reader that takes the arguments of a command."""

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
        """A sum, product, integral or limit: (name, bound variable, from, to, body)."""
        low, high = None, ("const", "oo")
        while self.peek().text in ("_", "^"):
            if self.take().text == "_":
                low = self._group()
            else:
                high = self.parsed(self._group())
        if low is None:
            raise UnreadableError(f"\\{name}")
        sign = {"lim": "to"}.get(name, "=")
        if name == "int":
            body, variable = self._integrand()
            start = self.parsed(low)
        else:
            if len(low) < 3 or low[0].kind != "letter" or low[1].text != sign:
                raise UnreadableError(f"\\{name}")
            variable, start = low[0].text, self.parsed(low[2:])
            body = self.product()
        bound = next((name for name in _NAMES if repr(name) not in repr(body)), "")
        if not bound:
            raise UnreadableError("sums of sums of sums")
        return (name, bound, start, high, _with_bound(body, variable, bound))

    def _integrand(self) -> tuple[tuple, str]:
        """(body, variable) of what stands before dx."""
        depth = 0
        for at in range(self.position, len(self.tokens) - 1):
            token, after = self.tokens[at], self.tokens[at + 1]
            depth += (token.kind == "open") - (token.kind == "close")
            if depth == 0 and token.text == "d" and after.kind == "letter":
                body = self.tokens[self.position : at]
                self.position = at + 2
                tree = self.parsed(body) if body else ("num", Fraction(1), None)
                return tree, after.text
        raise UnreadableError("\\int")

    def _derivative(self) -> tuple:
        """dy/dt as y', and what is more involved as it is spelled."""
        top, bottom = self._group(), self._group()
        order, name = 1, top[1:]
        if name[:1] and name[0].text == "^":
            name = [token for token in name[1:] if token.text not in "{}"]
            order, name = int(spell(name[:1])) if spell(name[:1]).isdigit() else 0, name[1:]
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
        self.expect(MATES[bracket])
        return ("many", name, *items)
