"""Worlds and base models small enough to be made in a test."""

from onerl.world import World
from onerl.world.pretraining import Pretraining

TINY = Pretraining(
    steps=12,
    batch_size=8,
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=1,
    intermediate_size=48,
    warmup_steps=2,
)


def small_world(**changes) -> World:
    """Two templates with a dozen held-out problems; pi1 has a label of every kind."""
    fields = {
        "templates": ("mean", "linear"),
        "heldout_size": 12,
        "pool_per_template": 6,
        "unseen": ("function",),
        "unseen_per_template": 5,
        "pi1": ("mean", (2, 3, 4)),
        "labels": {"slightly_off": "2", "guessable": "4", "unreachable": "929725"},
    }
    return World(**fields | changes)
