"""Plots a back-test: accuracy against retrains, a labelled point for each policy, the Pareto front."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftloop.backtest.outcome import BacktestResult, PolicyResult, front
from driftloop.backtest.words import blocks_of, labels_of, of
from driftloop.errors import SettingsError
from driftloop.report import wording
from driftloop.report.kpi_words import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

INCHES, DOTS = (10.5, 6.5), 120
COLOURS = {"fixed": "#4c72b0", "control": "#8c8c8c", "triggered": "#c44e52", "continuous": "#55a868"}
MARKS = {"fixed": "s", "control": "X", "triggered": "o", "continuous": "D"}
WORDS = {"fixed": "fixed", "control": "random (control)", "triggered": "triggered", "continuous": "updated after every block"}
STYLES = (":", "--", "-.", (0, (1, 3)))  # of the baselines
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

    # A name may contain a $.
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "text.parse_math": False}):
        figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        scale = 1 if of(result).plain else 100
        _points(axes, result, scale)
        _front(axes, result.policies, scale)
        _lines(axes, result, scale)
        axes.set_xscale("symlog", linthresh=1, linscale=0.3)
        axes.set_xlim(-0.25, max(2, *(policy.retrains for policy in result.policies)) * 2.2)
        ticks = [tick for tick in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000) if tick <= axes.get_xlim()[1]]
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("retrains")
        axes.set_ylabel(_label(of(result)))
        words = f"{result.stream}: {wording.count(result.rows, 'row')} in {blocks_of(result)}"
        words += f"; {labels_of(result)}" * (result.label_delay_blocks > 0 or result.label_share < 1)
        axes.set_title(f"{words}; recommended: {result.recommended}", loc="left")
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


def _label(figures: Figures) -> str:
    """The KPI with its unit and, unless it is an accuracy, which way is better."""
    return f"{figures.title}; {'higher' if figures.of_kpi.higher else 'lower'} is better" if figures.plain else "accuracy, %"


def _points(axes: Axes, result: BacktestResult, scale: float) -> None:
    for kind, colour in COLOURS.items():
        some = [policy for policy in result.policies if policy.kind == kind]
        if not some:
            continue
        x, y = [policy.retrains for policy in some], [scale * policy.kpi for policy in some]
        bars = [[scale * max(policy.kpi - policy.lower, 0) for policy in some], [scale * max(policy.upper - policy.kpi, 0) for policy in some]]
        axes.errorbar(x, y, yerr=bars, fmt="none", ecolor=colour, alpha=0.18, linewidth=1, zorder=1)
        axes.scatter(x, y, color=colour, marker=MARKS[kind], s=42, label=WORDS[kind], zorder=3)
    chosen = next(policy for policy in result.policies if policy.name == result.recommended)
    axes.scatter([chosen.retrains], [scale * chosen.kpi], s=210, facecolors="none", edgecolors="black", linewidths=1.3, label="recommended", zorder=4)


def _front(axes: Axes, policies: Sequence[PolicyResult], scale: float) -> None:
    names = front(policies)
    on_it = sorted((policy for policy in policies if policy.name in names), key=lambda one: one.retrains)
    x, y = [policy.retrains for policy in on_it], [scale * policy.kpi for policy in on_it]
    axes.step([*x, axes.get_xlim()[1]], [*y, *y[-1:]] or [math.nan], where="post", color="black", linewidth=1, alpha=0.6, zorder=2, label="Pareto front")


def _lines(axes: Axes, result: BacktestResult, scale: float) -> None:
    """The comparable baselines; far worse than all policies they would compress the scale, and no change needs every label at once."""
    higher = of(result).of_kpi.higher
    worst = min(policy.lower for policy in result.policies) if higher else max(policy.upper for policy in result.policies)
    slack = abs(worst) / 5 if of(result).plain else 0.05
    for style, (name, kpi) in zip(cycle(STYLES), _comparable(result), strict=False):
        if kpi > worst - slack if higher else kpi < worst + slack:  # nan is left out, too
            axes.axhline(scale * kpi, color="#999999", linestyle=style, linewidth=1, zorder=0, label=wording.baseline(name))


def _comparable(result: BacktestResult) -> list[tuple[str, float]]:
    return [(name, kpi) for name, kpi in result.baselines.items() if name != "no_change"]


def _labels(axes: Axes, renderer: Any, result: BacktestResult) -> None:
    """Label each point where the label covers neither a point nor another label; a distant label gets a line."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    scale = 1 if of(result).plain else 100
    at = {policy.name: axes.transData.transform((policy.retrains, scale * policy.kpi)) for policy in result.policies}
    taken: list[Bbox] = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in at.values()]
    for policy in sorted(result.policies, key=lambda one: -one.merit):
        text = axes.annotate(policy.name, (policy.retrains, scale * policy.kpi), xytext=(0, 0), textcoords="offset points", fontsize=9, zorder=5)
        text.set(color=COLOURS[policy.kind], path_effects=[withStroke(linewidth=3, foreground="white")])
        taken.append(_place(text, renderer, taken, inside=axes.bbox))
        away = sum(step**2 for step in text.xyann) ** 0.5
        if away > RADII[1]:
            axes.annotate(
                "",
                (policy.retrains, scale * policy.kpi),
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
