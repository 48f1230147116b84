r"""What the commands of an expression mean: fractions, roots, functions, sums, integrals, limits.

`expression` reads the expression around them, and gives itself as the reader.
"""

import re
from fractions import Fraction
from itertools import pairwise

from onerl.verifier.numeric import rebuilt
from onerl.verifier.tokens import FUNCTIONS, Token, UnreadableError, depths, spell

_UNARY = FUNCTIONS - {"sqrt", "log", "log10", "ln", "max", "min", "gcd", "lcm"}
_BASES = {"log": None, "log10": ("num", Fraction(10), None), "ln": ("const", "e")}
_INVERSE = ("neg", ("num", Fraction(1), None))
_NAMED = ("overline", "angle", "triangle", "mathbb", "widetilde", "overset")
MATES = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "lfloor": "rfloor", "lceil": "rceil"}
_NAMES = ("#", "##", "###")  # of bound variables, from the inside
_DERIVATIVE = re.compile(r"d (?:\^ ([1-4]) )?(\S+)")


def matching(tokens: list[Token], start: int) -> int:
    """Index of the bracket that closes the one at `start`, or -1."""
    behind = enumerate(depths(tokens[start:]), start)
    return next((at for at, depth in behind if depth == 0), -1)


def _with_bound(tree: tuple, name: str, bound: str) -> tuple:
    """`tree` with its bound variable under a name that no answer can write."""
    named = (("var", name), ("const", name))
    return rebuilt(tree, lambda node: ("var", bound) if node in named else node)


class Commands:
    """The part of the reader that takes the arguments of a command."""

    def _command(self, name: str) -> tuple:
        if name in ("pi", "infty"):
            return ("const", "pi" if name == "pi" else "oo")
        if name == "frac":
            return self._fraction()
        if name == "binom":
            return ("binom", self._argument(), self._argument())
        if name == "sqrt":
            return self._root()
        if name == "root":  # \\root 3 \\of 7
            degree = self._argument()
            self.expect("of")
            return ("root", self._argument(), degree)
        if name in ("sum", "prod", "int", "lim"):
            return self._bound(name)
        if name in ("max", "min", "gcd", "lcm"):
            return self._many(name)
        if name in _BASES or name in _UNARY:
            return self._function(name)
        if name not in _NAMED:
            raise UnreadableError(f"\\{name}")
        group = self._group()
        while name == "angle" and self.peek().kind == "letter":
            group.append(self.take())
        return ("var", name + " " + spell(group))

    def _fraction(self) -> tuple:
        """A quotient; dy/dt is y', and a derivative that is more involved is a name."""
        sign, close = self.peek(1).text, -1
        if self.peek().text == "{" and sign in ("d", "\\partial"):
            close = matching(self.tokens, self.position)
        if close < 0 or [t.text for t in self.tokens[close + 1 : close + 3]] != ["{", sign]:
            return ("div", self._argument(), self._argument())
        top, bottom = self._group(), self._group()
        simple = _DERIVATIVE.fullmatch(spell(top))
        if simple and top[-1].kind == "letter":
            return ("var", simple[2] + "'" * int(simple[1] or 1))
        return ("var", f"frac {spell(top)} / {spell(bottom)}")

    def _bound(self, name: str) -> tuple:
        """A sum, product, integral or limit: (name, bound variable, from, to, body)."""
        low, high = [], ("const", "oo")
        while sign := self.accept("op", "_", "^"):
            if sign.text == "_":
                low = self._group()
            else:
                high = self.parsed(self._group())
        if name == "int" and low:
            body, variable = self._integrand()
            start = self.parsed(low)
        else:
            sign = "to" if name == "lim" else "="
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
        rest = self.tokens[self.position :]
        behind = zip(depths(rest[:-1]), pairwise(rest), strict=True)
        for at, (depth, (token, after)) in enumerate(behind):
            if depth == 0 and token.text == "d" and after.kind == "letter":
                self.position += at + 2
                return self.parsed(rest[:at] or [Token("num", "1")]), after.text
        raise UnreadableError("\\int")

    def _root(self) -> tuple:
        degree = ("num", Fraction(2), None)
        if self.accept("open", "["):
            degree = self.sum()
            self.expect("]")
        token = self.peek()
        whole = token.kind == "num" or token.text == "("  # \sqrt13 is the root of 13
        return ("root", self.primary() if whole else self._argument(), degree)

    def _function(self, name: str) -> tuple:
        """A function with its power; \\log has a base, which is unknown if none is written."""
        base = self._argument() if name in _BASES and self.accept("op", "_") else _BASES.get(name)
        power = self.exponent() if self.accept("op", "^") else None
        argument = self._function_argument()
        if name in _BASES:
            tree = ("log", base, argument)
        elif name == "cis":
            tree = ("fn", "exp", ("mul", ("const", "i"), argument))
        elif power == _INVERSE and "a" + name in _UNARY:
            return ("fn", "a" + name, argument)
        else:
            tree = ("fn", name, argument)
        return ("pow", tree, power) if power else tree

    def _function_argument(self) -> tuple:
        """\\sin 2x takes the product up to the next sign; \\sin(2x) y takes the bracket alone."""
        if self.peek().text in ("(", "{", "["):
            return self.primary()
        tree = self.signed()
        while self.peek().kind in ("num", "letter") or self.peek().text in ("pi", "frac", "sqrt"):
            tree = self._implicit(tree, self.peek())
        return tree

    def _many(self, name: str) -> tuple:
        bracket = self.take().text
        if bracket not in ("(", "\\{", "{"):
            raise UnreadableError(f"\\{name}")
        items = [self.sum()]
        while self.accept("op", ","):
            items.append(self.sum())
        self.expect(MATES[bracket])
        return ("many", name, *items)
