r"""Units of measurement: which words are units, and when two answers state the same one.

A unit is read as powers of base units, so ``mph``, ``miles per hour`` and
``\frac{\text{mi}}{\text{h}}`` are one unit, and cm² is not cm³. Nothing is converted: 1 m and 100
cm are different answers, because the question asked for one of them. Words that only name what is
counted ("24 divisors") are no units and never contradict anything.
"""
# word lists read better as words
# ruff: noqa: SIM905

import re

Unit = frozenset  # of (base unit, power); the empty set means "a thing counted"

# a unit's name and its other spellings, without plurals
_SPELLINGS = """
m meter metre; cm centimeter centimetre; mm millimeter millimetre; km kilometer kilometre kms;
nm nanometer; dm decimeter; um micrometer micron; in inch inches; ft foot feet; yd yard; mi mile; au;
pc parsec; angstrom; s sec second; ms millisecond; min minute; h hr hour; day; week; month; year yr;
deg degree; rad radian; usd dollar buck; cent; eur euro; gbp pound; cny yuan rmb; rupee; yen;
g gram gm; kg kilogram; mg milligram; lb; oz ounce; ton tonne; l liter litre; ml milliliter
millilitre; gal gallon; cup; acre; hz hertz; khz; mhz; ghz; j joule; kj; w watt; kw kilowatt; n newton;
v volt; a amp ampere; ohm; kohm; pa pascal; kpa; atm; bar; k kelvin; c celsius; f fahrenheit; erg;
ev; kev; mev; gev; sr steradian; rpm; mol mole; ly; bit; byte; percent pct percentage; t tesla; db;
decibel; cal; kcal; coulomb; farad; msun; lsun; rsun; knot; rev
"""
_WORDS: dict[str, str] = {}
for _entry in _SPELLINGS.split(";"):
    _name, *_others = _entry.split()
    for _alias in (_name, *_others):
        _WORDS[_alias] = _WORDS[_alias + "s" if len(_alias) > 1 else _alias] = _name
_COMPOUND = {
    "mph": {"mi": 1, "h": -1},
    "kph": {"km": 1, "h": -1},
    "kmh": {"km": 1, "h": -1},
    "kmph": {"km": 1, "h": -1},
    "fps": {"ft": 1, "s": -1},
}
# Metric prefixes count where case is written, inside \text{}: \mathrm{kN}, \mathrm{Mpc}.
_PREFIXED = re.compile(
    "([kMGTmcdnpuh])(m|g|s|Hz|J|W|N|V|A|Pa|eV|mol|L|l|B|K|pc|C|F|T|cal|bit|bar|yr|rad|G|Ohm)"
)
_MICRO = re.compile("[kmgu]ohm|u(?:[favsmglhcwtj]|pa)")  # as `tokens` joins them
_POWER_BEFORE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWER_AFTER = {"squared": 2, "cubed": 3}
# Filler between a number and its unit; "units" itself says nothing about which.
_FILLER = frozenset("unit units of the a each total about".split())


def name_of(word: str) -> str:
    """The spelling under which a unit inside \\text{} is kept."""
    known = word.lower() in _WORDS or not _PREFIXED.fullmatch(word)
    return word.lower() if known else word


def is_unit(word: str, *, exact: bool = False) -> bool:
    """Whether `word` alone can name a unit; prefixes and single letters only inside \\text."""
    known = word.lower() in _WORDS or word.lower() in _COMPOUND
    return known or (exact and word != "pm" and bool(_PREFIXED.fullmatch(word)))


def is_modifier(word: str) -> bool:
    word = word.lower()
    return word in _POWER_BEFORE or word in _POWER_AFTER or word in ("per", "unit", "units")


def read_unit(words: list[str]) -> Unit | None:
    """The unit spelled by `words` (letters, "per", "/", "^", integers), or None if it is none."""
    powers: dict[str, int] = {}
    sign, ahead, last = 1, 1, None
    index = 0
    while index < len(words):
        word = words[index].lower().rstrip(".")
        if word in ("per", "/"):
            sign = -1
        elif word in _POWER_BEFORE:
            ahead = _POWER_BEFORE[word]
        elif word in _POWER_AFTER and last:
            powers[last] *= _POWER_AFTER[word]
        elif word == "^" and index and index + 1 < len(words):
            try:
                power = int(words[index + 1])
            except ValueError:
                return None
            if last:
                powers[last] *= power
            index += 1
        elif word in _COMPOUND:
            for name, power in _COMPOUND[word].items():
                powers[name] = powers.get(name, 0) + sign * power
        elif word in _WORDS or _MICRO.fullmatch(word) or _PREFIXED.fullmatch(words[index]):
            last = _WORDS.get(word, word if _MICRO.fullmatch(word) else words[index])
            powers[last] = powers.get(last, 0) + sign * ahead
            ahead = 1
        elif word not in ("*", "") and word not in _FILLER:
            return None
        index += 1
    return Unit(powers.items())


def agree(first: Unit | None, second: Unit | None) -> bool:
    """Two units contradict each other only if both are stated."""
    return not first or not second or first == second
