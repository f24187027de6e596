"""The KPI and its threshold from the flags --kpi, --cost, --threshold and the older --threshold_accuracy and --threshold_mae."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from driftloop.cli.flags import KpiFlags
from driftloop.cli.script_flags import KpiGoalFlags
from driftloop.data.streams import Stream
from driftloop.errors import SettingsError
from driftloop.metrics import block_kpis, cost_table, kpi_names
from driftloop.metrics.goal import Goal
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.row_kpis import ChosenKpi
from driftloop.metrics.task import Task
from driftloop.settings import THRESHOLD_SLACK

Flagged = TypeVar("Flagged", bound=KpiFlags)
OLDER: Final = {"threshold_accuracy": "accuracy", "threshold_mae": "mae"}  # flags that set one KPI's threshold


def chosen(stream: Stream, args: KpiFlags, *, trained: tuple[int, int]) -> ChosenKpi | None:
    """The KPI from the flags if it is another than the task's own.

    Args:
        stream: its labels.
        args: the flags.
        trained: the base model's training rows, whose labels the KPI may depend on (class shares, mean).

    Raises:
        SettingsError: as `kpi_names.checked` and `read_costs`.
    """
    name = kpi_names.checked(stream.task, args.kpi, args.cost)
    return block_kpis.named(name, stream.labels[slice(*trained)], stream.label_names, cost=args.cost)


def described(args: KpiFlags, doing: Task) -> str:
    """A KPI with its settings, as logged to the runs that it chose in; `of_base` reads it.

    >>> import numpy as np
    >>> from driftloop.metrics.row_kpis import CostKpi
    >>> described(KpiFlags("", "b:a=1,  a:b=2"), CostKpi(np.array([0.5, 0.5]), np.eye(2)))
    'cost a:b=2,b:a=1'
    """
    return f"{doing.kpi} {cost_table.ordered(args.cost) if args.cost else ''}".strip()


def of_base(args: Flagged, text: str) -> Flagged:
    """The flags with the KPI of a base model as `described` says it, where they name none; "" if that was its task's own.

    >>> of_base(KpiFlags("", ""), "cost a:b=2,b:a=1"), of_base(KpiFlags("accuracy", ""), "f1")
    (KpiFlags(kpi='cost', cost='a:b=2,b:a=1'), KpiFlags(kpi='accuracy', cost=''))
    """
    if not text or args.kpi or args.cost:
        return args
    name, _, costs = text.partition(" ")
    return replace(args, kpi=name, cost=costs)


def goal(stream: Stream, args: KpiGoalFlags, doing: Task, measure: Callable[[], float] | None) -> Goal:
    """A model's goal from the flags; without a threshold it follows from the KPI of the base model's validation rows, and is reported.

    Args:
        stream: its unit.
        args: the flags.
        doing: measures the KPI.
        measure: gives the KPI on the validation rows; None, before there is a base model: the threshold is a stand-in.

    Raises:
        SettingsError: as `threshold`.
    """
    given = threshold(args, doing)
    if not given:
        measured = math.nan if measure is None else measure()
        given = float(f"{doing.with_slack(measured, share=THRESHOLD_SLACK):.4g}")
        if measure is not None:
            unit, what = f" {stream.unit}" if stream.unit else "", "loss" if doing.chosen else "errors"
            told = f"{100 * THRESHOLD_SLACK:.0f} % more {what} than on the base model's validation rows ({measured:.4g})"
            print(f"threshold: {KPIS[doing.kpi].words} {given:.4g}{unit}, {told}", file=sys.stderr)
    return Goal(doing, given, args.alpha, unit=stream.unit)


def threshold(args: KpiGoalFlags, doing: Task) -> float:
    """The KPI's threshold from the flags; 0 when none is given.

    Raises:
        SettingsError: two are given, the older flag is that of another KPI, or the KPI cannot be there.
    """
    for older, kpi in OLDER.items():
        value = getattr(args, older)
        if not _typed(args.call.argv, older) or not value:
            continue
        if args.threshold and (args.threshold != value or kpi != doing.kpi):
            raise SettingsError(f"--threshold {args.threshold:g} and --{older} {value:g} are given: give one of them")
        if doing.chosen:
            raise SettingsError(f"--{older} is given, but the KPI is {doing.kpi}: give --threshold")
    if not args.threshold:
        return next((getattr(args, older) for older, kpi in OLDER.items() if kpi == doing.kpi), 0.0)
    highest = doing.bound if doing.kpi == "cost" else KPIS[doing.kpi].highest
    if not args.threshold < highest:
        raise SettingsError(f"--threshold is {args.threshold:g}: the {KPIS[doing.kpi].words} has to lie between 0 and {highest:g}")
    return args.threshold


def _typed(argv: Sequence[str], name: str) -> bool:
    """Whether a flag was typed; `mlflow run` passes all of them, those that nobody gave as in MLproject."""
    given = [word.partition("=")[0].lstrip("-") for word in argv if word.startswith("--")]
    return name in given and not set(OLDER) <= set(given)
