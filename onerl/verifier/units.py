r"""Units of measurement: which words are units, and when two answers state the same one.

A unit is read as powers of base units, so ``mph``, ``miles per hour`` and
``\frac{\text{mi}}{\text{h}}`` are one unit, and cm² is not cm³. Nothing is converted: 1 m and 100
cm are different answers, because the question asked for one of them. Words that only name what is
counted ("24 divisors") are no units and never contradict anything.
"""

import re
from collections import Counter

from onerl.verifier import vocabulary

Unit = frozenset  # of (base unit, power); the empty set means "a thing counted"

_SINGULAR = vocabulary.names("units")
_NAMES = _SINGULAR | {word + "s": name for word, name in _SINGULAR.items() if len(word) > 1}
_COMPOUND = {
    "mph": {"mi": 1, "h": -1},
    **{name: {"km": 1, "h": -1} for name in ("kph", "kmh", "kmph")},
    "fps": {"ft": 1, "s": -1},
}
# Metric prefixes count where case is written, inside \text{}: \mathrm{kN}, \mathrm{Mpc}.
_PREFIXED = re.compile(
    "([kMGTmcdnpuh])(m|g|s|Hz|J|W|N|V|A|Pa|eV|mol|L|l|B|K|pc|C|F|T|cal|bit|bar|yr|rad|G|Ohm)"
)
_MICRO = re.compile("[kmgu]ohm|u(?:[favsmglhcwtj]|pa)")  # as `tokens` joins them
_POWER_BEFORE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWER_AFTER = {"squared": 2, "cubed": 3}
_MODIFIERS = {*_POWER_BEFORE, *_POWER_AFTER, "per", "unit", "units"}
# Filler between a number and its unit; "units" itself says nothing about which.
_FILLER = {"unit", "units", "of", "the", "a", "each", "total", "about", "*", ""}


def is_unit(word: str, *, modifiers: bool = False) -> bool:
    """Whether `word` alone can name a unit, or (with `modifiers`) be said with one."""
    word = word.lower()
    return word in _NAMES or word in _COMPOUND or (modifiers and word in _MODIFIERS)


def said_unit(word: str) -> str:
    r"""The name of a unit inside \text{}, where it may have a metric prefix; "" if it is none."""
    if is_unit(word):
        return word.lower()
    return word if word != "pm" and _PREFIXED.fullmatch(word) else ""


def read_unit(words: list[str]) -> Unit | None:
    """The unit spelled by `words` (letters, "per", "/", "^", integers), or None if it is none."""
    powers: Counter[str] = Counter()
    sign, ahead, last = 1, 1, None
    reading = iter(range(len(words)))
    for index in reading:
        word = words[index].lower().rstrip(".")
        if word in ("per", "/"):
            sign = -1
        elif word in _POWER_BEFORE:
            ahead = _POWER_BEFORE[word]
        elif word in _POWER_AFTER and last:
            powers[last] *= _POWER_AFTER[word]
        elif word == "^" and 0 < index < len(words) - 1:
            try:
                power = int(words[next(reading)])
            except ValueError:
                return None
            if last:
                powers[last] *= power
        elif word in _COMPOUND:
            powers.update({name: sign * power for name, power in _COMPOUND[word].items()})
        elif word in _NAMES or _MICRO.fullmatch(word) or _PREFIXED.fullmatch(words[index]):
            last = _NAMES.get(word, word if _MICRO.fullmatch(word) else words[index])
            powers[last] += sign * ahead
            ahead = 1
        elif word not in _FILLER:
            return None
    return Unit(powers.items())


def agree(first: Unit | None, second: Unit | None) -> bool:
    """Two units contradict each other only if both are stated."""
    return not first or not second or first == second
