r"""Units of measurement: which words are units, and when two answers state the same one.

A unit is read as powers of base units, so ``mph``, ``miles per hour`` and
``\frac{\text{mi}}{\text{h}}`` are one unit, and cm² is not cm³. Nothing is converted: 1 m and 100
cm are different answers, because the question asked for one of them. Words that only name what is
counted ("24 divisors") are no units and never contradict anything.
"""
# word lists read better as words
# ruff: noqa: SIM905

Unit = frozenset  # of (base unit, power); the empty set means "a thing counted"

_ALIASES = {
    "m": "m meter meters metre metres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "km": "km kilometer kilometers kilometre kilometres kms",
    "nm": "nm nanometer nanometers",
    "dm": "dm decimeter decimeters",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "au": "au",
    "pc": "pc parsec parsecs",
    "angstrom": "angstrom angstroms",
    "s": "s sec secs second seconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "deg": "degree degrees deg degs",
    "rad": "rad radian radians",
    "usd": "dollar dollars usd buck bucks",
    "cent": "cent cents",
    "eur": "euro euros eur",
    "gbp": "pound pounds gbp",
    "cny": "yuan rmb cny",
    "rupee": "rupee rupees",
    "yen": "yen",
    "g": "g gram grams gm",
    "kg": "kg kilogram kilograms kgs",
    "mg": "mg milligram milligrams",
    "lb": "lb lbs",
    "oz": "oz ounce ounces",
    "ton": "ton tons tonne tonnes",
    "l": "l liter liters litre litres",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "gal": "gal gallon gallons",
    "cup": "cup cups",
    "acre": "acre acres",
    "hz": "hz hertz",
    "khz": "khz",
    "mhz": "mhz",
    "j": "j joule joules",
    "kj": "kj",
    "w": "w watt watts",
    "kw": "kw kilowatt kilowatts",
    "n": "n newton newtons",
    "v": "v volt volts",
    "a": "a amp amps ampere amperes",
    "ohm": "ohm ohms",
    "pa": "pa pascal pascals",
    "kpa": "kpa",
    "atm": "atm",
    "k": "k kelvin",
    "c": "c celsius",
    "f": "f fahrenheit",
    "erg": "erg ergs",
    "ev": "ev",
    "kev": "kev",
    "mev": "mev",
    "gev": "gev",
    "sr": "sr steradian steradians",
    "rpm": "rpm",
    "mol": "mol mole moles",
    "ly": "ly",
    "bit": "bit bits",
    "byte": "byte bytes",
    "percent": "percent pct percentage percents",
}
_WORDS = {alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()}
_COMPOUND = {
    "mph": {"mi": 1, "h": -1},
    "kph": {"km": 1, "h": -1},
    "kmh": {"km": 1, "h": -1},
    "kmph": {"km": 1, "h": -1},
    "fps": {"ft": 1, "s": -1},
}
_POWER_BEFORE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWER_AFTER = {"squared": 2, "cubed": 3}
# Filler between a number and its unit; "units" itself says nothing about which.
_FILLER = frozenset("unit units of the a each total about".split())


def is_unit(word: str) -> bool:
    """Whether `word` alone can name a unit; single letters only count inside \\text or \\mathrm."""
    return word.lower() in _WORDS or word.lower() in _COMPOUND


def is_modifier(word: str) -> bool:
    word = word.lower()
    return (
        word in _POWER_BEFORE or word in _POWER_AFTER or word == "per" or word in ("unit", "units")
    )


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
        elif word == "^" and last and index + 1 < len(words):
            try:
                powers[last] *= int(words[index + 1])
            except ValueError:
                return None
            index += 1
        elif word in _COMPOUND:
            for name, power in _COMPOUND[word].items():
                powers[name] = powers.get(name, 0) + sign * power
        elif word in _WORDS:
            last = _WORDS[word]
            powers[last] = powers.get(last, 0) + sign * ahead
            ahead = 1
        elif word in ("*", "") or word in _FILLER:
            pass
        else:
            return None
        index += 1
    return Unit((name, power) for name, power in powers.items() if power)


def agree(first: Unit | None, second: Unit | None) -> bool:
    """Two units contradict each other only if both are stated."""
    return not first or not second or first == second
