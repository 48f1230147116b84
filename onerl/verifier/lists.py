"""When lists, sets and tuples are equal: complete, as often, in order where order counts."""

import itertools

from onerl.verifier.node import Node, is_name
from onerl.verifier.values import ValueComparison, exact_value

_MAX_LIST = 200


class ListComparison(ValueComparison):
    """Compares collections of answers; `Comparison` says what each of them is."""

    def _collections(self, gold: Node, answer: Node) -> bool:
        if "tuple" in (gold.kind, answer.kind):
            return self._tuple_and_list(gold, answer)
        wanted, said = _flat(gold), _flat(answer)
        if gold.kind not in ("list", "set"):  # several values offered for one: all must be right
            few = len(said) == 1 or (answer.kind == "list" and 0 < len(said) <= 4)
            return self._say("one answer", few and all(self.equal(gold, item) for item in said))
        if answer.kind not in ("list", "set"):
            one = len(wanted) > 0 and all(self.equal(item, answer) for item in wanted)
            repeated = gold.kind == "list" and len({item.spelling for item in wanted}) < len(wanted)
            return self._say("list", one and not repeated)
        if len({item.items[0].spelling for item in wanted if item.kind == "equation"}) > 1:
            named = any(item.kind == "equation" for item in said)  # or in the gold's order
            order = self._same_set if named else self._in_order
            same = len(wanted) == len(said) and order(wanted if named else _unnamed(wanted), said)
            return self._say("named values", same)
        wanted, said = _unnamed(wanted), _unnamed(said)
        if answer.kind == "list" and len(said) > len(wanted):
            return self._say("set", False)  # the same list twice, "or" the same list plus one
        if "set" in (gold.kind, answer.kind):
            wanted, said = self._distinct(wanted), self._distinct(said)
        return self._say("set", self._same_set(wanted, said))

    def _tuple_and_list(self, gold: Node, answer: Node) -> bool:
        """(1, 2) is x = 1, y = 2; otherwise a point is not a list."""
        pair, other = (gold, answer) if gold.kind == "tuple" else (answer, gold)
        items = other.items
        if len(items) == 1 and other.kind == "set":
            one = self.equal(*((gold, items[0]) if gold is pair else (items[0], answer)))
            return self._say("set", one and items[0].kind == "tuple")
        if pair.detail != "()" or not items or not all(item.kind == "equation" for item in items):
            every = gold is pair and other.kind == "list" and 0 < len(items) <= 4
            return self._say("one answer", every and all(self.equal(gold, i) for i in items))
        values = [item.items[-1] for item in items]
        if gold.kind == "tuple":
            return self._say("tuple", self._in_order(gold.items, values))
        return self._say("tuple", self._in_order(values, answer.items))

    def _same_set(self, gold: list[Node], answer: list[Node]) -> bool:
        """Each side's values are the other side's, in any order and as often."""
        if len(gold) != len(answer) or len(gold) > _MAX_LIST:
            return False
        rest = list(answer)
        ask, self.ask = self.ask, None  # first without the engine, which most pairs do not need
        gold = [item for item in gold if not self._taken(item, rest)]
        self.ask = ask
        few = ask is not None and len(gold) <= 6
        return not gold or (few and all(self._taken(item, rest) for item in gold))

    def _taken(self, item: Node, rest: list[Node]) -> bool:
        """Whether one of the `rest` is equal to a gold item; it is then taken from them."""
        hit = next((at for at, other in enumerate(rest) if self.equal(item, other)), None)
        if hit is not None:
            rest.pop(hit)
        return hit is not None

    def _distinct(self, items: list[Node]) -> list[Node]:
        if len(items) > _MAX_LIST:
            return items
        distinct: dict = {}
        for item in items:
            plain = item.kind == "value" and not (item.mark or item.unit)
            value = exact_value(item) if plain else None
            distinct.setdefault(item.spelling if value is None else value, item)
        return list(distinct.values())


def _flat(node: Node) -> list[Node]:
    """The members of a collection, with 1 ± 2 as two of them."""
    if node.kind not in ("list", "set"):
        return [node]
    out: list[Node] = []
    for item in _shortened(node.items):
        out += _flat(item) if item.kind == "list" and item.detail == "pm" else [item]
    return out


def _shortened(items: list[Node]) -> list[Node]:
    """1, 2, 3, …, n as 1, 2, …, n."""
    at = next((i for i, item in enumerate(items) if item.spelling == "dots"), 0)
    values = [exact_value(item) if item.kind == "value" else None for item in items[:at]]
    if at < 3 or None in values or len({b - a for a, b in itertools.pairwise(values)}) > 1:
        return items
    return items[:2] + items[at:]


def _unnamed(items: list[Node]) -> list[Node]:
    """x = 1, x = 2 (or x = 1, 2) as the values."""
    out = []
    for item in items:
        if item.kind == "equation" and is_name(item.items[0].tokens):
            out += _flat(item.items[-1])
        else:
            out.append(item)
    return out
