"""The words, commands and units of vocabulary.txt, by section."""

import re
from pathlib import Path

_TEXT = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
_PARTS = re.split(r"^\[(.+)\]\n", _TEXT, flags=re.M)
_SECTIONS = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True))


def listed(section: str) -> list[str]:
    return _SECTIONS[section].split()


def words(section: str) -> frozenset[str]:
    return frozenset(listed(section))


def phrases(section: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in _SECTIONS[section].split(";"))


def names(section: str) -> dict[str, str]:
    """The name that each spelling in a section stands for, names themselves included."""
    entries = [entry.split() for entry in _SECTIONS[section].split(";")]
    return {spelling: entry[0] for entry in entries for spelling in entry}
