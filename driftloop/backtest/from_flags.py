"""Builds a back-test's plan from its flags: policies, rows, recipes, and synthetic streams."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.backtest.fits import Recipe
from driftloop.backtest.policies import COST, Policy, Watching, playable, rule
from driftloop.cli.script_flags import BacktestFlags
from driftloop.data import blocks, synthetic
from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.data.synthetic import TrueStream
from driftloop.data.times import zones
from driftloop.drift.regret import price
from driftloop.errors import SettingsError, TrainingError
from driftloop.metrics.goal import Goal
from driftloop.metrics.row_kpis import ChosenKpi
from driftloop.metrics.task import CLASSIFICATION, Task
from driftloop.settings import REFERENCE_BLOCKS, VALIDATION_SHARE
from driftloop.system import places
from driftloop.training import fitting, trained_model
from driftloop.training.fitting import Learner

MIN_TRAINED = 20  # rows before the first block


@dataclass(frozen=True)
class BacktestPlan:
    """What to play and how.

    The base model is fitted on the rows before `cut[0]` by the recipe `base`; the blocks are scored. `judge_rows` 0: every
    retrain goes into service. `random_seeds` is the number of random runs compared with each triggered policy. `kpi` is the KPI with its
    settings, in words. `left_out` names the policies that cannot be played on this stream, and why.
    """

    policies: tuple[Policy, ...]
    watching: Watching
    cut: tuple[Block, ...]
    block_by: str
    base: Recipe
    retrain: Recipe
    judge_rows: int
    judge_alpha: float
    random_seeds: int
    kpi: str
    left_out: tuple[str, ...] = ()
    label_delay_blocks: int = 0
    label_share: float = 1.0
    retrain_blocks: int = 0

    def labelled(self, rows: int) -> np.ndarray | None:
        """Which of so many rows have a label, (N,) bool: all before the first block, of the others a share; None: all."""
        if self.label_share == 1:
            return None
        drawn = np.random.default_rng(self.watching.seed).random(rows) < self.label_share
        drawn[: self.first_row] = True
        return drawn

    @property
    def first_row(self) -> int:
        """The first row to score."""
        return self.cut[0].start

    @property
    def block_size(self) -> int:
        """Rows of the largest block."""
        return max(block.rows for block in self.cut)

    def settings(self) -> dict[str, Any]:
        """What was asked for, as logged."""
        goal = self.watching.goal
        named = {"first_row": self.first_row, "block_size": self.block_size, "block_by": self.block_by, "kpi": self.kpi}
        judged = {"judge_rows": self.judge_rows, "judge_alpha": self.judge_alpha, "random_seeds": self.random_seeds}
        late = {"label_delay_blocks": self.label_delay_blocks} if self.label_delay_blocks else {}
        few = {"label_share": self.label_share} if self.label_share < 1 else {}
        dear = {"retrain_cost": self.watching.price.text} if any(policy.name == COST for policy in self.policies) else {}
        slow = {"retrain_blocks": self.retrain_blocks} if self.retrain_blocks else {}
        return named | judged | late | few | dear | slow | {"threshold": goal.threshold, "alpha": goal.alpha, "lead_blocks": self.watching.lead_blocks}


@dataclass(frozen=True)
class Means:
    """Options without influence on the figures: processes, the cache folder, resuming, the plot's file, a progress bar."""

    jobs: int
    cache: Path
    resume: bool
    plot: Path | None
    progress: Callable[..., AbstractContextManager[Any]]

    def check(self) -> None:
        """Reject an unusable file for the plot early.

        Raises:
            SettingsError: it is a folder, its folder does not exist, or it is not writable.
        """
        if self.plot and (self.plot.is_dir() or not self.plot.parent.is_dir()):
            raise SettingsError(f"--plot {self.plot}: give a file in a folder that exists")
        if self.plot and (why := places.unwritable(self.plot)):
            raise SettingsError(f"--plot {self.plot}: cannot be written: {why}; give another place")


def recipes(args: BacktestFlags, learner: Learner, *, block_size: int) -> tuple[Recipe, Recipe]:
    """How the base model and the retrains are fitted; the rules learn from the base model on its newest training rows."""
    history = {"history": args.history}
    base = Recipe({**learner.base_params, **history}, args.max_epochs, args.seed, shown=REFERENCE_BLOCKS * block_size)
    return base, Recipe({**learner.retrain_params, **history, "window": args.window}, args.max_epochs, args.seed)


def make(args: BacktestFlags, policies: tuple[Policy, ...], *, learner: Learner, stream: Stream, cut: tuple[Block, ...], goal: Goal, kpi: str) -> BacktestPlan:
    """The plan from the flags.

    Args:
        args: the flags.
        policies: from `policies.parse`; what cannot be played here is left out unless it was named.
        learner, stream: the model classes and the data.
        cut: the blocks, see `cut_blocks`.
        goal: of all policies.
        kpi: in words.

    Raises:
        SettingsError: the KPI is undefined on all rows, a policy that was named cannot be played here, or its rule cannot take the threshold.
    """
    _check_labels(args, blocks=len(cut))
    _check_kpi(args, goal.task, stream.labels[cut[0].start : cut[-1].stop])
    played, faults = playable(policies, goal.task)
    for name in args.policies.lower().split(","):
        if why := faults.get(name.strip()):
            raise SettingsError(f"--policies: {name.strip()} cannot be played here ({why}): leave it out")
    watching = Watching(goal, args.seed, args.lead_blocks, price(args.retrain_cost))
    for policy in played:
        if policy.kind != "continuous":
            rule(policy, watching, rate=0)  # refuses a threshold that it cannot take
    base, retrain = recipes(args, learner, block_size=max(block.rows for block in cut))
    return BacktestPlan(
        policies=played,
        watching=watching,
        cut=cut,
        block_by=args.block_by,
        base=base,
        retrain=retrain,
        judge_rows=args.judge_rows,
        judge_alpha=args.judge_alpha,
        random_seeds=args.random_seeds,
        kpi=kpi,
        left_out=_together(faults),
        label_delay_blocks=args.label_delay_blocks,
        label_share=args.label_share,
        retrain_blocks=args.retrain_blocks,
    )


def _check_labels(args: BacktestFlags, *, blocks: int) -> None:
    if args.label_delay_blocks and args.label_delay_blocks >= blocks - 1:
        raise SettingsError(f"--label_delay_blocks is {args.label_delay_blocks}, but there are {blocks} blocks: no label would come in time for a retrain")
    if not args.label_share:
        raise SettingsError("--label_share is 0: give a share above 0, up to 1")
    if args.label_share < 1 and args.history:
        raise SettingsError("--label_share and --history are both given: a model that sees the rows before each needs the labels of all: omit one")


def _check_kpi(args: BacktestFlags, doing: Task, scored: np.ndarray) -> None:
    """Refuse a threshold of 0 where the learner has its own, and a KPI that the labels of the scored rows leave undefined."""
    if doing is CLASSIFICATION and not (args.threshold or args.threshold_accuracy or args.data_path):
        raise SettingsError("--threshold_accuracy is 0: give an accuracy between 0 and 1")
    if isinstance(doing, ChosenKpi) and math.isnan(doing.value(doing.losses_of(scored, doing.baseline(len(scored))[1]))):
        raise SettingsError(f"--kpi {doing.kpi} is undefined on the rows to score, as they have one class only: give another KPI")


def _together(faults: Mapping[str, str]) -> tuple[str, ...]:
    """Policies with the same fault in one phrase.

    >>> _together({"ddm": "for 0/1 errors only", "eddm": "for 0/1 errors only"})
    ('ddm, eddm (for 0/1 errors only)',)
    """
    return tuple(f"{', '.join(name for name, one in faults.items() if one == why)} ({why})" for why in dict.fromkeys(faults.values()))


def cut_blocks(args: BacktestFlags, stream: Stream) -> tuple[Block, ...]:
    """The blocks to score, from the flags.

    Raises:
        SettingsError: see `first_row` and `blocks.cut`.
    """
    first = first_row(len(stream), train_share=args.train_share, wanted=_wanted(args, stream.times), until=args.train_until)
    if args.block_by != "rows":
        return tuple(blocks.cut_calendar(stream.times, first, len(stream), by=args.block_by))
    size = args.block_size or (blocks.usual_size(len(stream) - first) if args.data_path else 0)
    return tuple(blocks.cut(first, len(stream), block_size=size))


def _wanted(args: BacktestFlags, times: np.ndarray) -> int:
    """Rows for the base model as given by number or time; 0: --train_share decides."""
    if not args.train_until:
        return args.first_rows
    if args.first_rows:
        raise SettingsError(f"--first_rows {args.first_rows} and --train_until {args.train_until} are given: give one of them")
    return max(1, int(np.searchsorted(times, zones.moment(args.train_until, zone=args.time_zone))))


def validated(stream: Stream, learner: Learner, recipe: Recipe, *, first: int, doing: Task) -> float:
    """The KPI of the base model's newest tenth of rows, with a model fitted on those before them, as a search measures it.

    Raises:
        SettingsError: that model cannot be fitted.
    """
    edge = first - int(VALIDATION_SHARE * first)
    try:
        fitted = fitting.fit(learner, stream, recipe.params, train=(0, edge), validation=(edge, first), max_epochs=recipe.max_epochs, seed=recipe.seed)
    except TrainingError as exc:
        raise SettingsError(f"no threshold is given, and the model that it would follow from cannot be fitted: {exc}") from exc
    return doing.value(trained_model.losses(fitted.model, stream, edge, first, doing=doing))


def first_row(rows: int, *, train_share: float, wanted: int, until: str = "") -> int:
    """The first row to score: `wanted`, which may follow from the time `until`, or the end of the oldest `train_share` of the rows when that is 0.

    >>> first_row(1000, train_share=0.7, wanted=0), first_row(1000, train_share=0.7, wanted=100)
    (700, 100)

    Raises:
        SettingsError: too few rows remain to train on, or to score.
    """
    first = wanted or int(train_share * rows)
    if not MIN_TRAINED <= first < rows:
        flag = f"--train_until {until}" if until else f"--first_rows {wanted}" if wanted else f"--train_share {train_share:g}"
        raise SettingsError(f"{flag} of {rows} rows leaves {first} to train on and {max(rows - first, 0)} to score: at least {MIN_TRAINED} and 1 are needed")
    return first


def trained(args: BacktestFlags) -> Callable[[np.ndarray], int]:
    """How many of the rows with these times come before the first that is scored, or the error of `first_row`."""
    return lambda times: first_row(len(times), train_share=args.train_share, wanted=_wanted(args, times), until=args.train_until)


def known_stream(args: BacktestFlags) -> TrueStream:
    """The synthetic stream from the flags; all changes except those of "seasonal" are among the scored rows.

    A change is after a third of those rows, recurring ones after each quarter, a gradual one takes a fifth of them. A season is half
    of all rows.

    Raises:
        SettingsError: --data_path or --train_until is given, too, or the generator or drift is unknown.
    """
    for name in ("data_path", "train_until"):
        if getattr(args, name):
            raise SettingsError(f"--synthetic and --{name}: give one of the two")
    generator, _, drift = args.synthetic.partition(":")
    first = first_row(args.rows, train_share=args.train_share, wanted=args.first_rows)
    scored = args.rows - first
    places: dict[str, Any] = {
        "recurring": {"at": [first + scored * quarter // 4 for quarter in (1, 2, 3)]},
        "gradual": {"at": first + scored // 3, "width": max(1, scored // 5)},
        "seasonal": {"width": max(1, args.rows // 2)},
        "abrupt": {"at": first + scored // 3},
        "data": {"at": first + scored // 3},
    }
    try:
        return synthetic.make(generator, rows=args.rows, seed=args.seed, drift=drift or "none", **places.get(drift, {}))
    except SettingsError as exc:
        raise SettingsError(f"--synthetic {args.synthetic}: {exc}") from exc
