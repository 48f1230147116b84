"""The page that lists the phases of a training step is right: its functions run in its order."""

import importlib
import re
import sys
from operator import attrgetter

from small_models import short_recipe

from onerl import train, training

BACKWARD = "trainer.OneShotTrainer.backward"  # listed after what it calls
SCORING = ("batches.chunks", "trainer.OneShotTrainer._score")  # of phases 3 and 4 too


def named():
    """The functions of the page by "module.name", in its order."""
    names = re.findall(r"`(\w+\.[\w.]+)`", training.__doc__.partition("Before a run:")[0])
    for name in dict.fromkeys(names):
        module, _, path = name.partition(".")
        yield name, attrgetter(path)(importlib.import_module(f"onerl.training.{module}"))


def test_every_function_of_the_page_is_there():
    assert len(dict(named())) > 12
    for module in re.findall(r"`(\w+)`", training.__doc__.partition("Before a run:")[2]):
        importlib.import_module(f"onerl.training.{module}")


def test_the_phases_of_a_step_run_in_the_order_of_the_page(tiny_model_dir, tmp_path):
    """Two updates a step, so that the old policy is scored too."""
    recipe = short_recipe(
        tiny_model_dir,
        steps=1,
        prompts_per_step=2,
        updates_per_step=2,
    )
    found = dict(named())
    reward = "rewards.reward_function"  # makes the function that is called
    codes = {getattr(f, "__code__", None): name for name, f in found.items() if name != reward}
    calls = []

    def note(frame, event, _):
        if event == "call":
            nested = frame.f_code.co_qualname == "reward_function.<locals>.reward"
            name = reward if nested else codes.get(frame.f_code)
            if name:
                calls.append(name)

    sys.setprofile(note)
    try:
        train(recipe, tmp_path, progress=False)
    finally:
        sys.setprofile(None)
    around = calls.index(BACKWARD)
    before = [name for name in calls[:around] if name not in SCORING]
    apart = ("trainer.OneShotTrainer.training_step", BACKWARD)
    seen = [name for name in dict.fromkeys(before + calls[around:]) if name not in apart]
    classes = [name for name, function in found.items() if isinstance(function, type)]
    assert seen == [name for name in found if name not in (*apart, *classes)]
    assert before[-1] == "loss.group_advantages"
