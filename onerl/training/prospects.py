"""Is there anything to learn from this problem? Asked of the base model before a run is paid for.

    samples = sample(recipe, 512)        answers of the untrained model to the training prompt
    odds = judge(samples, recipe)        success rate, informative groups, each with an interval
    print(odds.advice)

A group of G rollouts with the same reward gives no policy gradient: it informs only where some are
right and some wrong, which at success rate p happens with chance 1 - p^G - (1-p)^G (reference 2.4).
The samples are drawn as in training: its prompt, temperature and length. Not covered: whether what
is learned helps with other problems, which only the run can tell.
"""

from dataclasses import dataclass, replace

import pandas as pd

from onerl.estimates import Estimate, proportion
from onerl.models import check_model, locate
from onerl.problems import examples
from onerl.recipe import Recipe
from onerl.rollouts.backends import sample_rows, sampler_for
from onerl.training.rows import check_lengths, training_rows
from onerl.verifier import grade_many

BATCH = 256  # rollouts sampled together
KNOWN = 0.95  # a success rate above which there is little left to reward
STREAM = 2**31  # a step that no run reaches, so that a run's rollouts are not these


def sample(recipe: Recipe, n: int = 512) -> pd.DataFrame:
    """Answers of the untrained model to the recipe's one example, sampled as in training.

    A row per answer: text, answer, status, correct, finish, tokens.

    Raises ValueError: n is not positive, the recipe has several examples, or what `onerl.train`
    would refuse: a label that the verifier does not take, or a prompt that is too long.
    """
    if n < 1:
        raise ValueError(f"samples = {n}: must be at least 1")
    if len(examples(recipe.examples, recipe.world)) != 1:
        raise ValueError(f"examples = {recipe.examples!r}: one example is needed")
    model = locate(recipe.model)
    check_model(model.name)
    tokenizer = model.tokenizer
    (row,) = rows = training_rows(recipe, tokenizer)
    check_lengths(recipe, rows, tokenizer)
    prompt = tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
    backend = recipe.backend if recipe.backend in ("auto", "torch", "vllm") else "auto"
    sampler, rollouts = sampler_for(backend, model), []
    for first in range(0, n, BATCH):
        rollouts += sample_rows(
            sampler,
            [prompt] * min(BATCH, n - first),
            seed=recipe.seed,
            step=STREAM,
            first=first,
            max_new_tokens=recipe.max_completion_length,
            temperature=recipe.temperature,
            eos_ids=model.stops,
        )
    sampler.close()
    texts = [tokenizer.decode(rollout.token_ids, skip_special_tokens=True) for rollout in rollouts]
    grades = grade_many([(text, row["answer"]) for text in texts])
    return pd.DataFrame(
        {"text": texts}
        | {name: [getattr(g, name) for g in grades] for name in ("answer", "status", "correct")}
        | {"finish": [rollout.finish for rollout in rollouts]}
        | {"tokens": [len(rollout.token_ids) for rollout in rollouts]}
    )


def informative(p: float, group: int) -> float:
    """The chance that a group holds both right and wrong rollouts, at success rate p."""
    return 1 - p**group - (1 - p) ** group


@dataclass(frozen=True)
class Odds:
    """What the first step of a run has to go on."""

    n: int
    right: int
    group: int
    groups: int

    @property
    def success(self) -> Estimate:
        """The base model's success rate, with Wilson's interval over the answers."""
        return proportion(self.right, self.n)

    @property
    def informed(self) -> Estimate:
        """The chance that a group informs, with the interval of the success rate carried over."""
        p = self.success
        value, low, high = (informative(x, self.group) for x in (p.value, p.low, p.high))
        top = informative(0.5, self.group) if p.low < 0.5 < p.high else 0.0
        return replace(p, value=value, low=min(low, high), high=max(low, high, top))

    @property
    def table(self) -> pd.DataFrame:
        """Percent, but groups and steps: what is expected of the first step."""
        groups, informed = self.groups, self.informed
        some = informed.map(lambda p: 100 - 100 * (1 - p) ** groups)
        rows = {
            "base model right (%)": self.success.times(100),
            f"a group of {self.group} informs (%)": informed.times(100),
            f"informative groups of {groups} in a step": informed.times(groups),
            "some group of a step informs (%)": some,
        }
        table = pd.DataFrame([found.row() for found in rows.values()], index=list(rows))
        return table[["value", "low", "high"]]

    @property
    def advice(self) -> str:
        """One or two sentences that follow from the numbers alone."""
        p, expected = self.success, self.groups * self.informed.value
        if self.right == 0:
            return (
                f"Not one of {self.n} answers is right (at most {100 * p.high:.1f} %). As it is,"
                " the run has nothing to reward. Check the label, ask an easier question, draw more"
                " rollouts a step (prompts_per_step), or take a model that can sometimes do it."
            )
        if p.value > KNOWN:
            return (
                f"The model knows it already: {100 * p.value:.1f} % right. Few rollouts are left to"
                " learn from; take a harder problem."
            )
        if expected < 1:
            return (
                f"Rarely right: {100 * p.value:.1f} %. A step has {expected:.2f} informative"
                f" groups, so about {1 / expected:.0f} steps pass before the first. More rollouts"
                " a step (prompts_per_step) or more steps will help."
            )
        return (
            f"There is a signal: {100 * p.value:.1f} % right, and about {expected:.1f} of"
            f" {self.groups} groups inform the first step."
        )


def judge(samples: pd.DataFrame, recipe: Recipe) -> Odds:
    """The odds of the recipe's first step, from samples of its untrained model."""
    right = int(samples["correct"].sum())
    return Odds(len(samples), right, recipe.num_generations, recipe.prompts_per_step)


def answers(samples: pd.DataFrame, most: int = 6) -> pd.DataFrame:
    """What the model answers, the most frequent first: answer, right, times, share in percent."""
    named = samples.assign(answer=samples["answer"].fillna("(no box)"))
    counts = named.groupby(["answer", "correct"], sort=False).size().sort_values(ascending=False)
    table = counts.head(most).rename("times").reset_index()
    table["share"] = 100 * table["times"] / len(samples)
    return table.rename(columns={"correct": "right"})
