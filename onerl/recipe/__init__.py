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
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

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
    whole,
)
from onerl.problems.benchmarks import NAMES
from onerl.recipe.knobs import OwnReward, _field, labels_of, presets
from onerl.verifier.rewards import REWARDS
from onerl.world import World, is_world, world_of


class Recipe(BaseModel):
    """Every knob of a run. Frozen: `replace` and `ablation` return another recipe.

    Raises:
        RecipeError: a field is unknown or its value is not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    preset: Text = _field("qwen2.5-math-1.5b", "the preset these values started from", counts=False)
    model: Text = _field(
        "Qwen/Qwen2.5-Math-1.5B",
        'what is trained: "world" (the shipped base model), a hub id, or a folder',
        "script",
    )
    prompt: Literal[
        "auto", "world", "qwen2.5-math", "qwen2.5", "r1-distill", "llama-3.2", "chat"
    ] = _field(
        "qwen2.5-math",
        "how a problem becomes a prompt; auto: by the model's name",
        "code: the model's own system message (reference 2.5)",
    )
    examples: OwnExample = _field(
        "pi1",
        "what is trained on: a name such as pi1 or pi1+pi13, a file, or {problem, answer}",
        "paper 3.1; script: pi1_r128.parquet",
    )
    label: Label | None = _field(
        None, "replaces the example's answer; null: its own, as released", "data", "12.8"
    )
    label_noise: Real = _field(
        0.0,
        "share of the examples whose label is made wrong",
        "paper C.2.4: also 0.6 and 0.9",
        later=True,
        ge=0,
        le=1,
    )
    suffix: Flag = _field(
        True, "end the question with the paper's sentence", "data, reference 2.5", later=True
    )
    method: Literal["grpo", "ppo", "sft"] = _field(
        "grpo",
        "what trains: rollouts beside their group's mean or a critic's values, or one solution",
        "paper 3.1; ppo in Tables 4, 11 and 17",
        later=True,
    )
    solution: Text | None = _field(
        None, "the text that sft learns; null: a careful solution of the example", later=True
    )
    reward: Literal[*REWARDS] | OwnReward = _field(
        "outcome",
        "what a rollout is paid: a name of onerl.verifier.rewards, or a function of your own",
        "code: 1 or 0, no format reward, no length term",
    )
    steps: Positive = _field(2000, "rollout steps", "paper B.4; script: total_epochs=2000")
    save_every: Positive = _field(20, "steps between checkpoints", "script: save_freq=20")
    seed: Whole = _field(0, "of every random choice; the paper states none", ge=0, lt=2**31)
    prompts_per_step: Positive = _field(
        128, "prompts, copies included, in one step", "script: train_batch_size=128"
    )
    num_generations: Whole = _field(
        8, "rollouts of one prompt: the advantage's group", "script: rollout.n=8", ge=2, le=4096
    )
    max_prompt_length: Positive = _field(
        1024, "tokens; a longer prompt is refused", "script: max_prompt_length"
    )
    max_completion_length: Positive = _field(
        3072, "tokens; a longer answer is cut and marked", "script: max_response_length"
    )
    temperature: Real = _field(
        0.6, "of the rollouts, and of the logits in the loss", "script, reference D6", gt=0, le=10
    )
    learning_rate: Real = _field(1e-6, "constant, no warm-up", "script: optim.lr", ge=0, le=1)
    critic_learning_rate: Real = _field(
        1e-5, "of the critic's AdamW, for method ppo", "code default", later=True, ge=0, le=1
    )
    weight_decay: Real = _field(
        0.01, "AdamW, on every parameter that is trained", "code default", ge=0, le=1
    )
    max_grad_norm: Real = _field(
        1.0, "gradients are clipped to this global norm", "code default", gt=0
    )
    policy_loss: Real = _field(
        1.0, "coefficient of the policy-gradient term; 0 turns it off", "code: pg_loss_coeff", ge=0
    )
    beta: Real = _field(
        0.001, "coefficient of the KL term; 0 turns it off", "script: kl_loss_coef", ge=0
    )
    entropy_coef: Real = _field(
        0.001,
        "coefficient of the entropy bonus (the paper's alpha with its sign turned); 0 is off",
        "code default: entropy_coeff (reference 2.2)",
        ge=-1,
        le=1,
    )
    epsilon: Real = _field(
        0.2,
        "clip range of the ratio, both sides; inert with one update a step",
        "code default: clip_ratio",
        gt=0,
        lt=1,
    )
    kl_clamp: Real = _field(
        10.0, "the KL of a token is cut at this size", "code: low_var_kl (reference 2.2)", gt=0
    )
    updates_per_step: Positive = _field(
        1,
        "optimiser updates on the rollouts of one step",
        "code, reference D1; the paper's text says 8",
    )
    micro_batch_tokens: Whole = _field(
        24000,
        "tokens of a micro-batch, inside which the loss is a token mean",
        "script: ppo_max_token_len_per_gpu (reference 2.2)",
        later=True,
        ge=1,
        le=10**9,
    )
    lora_rank: Whole = _field(
        0,
        "rank of LoRA adapters on all linear layers; 0: every weight is trained",
        "code",
        later=True,
        ge=0,
        le=4096,
    )
    optimizer: Literal["adamw", "adamw-8bit"] = _field(
        "adamw",
        "adamw-8bit keeps Adam's moments in 8 bits (bitsandbytes)",
        "code: torch's AdamW",
        later=True,
    )
    backend: Literal["auto", "torch", "transformers", "vllm", "vllm-server"] = _field(
        "auto",
        "what samples the rollouts; auto: vllm on a GPU that has it, else torch",
        "script",
        "vllm",
    )
    vllm_memory: Real = _field(
        0.3,
        "share of the GPU's memory that a colocated vLLM takes",
        "script, of 8 GPUs",
        0.7,
        counts=False,
        gt=0,
        lt=1,
    )
    vllm_sleep: Flag = _field(
        True, "a colocated vLLM gives its memory back between rollouts", counts=False
    )
    vllm_tensor_parallel: Positive = _field(
        1, "GPUs that a colocated vLLM spreads the model over", "script", 2, counts=False
    )
    vllm_url: Text = _field(
        "http://localhost:8000", "of the server, for backend vllm-server", counts=False
    )
    max_sampler_mismatch: Real = _field(
        0.1, "nats a token; a step beyond it ends the run", counts=False, later=True, gt=0
    )
    token_budget: Whole = _field(
        24000,
        "padded tokens that go through the model at once: memory, not maths",
        counts=False,
        ge=1,
        le=10**8,
    )
    threads: Threads | None = _field(None, "torch threads; null: torch's own choice", counts=False)
    benchmarks: Annotated[tuple[Literal[*NAMES], ...], *Names] = _field(
        ("math500", "aime24", "amc23", "minerva_math", "olympiadbench", "aime25"),
        "what a notebook evaluates on",
        "paper 3.1",
        counts=False,
    )

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
        path = Path(preset)
        if str(preset) in presets():
            return cls(**{**read_yaml(params_folder() / f"{preset}.yaml"), **fields})
        if path.suffix not in (".yaml", ".yml") or not path.is_file():
            raise RecipeError(
                f"preset = {str(preset)!r}: neither a preset nor a YAML file"
                f"{nearest(str(preset), presets())}; presets: {', '.join(presets())}"
            )
        values = read_yaml(path)
        if isinstance(values, list):
            raise RecipeError(f"{path}: must be a YAML mapping of recipe fields, not a list")
        base = values.get("preset")
        if base not in presets():
            raise RecipeError(
                f"{path}: the key preset must name the preset the file starts from, got {base!r}"
                f"{nearest(str(base), presets())}; presets: {', '.join(presets())}"
            )
        return cls.load(base, **{**values, **fields})

    @classmethod
    def from_notebook(
        cls, namespace: MutableMapping[str, Any], own: Mapping[str, Any] | Iterable[str] = ()
    ) -> tuple[Recipe, Path | None]:
        """The recipe that a notebook's parameters describe, and its `out` folder.

        `preset` is loaded first; every parameter named like a field of the recipe replaces the
        preset's value, unless it is None; `overrides` come last. `own` has the parameters that
        belong to the notebook alone. papermill passes unknown keys on with a mere warning, so any
        other parameter is an error here.

        Args:
            namespace: the notebook's `globals()`.
            own: the types of its own parameters, such as {"jobs": Positive}, to which their values
                are brought in `namespace`; or their names alone.

        Raises:
            RecipeError: unknown parameter, or a value that is not allowed.
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
        fields = {
            name: given[name]
            for name in cls.model_fields
            if given.get(name) is not None and name != "preset" and name not in kinds
        }
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
        table = read_yaml(params_folder() / "ablation.yaml")
        try:
            number = whole(row)
            values = dict(table["rows"][str(number)])
        except (KeyError, ValueError, TypeError):
            raise RecipeError(
                f"row = {row!r}: the paper's Table 5 has rows 1 to {len(table['rows'])}"
            ) from None
        return self.replace(**values | {"label": self._label(values["label"], number)})

    def _label(self, role: str, row: int) -> str | None:
        if role == "right":
            return None  # the example's own answer, so that row 5 and the plain recipe are one run
        labels = labels_of(self.examples, self.world) if isinstance(self.examples, str) else {}
        if role in labels:
            return labels[role]
        raise RecipeError(
            f"row = {row}: needs a {role.replace('_', ' ')} label, which the paper chose only for"
            f" pi1 (and world:pi1), not for examples = {self.examples!r}; take row 5 and set label"
        )

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
