"""What a recipe is made of: a knob's help and source, presets by name, the labels of Table 5."""

from typing import Annotated, Any

from pydantic import Field

from onerl.parameters import params_folder, read_yaml
from onerl.world import EMBEDDED, World

OwnReward = Annotated[
    str,
    Field(
        pattern=r"^(.+\.py|[A-Za-z_][\w.]*):[A-Za-z_]\w*$",
        description="your own, as file.py:function or package.module:function",
    ),
]


def presets() -> list[str]:
    """Names that `Recipe.load` knows, sorted: files in `params/` that begin with `preset:`."""
    files = params_folder().glob("*.yaml")
    return sorted(f.stem for f in files if f"\npreset: {f.stem}\n" in f"\n{f.read_text('utf-8')}")


def _field(
    default: Any,
    help: str,
    source: str = "",
    paper: Any = ...,
    *,
    counts: bool = True,
    later: bool = False,
    **limits: Any,
) -> Any:
    """A knob: default, one line of help and, where the paper or its code fixes it, the source.

    Args:
        paper: the paper's value, where the default is another.
        counts: False for what says how a run is named or executed, not what it computes: not part
            of the hash.
        later: part of the hash only where not the default, so that runs from before the field
            was added keep their folder.
    """
    value = None if not source else default if paper is ... else paper
    about = {"paper": value, "source": source, "counts": counts, "later": later}
    return Field(default, description=help, json_schema_extra=about, **limits)


def labels_of(examples: str, world: World = EMBEDDED) -> dict[str, str]:
    """Labels of the paper's Table 5 for an example, by kind: right, slightly_off, guessable, …

    Empty for examples other than pi1 and world:pi1, for which the paper chose none.
    """
    if examples == "world:pi1" and world.pi1 != EMBEDDED.pi1:
        return {"right": world.examples(examples)[0].answer, **world.labels}
    return read_yaml(params_folder() / "ablation.yaml")["labels"].get(examples, {})
