"""The embedded world: templated problems, a corpus, a base model; knows nothing of the rest."""

from pathlib import Path

from onerl.world.split import (
    PI1,
    PI1_SIMPLIFIED,
    POOL_PER_TEMPLATE,
    Item,
    examples,
    exercise,
    heldout,
    split,
)

FOLDER = Path(__file__).parent / "model"
"""The shipped base model."""

__all__ = [
    "FOLDER",
    "PI1",
    "PI1_SIMPLIFIED",
    "POOL_PER_TEMPLATE",
    "Item",
    "examples",
    "exercise",
    "heldout",
    "split",
]
