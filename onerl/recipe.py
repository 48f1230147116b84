"""`Recipe`: every knob of a run, validated before any work, with the paper's value beside it.

The defaults are the paper's run on Qwen2.5-Math-1.5B. In the sources below "script" is the released
training_1.5b_pi1_r128.sh, "code" the released training code, "reference" the project's page on the
paper. A preset in `params/` states what differs; `python -m onerl.train --dry-run` prints every
value with where it is from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from onerl.parameters import (
    Flag,
    Label,
    Names,
    OwnExample,
    Positive,
    Real,
    RecipeError,
    Text,
    Threads,
    Whole,
    explained,
    known_parameters,
    nearest,
    params_folder,
    read_yaml,
)
from onerl.problems.benchmarks import NAMES
from onerl.verifier.rewards import REWARDS
from onerl.world import EMBEDDED, World, is_world, world_of

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
    source: str = "",
    paper: Any = ...,
    *,
    counts: bool = True,
    later: bool = False,
    **limits: Any,
) -> Any:
    """A knob: its default and, where the paper or its code fixes it, the source.

    Args:
        paper: the paper's value, where the default is another.
        counts: False for what says how a run is named or executed, not what it computes: not part
            of the hash.
        later: part of the hash only where not the default, so that runs from before the field
            was added keep their folder.
    """
    value = None if not source else default if paper is ... else paper
    about = {"paper": value, "source": source, "counts": counts, "later": later}
    return Field(default, json_schema_extra=about, **limits)


class Recipe(BaseModel):
    """Every knob of a run. Frozen: `replace` and `ablation` return another recipe.

    Raises:
        RecipeError: a field is unknown or its value is not allowed.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True
    )

    preset: Text = _field("qwen2.5-math-1.5b", counts=False)
    """The preset these values started from."""
    model: Text = _field("Qwen/Qwen2.5-Math-1.5B", "script")
    """What is trained: "world" (the shipped base model), a hub id, a folder or a GGUF file."""
    prompt: Literal[
        "auto", "world", "qwen2.5-math", "qwen2.5", "r1-distill", "llama-3.2", "chat"
    ] = _field("qwen2.5-math", "code: the model's own system message (reference 2.5)")
    """How a problem becomes a prompt; auto: by the model's name."""
    examples: OwnExample = _field("pi1", "paper 3.1; script: pi1_r128.parquet")
    """What is trained on: a name such as pi1 or pi1+pi13, a file, or {problem, answer}."""
    label: Label | None = _field(None, "data", "12.8")
    """Replaces the example's answer; null: its own, as released."""
    label_noise: Real = _field(0.0, "paper C.2.4: also 0.6 and 0.9", later=True, ge=0, le=1)
    """Share of the examples whose label is made wrong."""
    suffix: Flag = _field(True, "data, reference 2.5", later=True)
    """End the question with the paper's sentence."""
    method: Literal["grpo", "ppo", "sft"] = _field(
        "grpo", "paper 3.1; ppo in Tables 4, 11 and 17", later=True
    )
    """What trains: rollouts beside their group's mean or a critic's values, or one solution."""
    solution: Text | None = _field(None, later=True)
    """The text that sft learns; null: a careful solution of the example."""
    reward: Literal[*REWARDS] | OwnReward = _field(
        "outcome", "code: 1 or 0, no format reward, no length term"
    )
    """What a rollout is paid: a name of onerl.verifier.rewards, or a function of your own."""
    steps: Positive = _field(2000, "paper B.4; script: total_epochs=2000")
    """Rollout steps."""
    save_every: Positive = _field(20, "script: save_freq=20")
    """Steps between checkpoints."""
    seed: Whole = _field(0, ge=0, lt=2**31)
    """Of every random choice; the paper states none."""
    prompts_per_step: Positive = _field(128, "script: train_batch_size=128")
    """Prompts, copies included, in one step."""
    num_generations: Whole = _field(8, "script: rollout.n=8", ge=2, le=4096)
    """Rollouts of one prompt: the advantage's group."""
    max_prompt_length: Positive = _field(1024, "script: max_prompt_length")
    """Tokens; a longer prompt is refused."""
    max_completion_length: Positive = _field(3072, "script: max_response_length")
    """Tokens; a longer answer is cut and marked."""
    temperature: Real = _field(0.6, "script, reference D6", gt=0, le=10)
    """Of the rollouts, and of the logits in the loss."""
    learning_rate: Real = _field(1e-6, "script: optim.lr", ge=0, le=1)
    """Constant, no warm-up."""
    critic_learning_rate: Real = _field(1e-5, "code default", later=True, ge=0, le=1)
    """Of the critic's AdamW, for method ppo."""
    weight_decay: Real = _field(0.01, "code default", ge=0, le=1)
    """AdamW, on every parameter that is trained."""
    max_grad_norm: Real = _field(1.0, "code default", gt=0)
    """Gradients are clipped to this global norm."""
    policy_loss: Real = _field(1.0, "code: pg_loss_coeff", ge=0)
    """Coefficient of the policy-gradient term; 0 turns it off."""
    beta: Real = _field(0.001, "script: kl_loss_coef", ge=0)
    """Coefficient of the KL term; 0 turns it off."""
    entropy_coef: Real = _field(0.001, "code default: entropy_coeff (reference 2.2)", ge=-1, le=1)
    """Coefficient of the entropy bonus (the paper's alpha with its sign turned); 0 is off."""
    epsilon: Real = _field(0.2, "code default: clip_ratio", gt=0, lt=1)
    """Clip range of the ratio, both sides; inert with one update a step."""
    kl_clamp: Real = _field(10.0, "code: low_var_kl (reference 2.2)", gt=0)
    """The KL of a token is cut at this size."""
    updates_per_step: Positive = _field(1, "code, reference D1; the paper's text says 8")
    """Optimiser updates on the rollouts of one step."""
    micro_batch_tokens: Whole = _field(
        24000, "script: ppo_max_token_len_per_gpu (reference 2.2)", later=True, ge=1, le=10**9
    )
    """Tokens of a micro-batch, inside which the loss is a token mean."""
    lora_rank: Whole = _field(0, "code", later=True, ge=0, le=4096)
    """Rank of LoRA adapters on all linear layers; 0: every weight is trained."""
    optimizer: Literal["adamw", "adamw-8bit"] = _field("adamw", "code: torch's AdamW", later=True)
    """adamw-8bit keeps Adam's moments in 8 bits (bitsandbytes)."""
    backend: Literal["auto", "torch", "transformers", "vllm", "vllm-server"] = _field(
        "auto", "script", "vllm"
    )
    """What samples the rollouts; auto: vllm on a GPU that has it, else torch."""
    vllm_memory: Real = _field(0.3, "script, of 8 GPUs", 0.7, counts=False, gt=0, lt=1)
    """Share of the GPU's memory that a colocated vLLM takes."""
    vllm_sleep: Flag = _field(True, counts=False)
    """A colocated vLLM gives its memory back between rollouts."""
    vllm_tensor_parallel: Positive = _field(1, "script", 2, counts=False)
    """GPUs that a colocated vLLM spreads the model over."""
    vllm_url: Text = _field("http://localhost:8000", counts=False)
    """Of the server, for backend vllm-server."""
    max_sampler_mismatch: Real = _field(0.1, counts=False, later=True, gt=0)
    """Nats a token; a step beyond it ends the run."""
    token_budget: Whole = _field(24000, counts=False, ge=1, le=10**8)
    """Padded tokens that go through the model at once: memory, not maths."""
    threads: Threads | None = _field(None, counts=False)
    """Torch threads; null: torch's own choice."""
    benchmarks: Annotated[tuple[Literal[*NAMES], ...], *Names] = _field(
        ("math500", "aime24", "amc23", "minerva_math", "olympiadbench", "aime25"),
        "paper 3.1",
        counts=False,
    )
    """What a notebook evaluates on."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise RecipeError(explained(error, type(self))) from None

    @model_validator(mode="after")
    def _fields_agree(self) -> Recipe:
        if self.solution is not None and self.method != "sft":
            raise ValueError(
                f"solution = {self.solution!r}: learned by method sft alone, not by {self.method}"
            )
        for name, allowed in (("lora_rank", 0), ("updates_per_step", 1)):
            if self.method == "ppo" and getattr(self, name) != allowed:
                value = getattr(self, name)
                raise ValueError(f"{name} = {value}: method ppo allows {allowed} alone")
        rollouts = self.prompts_per_step * self.num_generations
        if rollouts % self.updates_per_step:
            raise ValueError(
                f"updates_per_step = {self.updates_per_step}: must divide the {rollouts} rollouts"
                " of a step (prompts_per_step * num_generations)"
            )
        return self

    @classmethod
    def load(cls, preset: str | Path, /, **fields: Any) -> Recipe:
        """A preset by name, or a YAML file whose `preset` key names the preset it starts from.

        Raises:
            RecipeError: no such preset or file, or a field that is unknown or not allowed.
        """
        path, known = Path(preset), presets()
        if str(preset) in known:
            return cls(**{**read_yaml(params_folder() / f"{preset}.yaml"), **fields})
        hint = f"; presets: {', '.join(known)}"
        if path.suffix not in (".yaml", ".yml") or not path.is_file():
            near = nearest(str(preset), known)
            raise RecipeError(
                f"preset = {str(preset)!r}: neither a preset nor a YAML file{near}{hint}"
            )
        values = read_yaml(path)
        if isinstance(values, list):
            raise RecipeError(f"{path}: must be a YAML mapping of recipe fields, not a list")
        if (base := values.get("preset")) not in known:
            raise RecipeError(
                f"{path}: the key preset must name the preset the file starts from, got {base!r}"
                f"{nearest(str(base), known)}{hint}"
            )
        return cls.load(base, **{**values, **fields})

    @classmethod
    def from_notebook(
        cls, namespace: MutableMapping[str, Any], own: Mapping[str, Any] | Iterable[str] = ()
    ) -> tuple[Recipe, Path | None]:
        """The recipe that a notebook's parameters describe, and its `out` folder.

        `preset` is loaded first; every parameter named like a field of the recipe replaces the
        preset's value, unless it is None; `overrides` come last.

        Args:
            namespace: the notebook's `globals()`.
            own: the types of the parameters that it alone has, such as {"jobs": Positive}, to
                which their values are brought in `namespace`; or their names alone.

        Raises:
            RecipeError: a parameter is unknown, or its value is not allowed.
        """
        kinds = own if isinstance(own, Mapping) else dict.fromkeys(own, Any)
        known = {"preset", "out", "overrides", *cls.model_fields, *kinds}
        given = known_parameters(namespace, known, kinds)
        if "seeds" in own and given.get("seed") is not None:
            raise RecipeError(
                f"seed = {given['seed']!r}: this notebook trains a grid; give seeds, one or several"
            )
        overrides = given.get("overrides") or {}
        if not isinstance(overrides, Mapping):
            raise RecipeError(f"overrides = {overrides!r}: must be a dict of recipe fields")
        names = [name for name in cls.model_fields if name != "preset" and name not in kinds]
        fields = {name: given[name] for name in names if given.get(name) is not None}
        recipe = cls.load(given.get("preset", "tiny"), **{**fields, **overrides})
        return recipe, Path(given["out"]) if given.get("out") else None

    def replace(self, **fields: Any) -> Recipe:
        """The same recipe with other values in the named fields, validated."""
        return type(self)(**{**self.model_dump(), **fields})

    @property
    def scale(self) -> Literal["world", "paper"]:
        """World for the shipped base model and for any folder with a world.json, else paper."""
        return "world" if is_world(self.model) else "paper"

    @property
    def world(self) -> World:
        """The model's own world, which examples and benchmarks named "world…" are of."""
        return world_of(self.model)

    def ablation(self, row: int) -> Recipe:
        """The paper's Table 5, rows 1 to 13: which loss terms are on, and which label is used.

        Raises:
            RecipeError: no such row, or a wrong label is asked for an example that has none.
        """
        table = read_yaml(params_folder() / "ablation.yaml")["rows"]
        try:
            values = dict(table[str(TypeAdapter(Whole).validate_python(row))])
        except (KeyError, ValidationError):
            last = len(table)
            raise RecipeError(f"row = {row!r}: the paper's Table 5 has rows 1 to {last}") from None
        role = values.pop("label")
        if role == "right":  # the example's own, so that row 5 and the plain recipe are one run
            return self.replace(**values, label=None)
        labels = labels_of(self.examples, self.world) if isinstance(self.examples, str) else {}
        if role not in labels:
            raise RecipeError(
                f"row = {row}: needs a {role.replace('_', ' ')} label, which the paper chose only"
                f" for pi1 (and world:pi1), not for examples = {self.examples!r}; take row 5 and"
                " set label"
            )
        return self.replace(**values, label=labels[role])

    def hash(self) -> str:
        """12 hex digits of everything that can change the result."""
        values = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            about = field.json_schema_extra
            if not about["counts"] or (about["later"] and values[name] == field.default):
                del values[name]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    def to_yaml(self) -> str:
        """YAML text that `Recipe.load` reads back to an equal recipe."""
        values = self.model_dump(mode="json")
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)


def labels_of(examples: str, world: World = EMBEDDED) -> dict[str, str]:
    """Labels of the paper's Table 5 for an example, by kind: right, slightly_off, guessable, …

    Empty for examples other than pi1 and world:pi1, for which the paper chose none.
    """
    if examples == "world:pi1" and world.pi1 != EMBEDDED.pi1:
        return {"right": world.examples(examples)[0].answer, **world.labels}
    return read_yaml(params_folder() / "ablation.yaml")["labels"].get(examples, {})
