"""What a user typed, on its way into a recipe: YAML files, command lines, notebook globals.

papermill guesses types (`-p label 12.80` arrives as the float 12.8), YAML 1.1 reads 1e-6 as text
and `yes` as true: here every value is brought to the type that its field declares.
"""

from __future__ import annotations

import ast
import difflib
import os
import reprlib
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)
from pydantic_core import PydanticCustomError

LONGEST = 100  # characters of a wrong value that a message shows
FRONT_ENDS = {"JPY_SESSION_NAME", "VSCODE_PID"}  # set in a kernel that somebody looks at
NOUNS = {
    **{"integer": "a whole number", "number": "a number", "boolean": "true or false"},
    **{"string": "text", "null": "null", "object": "{problem: text, answer: text}"},
}
LIMITS = {
    **{"minimum": "at least", "exclusiveMinimum": "over"},
    **{"maximum": "at most", "exclusiveMaximum": "under"},
}
"""Words for the types and bounds of a JSON schema."""


def watched() -> bool:
    """Whether a notebook's front end shows what this process prints."""
    return bool(FRONT_ENDS & set(os.environ)) and "ipykernel" in sys.modules


class RecipeError(ValueError):
    """A parameter that is unknown or not allowed; the message says which, and what is."""


def params_folder() -> Path:
    """Where the presets are: inside an installed package, or at the root of a checkout."""
    inside = Path(__file__).parent / "params"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "params"


def nearest(name: str, known: Iterable[str]) -> str:
    """`; nearest: 'steps'` for "stepz", or nothing when no known name is near."""
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"; nearest: {close[0]!r}" if close else ""


def choose(what: str, value: Any, known: Iterable[str]) -> Any:
    """The value itself, if it is one of the known names.

    Raises:
        RecipeError: it is not; the message names the nearest one and all that are allowed.
    """
    names = list(known)
    if value not in names:
        hint = f"{nearest(str(value), names)}; allowed: {', '.join(names)}"
        raise RecipeError(f"{what} = {value!r}: there is no such {what}{hint}")
    return value


def _refusal(reason: str) -> PydanticCustomError:
    """For what the type of a field does not tell; `explained` shows the reason."""
    return PydanticCustomError("refusal", "{reason}", {"reason": reason})


def _number(value: Any) -> Any:
    """YAML reads 1e-6 as text, and -0.0 is 0 in other digits; True and False are not numbers."""
    if isinstance(value, bool):
        raise ValueError("true and false are not numbers")
    value = float(value) if isinstance(value, str) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: Any) -> Any:
    """Numbers become the text that was meant: papermill turns `-p label 12.8` into a float."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("not text")
    if value in (float("inf"), -float("inf")) or value != value:
        raise _refusal("not a finite number")
    text = str(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _refusal("half of a surrogate pair is no character")
    return text


def _answer(text: str) -> str:
    """NaN in a file of parameters is a value that is missing, not the answer to a problem."""
    if text.strip().lstrip("+-.").casefold() == "nan":
        raise _refusal("NaN is no answer")
    return text


def _flag(value: Any) -> Any:
    """YAML files and command lines give text."""
    known = {"true": True, "false": False}
    return known.get(value.lower(), value) if isinstance(value, str) else value


def _own_example(value: Any) -> Any:
    """A name, or one problem of the user's own as {problem, answer}."""
    if not isinstance(value, Mapping):
        return _filled(value)
    if set(value) != {"problem", "answer"}:
        raise ValueError("a problem of your own has exactly the keys problem and answer")
    return {"problem": _filled(value["problem"]), "answer": _answer(_filled(value["answer"]))}


def _filled(value: Any) -> str:
    text = _text(value)
    if not text.strip():
        raise _refusal("it is empty")
    return text


def _names(value: Any) -> Any:
    """One name stands for a list of one: `-p benchmarks world`."""
    return tuple(value.split(",")) if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """One value stands for a list of one: `-p seeds 3`, `-p arms "row 5"`."""
    return (value,) if isinstance(value, str | int | float) else value


def _different(values: tuple) -> tuple:
    for value in values:
        if values.count(value) > 1:
            raise _refusal(f"{value!r} is there twice")
    return values


Whole = Annotated[int, BeforeValidator(_number)]
Positive = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_number)]
Threads = Annotated[int, Field(ge=1, le=1024), BeforeValidator(_number)]
Real = Annotated[float, Field(allow_inf_nan=False, le=1_000_000), BeforeValidator(_number)]
Share = Annotated[float, Field(gt=0, lt=1), BeforeValidator(_number)]
Flag = Annotated[bool, Field(strict=True), BeforeValidator(_flag)]
Text = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
Label = Annotated[Text, AfterValidator(_answer)]
OwnExample = Annotated[str | dict[str, str], BeforeValidator(_own_example)]
Names = Field(min_length=1), AfterValidator(_different), BeforeValidator(_names)
NameList = Annotated[tuple[Text, ...], *Names]
Seeds = Annotated[tuple[Whole, ...], Field(min_length=1), BeforeValidator(_listed)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(_listed)]
GRID = MappingProxyType(
    {"seeds": Seeds | None, "arms": Texts | None, "full": Flag, "jobs": Positive | None}
)
"""The types of the parameters that every notebook of a grid has."""
TESTED = MappingProxyType(
    {
        "model": Text | None,
        "benchmarks": NameList | None,
        "limit": Positive | None,
        "backend": Literal["auto", "torch", "vllm"],
    }
)
"""The types of the parameters of a notebook that tests any model."""


def between(low: int, high: int) -> Any:
    """The type of a whole number of this range, both ends included."""
    return Annotated[int, Field(ge=low, le=high), BeforeValidator(_number)]


class _TextNumbers(yaml.SafeLoader):
    """Scalars stay text, except null, so that a label 12.80 keeps its last digit.

    Refused are a key that a mapping has twice, of which YAML takes the last without a word, and
    aliases that stand for more than a file of parameters can mean (a "bomb").
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  # as yaml declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    MOST = 100_000  # nodes, counted as often as aliases repeat them

    def get_single_node(self) -> yaml.Node | None:
        root = super().get_single_node()
        if root is not None and self._size(root, {}) > self.MOST:
            raise yaml.YAMLError("its aliases stand for more than 100,000 values")
        return root

    def _size(self, node: yaml.Node, sizes: dict[yaml.Node, float]) -> float:
        """Nodes below and with `node`; infinite where it holds itself."""
        if isinstance(node, yaml.ScalarNode):
            return 1
        if node not in sizes:
            sizes[node] = float("inf")  # until it is known
            pairs = isinstance(node, yaml.MappingNode)
            inner = chain.from_iterable(node.value) if pairs else node.value
            sizes[node] = 1 + sum(self._size(part, sizes) for part in inner)
        return sizes[node]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: the key {key.value!r} is there a second time")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The mapping or list in a YAML or JSON file, read by `_TextNumbers`; numbers stay text.

    Raises:
        RecipeError: the file cannot be read, or holds neither.
    """
    try:
        values = yaml.load(path.read_text("utf-8"), Loader=_TextNumbers)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{path}: cannot be read as YAML: {reason}") from None
    if not isinstance(values, (dict, list)):
        raise RecipeError(f"{path}: must be a YAML mapping")
    return values


def notebook_parameters(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters among a notebook's globals: names bound to plain literals.

    Inside IPython these are the names assigned in cells of nothing but literal assignments, as the
    parameters cell and papermill's injected cell are; so a cell that is run again is not confused
    by what later cells computed. A plain dict has no cells: every public plain value counts.
    """
    cells = namespace.get("In")
    names = {name for cell in cells for name in _assigned(cell)} if isinstance(cells, list) else ()
    plain = (str, int, float, bool, list, dict, tuple, type(None))
    names = names or {
        name
        for name, value in namespace.items()
        if type(value) in plain and not name.startswith("_") and name not in ("In", "Out")
    }
    return {name: value for name, value in namespace.items() if name in names}


def known_parameters(
    namespace: MutableMapping[str, Any], known: Iterable[str], kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters of a notebook, checked before any work; papermill only warns of unknown ones.

    Args:
        namespace: the notebook's `globals()`, in which `kinds` are brought to their types.
        known: the names of all parameters that it has.
        kinds: the types of its own ones, such as {"curve_points": Positive}.

    Raises:
        RecipeError: a parameter is unknown, or an own one's value is not allowed.
    """
    given, known = notebook_parameters(namespace), sorted(set(known))
    for name in given:
        if name not in known:
            raise RecipeError(
                f"unknown parameter {name} = {shown(given[name])}{nearest(name, known)};"
                f" allowed: {', '.join(known)}"
            )
    fields = {name: (kind, ...) for name, kind in kinds.items() if name in given}
    model = create_model("Own", __config__=ConfigDict(protected_namespaces=()), **fields)
    try:
        own = dict(model(**{name: given[name] for name in fields}))
    except ValidationError as error:
        raise RecipeError(explained(error, model)) from None
    namespace.update(own)
    return {**given, **own}


def _assigned(cell: str) -> list[str]:
    """Names that a cell of literal assignments sets; none if it does anything else."""
    names = []
    try:
        for statement in ast.parse(cell).body:
            if not isinstance(statement, ast.Assign | ast.AnnAssign):
                return []
            ast.literal_eval(statement.value)
            targets = getattr(statement, "targets", None) or [statement.target]
            names += [target.id for target in targets]
    except (SyntaxError, ValueError, AttributeError):
        return []
    return names


def explained(error: ValidationError, model: type[BaseModel]) -> str:
    """One line per wrong field of `model`: its name, its value, and what is allowed."""
    lines = {}  # in their order, each once
    for problem in error.errors():
        name, *inside = problem["loc"] or [""]
        value = shown(problem["input"])
        if not name:
            line = str(problem["ctx"]["error"])
        elif problem["type"] == "extra_forbidden":
            name, known = name[:LONGEST], model.model_fields
            line = f"unknown field {name} = {value}{nearest(name, known)}; fields: "
            line += ", ".join(known)
        else:
            where = "".join(f"[{part}]" for part in inside if isinstance(part, int))
            line = f"{name}{where} = {value}: {allowed(name, model)}"
            line += f"; {problem['msg']}" if problem["type"] == "refusal" else ""
        lines[line] = None
    return "\n".join(lines)


def shown(value: Any) -> str:
    """`repr` for a message: of a huge value its beginning; never its whole work."""
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxdict, brief.maxlist, brief.maxtuple = 3, 4, 8, 8
    brief.maxstring = brief.maxother = brief.maxlong = LONGEST
    try:
        return brief.repr(value)[: 4 * LONGEST]
    except ValueError:  # Python does not write out an int of over 4,300 digits
        return f"<{type(value).__name__}, too long to show>"


def allowed(name: str, model: type[BaseModel]) -> str:
    """In words, what the field `name` of `model` may be, e.g. "a whole number, at least 1"."""
    schema = model.model_json_schema()["properties"][name]
    options = schema.get("anyOf", [schema])
    return "must be " + " or ".join(_in_words(option) for option in options)


def _in_words(schema: Mapping[str, Any]) -> str:
    if "pattern" in schema:
        return schema["description"]
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if schema["type"] == "array":
        several = "a list of at least one" if "minItems" in schema else "a list"
        return f"{several} with each entry {_in_words(schema['items'])}"
    bounds = [f"{words} {schema[key]:,.12g}" for key, words in LIMITS.items() if key in schema]
    return ", ".join([NOUNS[schema["type"]], *bounds])
