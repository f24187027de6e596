"""Plots a back-test: accuracy against retrains, a labelled point for each policy, the Pareto front."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftloop.backtest.outcome import BacktestResult, PolicyResult, front
from driftloop.errors import SettingsError
from driftloop.report import wording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

INCHES, DOTS = (10.5, 6.5), 120
COLOURS = {"fixed": "#4c72b0", "control": "#8c8c8c", "triggered": "#c44e52", "continuous": "#55a868"}
MARKS = {"fixed": "s", "control": "X", "triggered": "o", "continuous": "D"}
WORDS = {"fixed": "fixed", "control": "random (control)", "triggered": "triggered", "continuous": "updated after every block"}
BASELINES = {"same_time_yesterday": ":", "majority": "--"}  # no change needs every label at once: not comparable, and off the scale
RADII = (9, 16, 26, 38, 52, 70, 90, 115)  # distances of labels from their point, nearest first
SIDES = ((1, 0), (0.8, 0.7), (0.8, -0.7), (-1, 0), (-0.8, 0.7), (-0.8, -0.7), (0, 1), (0, -1))


def draw_picture(result: BacktestResult, path: Path) -> None:
    """Write the plot as PNG."""
    picture(result).savefig(path)


def picture(result: BacktestResult) -> Figure:
    """Draw the plot."""
    import matplotlib as mpl

    # Without pyplot and its backends: opens no window, and leaves the caller's state alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _points(axes, result)
        _front(axes, result.policies)
        _lines(axes, result)
        axes.set_xscale("symlog", linthresh=1, linscale=0.3)
        axes.set_xlim(-0.25, max(2, *(policy.retrains for policy in result.policies)) * 2.2)
        ticks = [tick for tick in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000) if tick <= axes.get_xlim()[1]]
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("retrains")
        axes.set_ylabel("accuracy, %")
        words = f"{result.stream}: {wording.count(result.rows, 'row')} in {wording.count(result.blocks, 'block')} of {result.block_size:,}"
        axes.set_title(f"{words}; recommended: {result.recommended}", loc="left", parse_math=False)  # a name may contain a $
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
        canvas.draw()  # labels are placed around the drawn items
        _labels(axes, canvas.get_renderer(), result)
    return figure


def copy_picture(picture: Path, to: Path) -> None:
    """Write the plot to the requested file.

    Raises:
        SettingsError: the file is not writable.
    """
    try:
        shutil.copyfile(picture, to)
    except OSError as exc:
        raise SettingsError(f"--plot {to}: {exc.strerror or exc}: give a file that can be written") from exc


def _points(axes: Axes, result: BacktestResult) -> None:
    for kind, colour in COLOURS.items():
        some = [policy for policy in result.policies if policy.kind == kind]
        if not some:
            continue
        x, y = [policy.retrains for policy in some], [100 * policy.accuracy for policy in some]
        bars = [[100 * (policy.accuracy - policy.lower) for policy in some], [100 * (policy.upper - policy.accuracy) for policy in some]]
        axes.errorbar(x, y, yerr=bars, fmt="none", ecolor=colour, alpha=0.18, linewidth=1, zorder=1)
        axes.scatter(x, y, color=colour, marker=MARKS[kind], s=42, label=WORDS[kind], zorder=3)
    chosen = next(policy for policy in result.policies if policy.name == result.recommended)
    axes.scatter([chosen.retrains], [100 * chosen.accuracy], s=210, facecolors="none", edgecolors="black", linewidths=1.3, label="recommended", zorder=4)


def _front(axes: Axes, policies: Sequence[PolicyResult]) -> None:
    names = front(policies)
    on_it = sorted((policy for policy in policies if policy.name in names), key=lambda one: one.retrains)
    x, y = [policy.retrains for policy in on_it], [100 * policy.accuracy for policy in on_it]
    axes.step([*x, axes.get_xlim()[1]], [*y, y[-1]], where="post", color="black", linewidth=1, alpha=0.6, zorder=2, label="Pareto front")


def _lines(axes: Axes, result: BacktestResult) -> None:
    lowest = min(policy.lower for policy in result.policies)
    for name, style in BASELINES.items():
        share = result.baselines.get(name, float("nan"))
        if share > lowest - 0.05:  # far under all policies it would compress their scale; nan is left out, too
            axes.axhline(100 * share, color="#999999", linestyle=style, linewidth=1, zorder=0, label=wording.BASELINE_NAMES[name])


def _labels(axes: Axes, renderer: Any, result: BacktestResult) -> None:
    """Label each point where the label covers neither a point nor another label; a distant label gets a line."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    at = {policy.name: axes.transData.transform((policy.retrains, 100 * policy.accuracy)) for policy in result.policies}
    taken: list[Bbox] = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in at.values()]
    for policy in sorted(result.policies, key=lambda one: -one.accuracy):
        text = axes.annotate(policy.name, (policy.retrains, 100 * policy.accuracy), xytext=(0, 0), textcoords="offset points", fontsize=9, zorder=5)
        text.set(color=COLOURS[policy.kind], path_effects=[withStroke(linewidth=3, foreground="white")])
        taken.append(_place(text, renderer, taken, inside=axes.bbox))
        away = sum(step**2 for step in text.xyann) ** 0.5
        if away > RADII[1]:
            axes.annotate(
                "",
                (policy.retrains, 100 * policy.accuracy),
                xytext=text.xyann,
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": COLOURS[policy.kind], "linewidth": 0.6, "alpha": 0.7},
            )


def _place(text: Any, renderer: Any, taken: Sequence[Bbox], *, inside: Bbox) -> Bbox:
    """Move a label to the nearest free position, or the first if none is free."""
    choices = [(radius * x, radius * y) for radius in RADII for x, y in SIDES]
    for x, y in choices:
        text.xyann = (x, y)
        text.set_ha("left" if x > 0 else "right" if x < 0 else "center")
        text.set_va("center")
        box = text.get_window_extent(renderer).padded(2)
        fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
        if fits and not any(box.overlaps(other) for other in taken):
            return box
    text.xyann = choices[0]
    return text.get_window_extent(renderer).padded(2)
