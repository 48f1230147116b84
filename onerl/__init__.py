"""onerl: reinforcement learning for reasoning from one training example.

    recipe = onerl.Recipe.load("tiny", seed=0)
    run = onerl.train(recipe, out="outputs/demo")
    report = onerl.evaluate(run.checkpoints[-1], benchmarks=["world"])

Importing the package is light: what a name needs is loaded when it is first used.
"""

import sys
import warnings
from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

if sys.platform == "win32":
    raise ImportError(
        "onerl runs on Linux and macOS; on Windows use it inside WSL2 (wsl --install), as on Linux"
    )

# Said by one library to another at every run; nothing a user could act on.
for _message in ("IProgress not found", "`is_gradient_checkpointing` is deprecated"):
    warnings.filterwarnings("ignore", message=_message)

_EVALUATION = ("Prompting", "Protocol", "evaluate", "one_engine", "rescore")
_HOMES = {
    **dict.fromkeys(("Recipe", "RecipeError"), "onerl.recipe"),
    **dict.fromkeys(("Run", "outputs_folder"), "onerl.runs"),
    **dict.fromkeys(_EVALUATION, "onerl.evaluation"),
    "train": "onerl.train",
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
    """Keeps `onerl.train` the function after the import system binds the submodule to the name.

    `python -m onerl.train` and `from onerl.train import main` go through sys.modules.
    """

    def __setattr__(self, name, value):
        if name != "train" or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
