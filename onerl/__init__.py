"""onerl: reinforcement learning for reasoning from one training example.

    recipe = onerl.Recipe.load("tiny", seed=0)
    run = onerl.train(recipe, out="outputs/demo")
    report = onerl.evaluate(run.checkpoints[-1], benchmarks=["world"])

Importing the package is light: torch and transformers are loaded when `train` or `evaluate` is
first used.
"""

import sys
import warnings
from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

# Said by one library to another at every run; nothing a user could act on.
for _message in ("IProgress not found", "`is_gradient_checkpointing` is deprecated"):
    warnings.filterwarnings("ignore", message=_message)

_HOMES = {
    "Recipe": "onerl.recipe",
    "RecipeError": "onerl.recipe",
    "Run": "onerl.runs",
    "outputs_folder": "onerl.runs",
    "train": "onerl.train",
    "Prompting": "onerl.evaluation",
    "Protocol": "onerl.evaluation",
    "evaluate": "onerl.evaluation",
    "one_engine": "onerl.evaluation",
    "rescore": "onerl.evaluation",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'onerl' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps `onerl.train` the function after the submodule `onerl/train.py` is imported.

    The import system binds every submodule as an attribute of its package; for `train` that
    would hide the function. `python -m onerl.train` and `from onerl.train import main` go
    through sys.modules and are not affected.
    """

    def __setattr__(self, name, value):
        if name == "train" and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
