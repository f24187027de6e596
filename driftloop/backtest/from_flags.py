"""Builds a back-test's plan from its flags: policies, rows, recipes, and synthetic streams."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.backtest.fits import Recipe
from driftloop.backtest.policies import Policy, Watching
from driftloop.cli.script_flags import BacktestFlags
from driftloop.data import synthetic
from driftloop.data.synthetic import TrueStream
from driftloop.errors import SettingsError
from driftloop.system import places
from driftloop.training.fitting import Learner

MIN_TRAINED = 20  # rows before the first block


@dataclass(frozen=True)
class BacktestPlan:
    """What to play and how.

    The base model is fitted on the rows before `first_row` by the recipe `base`; the rest is scored in blocks. `judge_rows` 0: every
    retrain goes into service. `random_seeds` is the number of random runs compared with each triggered policy.
    """

    policies: tuple[Policy, ...]
    watching: Watching
    first_row: int
    block_size: int
    base: Recipe
    retrain: Recipe
    judge_rows: int
    judge_alpha: float
    random_seeds: int


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


def make(args: BacktestFlags, policies: tuple[Policy, ...], *, learner: Learner, rows: int) -> BacktestPlan:
    """The plan from the flags, with this learner on a stream of this many rows.

    Raises:
        SettingsError: see `first_row`.
    """
    history = {"history": args.history}
    return BacktestPlan(
        policies=policies,
        watching=Watching(args.threshold_accuracy, args.alpha, args.seed, args.lead_blocks),
        first_row=first_row(rows, train_share=args.train_share, wanted=args.first_rows),
        block_size=args.block_size,
        base=Recipe({**learner.base_params, **history}, args.max_epochs, args.seed),
        retrain=Recipe({**learner.retrain_params, **history, "window": args.window}, args.max_epochs, args.seed),
        judge_rows=args.judge_rows,
        judge_alpha=args.judge_alpha,
        random_seeds=args.random_seeds,
    )


def first_row(rows: int, *, train_share: float, wanted: int) -> int:
    """The first row to score: `wanted`, or the end of the oldest `train_share` of the rows when that is 0.

    >>> first_row(1000, train_share=0.7, wanted=0), first_row(1000, train_share=0.7, wanted=100)
    (700, 100)

    Raises:
        SettingsError: too few rows remain to train on, or to score.
    """
    first = wanted or int(train_share * rows)
    if not MIN_TRAINED <= first < rows:
        flag = f"--first_rows {wanted}" if wanted else f"--train_share {train_share:g}"
        raise SettingsError(f"{flag} of {rows} rows leaves {first} to train on and {max(rows - first, 0)} to score: at least {MIN_TRAINED} and 1 are needed")
    return first


def trained(args: BacktestFlags) -> Callable[[np.ndarray], int]:
    """How many of the rows with these times come before the first that is scored."""
    return lambda times: args.first_rows or int(args.train_share * len(times))


def known_stream(args: BacktestFlags) -> TrueStream:
    """The synthetic stream from the flags; all changes except those of "seasonal" are among the scored rows.

    A change is after a third of those rows, recurring ones after each quarter, a gradual one takes a fifth of them. A season is half
    of all rows.

    Raises:
        SettingsError: --data_path is given, too, or the generator or drift is unknown.
    """
    if args.data_path:
        raise SettingsError("--synthetic and --data_path: give one of the two")
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
