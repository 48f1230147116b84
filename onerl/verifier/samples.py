"""Where two expressions are compared in floating point: at points inside the domain of both."""
# word lists read better as words
# ruff: noqa: SIM905

from onerl.verifier.numeric import attempt, contains, mixed, nodes, numeric, variables

_COUNTED = frozenset(("fact", "binom", "gcd", "lcm", "sum", "prod"))
_WHOLE = _COUNTED | {"floor", "ceil", "mod"}
_COUNTERS = frozenset("n m k p q N M K i j".split())  # variables that stand for whole numbers
_UNKNOWNS = frozenset("x y z t".split())  # and those that may always be negative
_BRANCHED = frozenset(("root", "log", "pow"))
_WANTED = 10  # points at which both sides have a value
_TRIED = 72


class Samples:
    """The points at which two trees are compared: where both have a real value.

    Roots and logarithms want an argument that is not negative, arcsines one in [-1, 1], factorials
    whole numbers: points outside such a domain decide nothing and are passed over, and points of
    other sizes and signs are tried until enough lie inside. With several letters under roots, those
    that are not usual names of unknowns are quantities (a mass, a length) and positive.
    """

    def __init__(self, *trees: tuple):
        self.names = sorted(frozenset().union(*map(variables, trees)))
        counted, self.whole, branched, signed = (
            any(contains(tree, kinds) for tree in trees)
            for kinds in (_COUNTED, _WHOLE, _BRANCHED, frozenset(("abs",)))
        )
        self.only_whole = counted or (self.whole and set(self.names) <= _COUNTERS)
        quantities = branched and not signed and len(self.names) > 1
        self.positive = set(self.names) - _UNKNOWNS if quantities else set()
        numbers = (node[1] for tree in trees for node in nodes(tree) if node[0] == "num")
        self.scale = max([2.0, *(float(min(abs(number), 10**9)) for number in numbers)])

    def __iter__(self):
        if not self.names:
            yield {}
            return
        for salt in range(self.whole * (_TRIED if self.only_whole else 4)):
            yield {n: complex(mixed(n, salt) % (4 + salt % 9)) + 1 for n in self.names}
        for salt in range(0 if self.only_whole else _TRIED):
            yield {name: self._at(name, salt) for name in self.names}

    def _at(self, name: str, salt: int) -> complex:
        size = 0.05 + mixed(name, salt) % 10_007 / 10_007
        if salt % 3 == 2:
            size *= 2.0 ** (mixed(name, -salt - 3) % 8 - 4)  # letters of very different sizes
        scale = (1.0, 2.5, self.scale, 0.3, 3 * self.scale)[salt % 5]
        negative = salt >= 2 and mixed(name, salt) % 97 % 2 and name not in self.positive
        return complex(-size * scale if negative else size * scale)

    def pairs(self, first: tuple, second: tuple, field=None, convert=complex):
        """(value, value) of two trees at up to `_WANTED` points where both have one.

        A last pair of None says that there is no such point, though one side has values.
        """
        found, one_sided = 0, 0
        for point in self:
            at = {name: convert(value) for name, value in point.items()}
            left, right = (attempt(numeric, tree, at, field) for tree in (first, second))
            if left is None or right is None:
                one_sided += left is not right
                continue
            found += 1
            yield left, right
            if found == _WANTED:
                break
        if one_sided and (not found or (self.only_whole and one_sided > 3 * found)):
            yield None, None
