"""Embedded worlds: small enough for a laptop, whole enough to show what the paper shows.

The story, one file each:

    templates.py    fourteen kinds of problem, and how each is solved, rightly and wrongly
    unseen.py       four more, that no training has seen
    world.py        a world as one frozen value: who sees which problem, how its corpus is written
    corpus.py       the noisy text about them, and the tokenizer
    pretraining.py  the base model that reads it, in phases
    model/          the base model of `EMBEDDED`, shipped with its world.json

Knows nothing of the rest of onerl; `onerl.problems` makes a world's problems everybody's.
"""

from onerl.world.world import EMBEDDED, FOLDER, Item, Mixture, World, is_world, world_of

__all__ = ["EMBEDDED", "FOLDER", "Item", "Mixture", "World", "is_world", "world_of"]
