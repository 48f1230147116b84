"""Every figure, one function each.

A function takes plain data and returns a matplotlib `Figure` that pyplot knows nothing about, so
nothing is drawn twice and nothing has to be closed. In a notebook,
`Image(plots.save(figure, path))` as the last line of a cell writes the PNG and shows it.

Colours are Okabe and Ito's, which most colour-blind readers can tell apart; the series also
differ in line style or marker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from math import ceil, floor, log10
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from PIL import Image

from onerl.estimates import Interval

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
DPI = 100  # 9 inches then fill the width of a notebook, and a figure stays below 40 kB


def training_curves(
    metrics: pd.DataFrame,
    held_out: Mapping[int, Interval],
    ceiling: Interval | None = None,
    benchmark: str = "world",
) -> Figure:
    """Accuracy on the training example and on held-out problems, against the training step.

    Args:
        metrics: `Run.metrics`; its reward is drawn on a scale of 0 to 100.
        held_out: accuracy in percent with its interval by step; step 0 is the base model.
        ceiling: accuracy of the base model with the careful opening forced.
    """
    figure, (axis,) = _panels(1, 1, 8.0, 4.2)
    axis.plot(
        metrics["step"],
        100 * metrics["reward"],
        color=ORANGE,
        linewidth=1.2,
        label="training reward (sampled)",
    )
    steps = sorted(held_out)
    values = [held_out[step] for step in steps]
    axis.fill_between(
        steps, [v.low for v in values], [v.high for v in values], color=BLUE, alpha=0.2, linewidth=0
    )
    axis.plot(
        steps,
        [v.value for v in values],
        "o-",
        color=BLUE,
        linewidth=2,
        clip_on=False,
        label=f"held-out accuracy on {benchmark}, 95 % interval",
    )
    if 0 in held_out:
        _level(axis, held_out[0].value, "base model", GREY, ":")
    if ceiling is not None:
        _level(axis, ceiling.value, "elicitation ceiling", GREEN, "--")
    axis.set(xlabel="training step", ylabel="percent", ylim=(0, 102), xlim=(0, None))
    _legend_below(figure, axis, columns=2)
    return figure


DIAGNOSTICS = (
    ("entropy", "entropy (nats per token)", 1, False),
    ("kl", "KL to the base model (nats per token)", 1, False),
    ("completion_length", "completion length (tokens)", 1, False),
    ("grad_norm", "gradient norm", 1, True),
    ("update_norm", "norm of the weight change", 1, True),
    ("truncated", "truncated rollouts (%)", 100, False),
)


def diagnostics(metrics: pd.DataFrame) -> Figure:
    """Six panels against the training step; the two norms on a logarithmic scale."""
    figure, axes = _panels(2, 3, 9.0, 4.8)
    for axis, (column, label, scale, logarithmic) in zip(axes, DIAGNOSTICS, strict=True):
        values = scale * metrics[column]
        axis.plot(metrics["step"], values, color=BLUE, linewidth=1.2)
        axis.set_title(label, fontsize=9)
        if logarithmic:
            _whole_decades(axis, values)
        elif values.max() <= 0:
            axis.set_ylim(-0.05, 1)
    for axis in axes[3:]:
        axis.set_xlabel("training step")
    return figure


def norms(metrics: pd.DataFrame, learning_rate: float, parameters: int) -> Figure:
    """Gradient norm and weight change, with the change that Adam makes out of noise.

    Adam divides the gradient by its own size. As long as the gradient keeps its sign, every
    weight moves by about the learning rate, however small the gradient is: the dashed line is
    learning rate x sqrt(number of parameters), the largest steady change of all weights.
    """
    figure, (left, right) = _panels(1, 2, 8.5, 3.4)
    left.plot(metrics["step"], metrics["grad_norm"], color=BLUE, linewidth=1.2)
    left.set(title="gradient norm before clipping", xlabel="training step")
    right.plot(metrics["step"], metrics["update_norm"], color=VERMILION, linewidth=1.2)
    right.set(title="norm of the weight change", xlabel="training step")
    steady = learning_rate * parameters**0.5
    _level(right, steady, "learning rate x √parameters", GREY, "--")
    _whole_decades(left, metrics["grad_norm"])
    _whole_decades(right, pd.Series([*metrics["update_norm"], steady]))
    _legend_below(figure, right, columns=1)
    return figure


def ablation(
    ours: pd.DataFrame,
    paper: pd.DataFrame,
    labels: Sequence[str],
    base: float,
    ceiling: float | None = None,
    ours_title: str = "embedded world, held-out",
) -> Figure:
    """Table 5 as dots, a line per row: ours with intervals, the paper's model in its own panel.

    Args:
        ours: columns row, value, low, high (percent); rows that were not run may be missing.
        paper: columns row, math500.
        labels: what is on in each row, in the order of `paper`.
    """
    figure, (left, right) = _panels(1, 2, 9.0, 4.6, sharey=True)
    left.errorbar(
        ours["value"],
        ours["row"],
        fmt="o",
        color=BLUE,
        markersize=6,
        capsize=3,
        xerr=[ours["value"] - ours["low"], ours["high"] - ours["value"]],
    )
    left.axvline(base, color=GREY, linestyle=":", label="base model")
    if ceiling is not None:
        left.axvline(ceiling, color=GREEN, linestyle="--", label="elicitation ceiling")
    left.set(title=ours_title, xlabel="accuracy (%), 95 % interval", xlim=(0, 100))
    left.set_yticks(list(paper["row"]), labels)
    left.invert_yaxis()
    _legend_below(figure, left, columns=2)
    right.plot(paper["math500"], paper["row"], "D", color=VERMILION, markersize=6)
    right.set(
        title="the paper: Qwen2.5-Math-1.5B",
        xlabel="MATH500 (%), best checkpoint",
        xlim=(0, 100),
    )
    for axis in (left, right):
        axis.grid(axis="y", alpha=0.3)
        axis.title.set_fontsize(10)
    return figure


def pretraining_curve(recorded: Sequence[float], losses: Sequence[float] | None = None) -> Figure:
    """Loss of the base model's pretraining: recorded means of 50 steps, and a run of one's own.

    Args:
        recorded: nats per token, one value per 50 steps.
        losses: nats per token of each step so far, where the model was trained again.
    """
    figure, (axis,) = _panels(1, 1, 7.0, 3.4)
    axis.plot(range(25, 50 * len(recorded), 50), recorded, color=BLUE, label="recorded")
    if losses:
        means = pd.Series(losses).groupby(lambda step: step // 50).mean()
        axis.plot(50 * means.index + 25, means, "--", color=ORANGE, label="this run")
    axis.set(xlabel="pretraining step", ylabel="loss (nats per token)", yscale="log")
    axis.set_yticks([0.4, 0.5, 0.7, 1, 2, 5], ["0.4", "0.5", "0.7", "1", "2", "5"])
    axis.yaxis.set_minor_formatter(NullFormatter())
    _legend_below(figure, axis, columns=2)
    return figure


def live(rows: Sequence[Sequence[float]], steps: int) -> Figure:
    """A run so far: training reward and response length against the step.

    Args:
        rows: (step, reward from 0 to 1, mean response length in tokens) of each step done.
        steps: of the whole run.
    """
    done, rewards, lengths = zip(*rows, strict=True)
    figure, (left, right) = _panels(1, 2, 8.0, 2.6)
    left.plot(done, [100 * reward for reward in rewards], color=ORANGE)
    left.set(xlabel="step", ylabel="training reward, %", xlim=(0, steps), ylim=(-3, 103))
    right.plot(done, lengths, color=GREEN)
    right.set(xlabel="step", ylabel="response length, tokens", xlim=(0, steps))
    right.set_ylim(bottom=0)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG of 64 colours, a third of the size."""
    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    picture = Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(small, "PNG")
    return small.getvalue()


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure as a PNG; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(figure))
    return path


def _panels(rows: int, columns: int, width: float, height: float, **shared):
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **shared).ravel().tolist()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    return figure, axes


def _whole_decades(axis: Axes, values: pd.Series) -> None:
    """Logarithmic from one power of ten to another; linear where there is nothing above 0."""
    positive = values[values > 0]
    if positive.empty:
        axis.set_ylim(-0.05, 1)
        return
    low, high = floor(log10(positive.min())), ceil(log10(positive.max()))
    axis.set_yscale("log", nonpositive="mask")
    axis.set_ylim(10.0**low, 10.0 ** max(high, low + 1))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _level(axis: Axes, value: float, label: str, color: str, style: str) -> None:
    axis.axhline(value, color=color, linestyle=style, linewidth=1.5, label=f"{label}: {value:.3g}")


def _legend_below(figure: Figure, axis: Axes, columns: int) -> None:
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside lower center", ncols=columns, frameon=False
    )
