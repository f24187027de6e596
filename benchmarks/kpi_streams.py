"""Count how often the rule `significant` alarms about a model that is exactly as good as its threshold, for every --kpi but accuracy and MAE.

    python -m benchmarks.kpi_streams               # two processes, about a minute; writes benchmarks/kpi_streams.md
    python -m benchmarks.kpi_streams --seeds 40 --out /tmp/kpi_streams.md

A model is watched for 40 blocks: a calibrated one of two classes, whose threshold is its KPI on a million rows, or one of values, for the RMSE.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from benchmarks import script
from driftloop.cli import parsing
from driftloop.drift.rules import catalogue
from driftloop.metrics.block_kpis import AveragePrecisionKpi, F1Kpi, RocAucKpi
from driftloop.metrics.goal import Goal
from driftloop.metrics.row_kpis import BalancedAccuracyKpi, BrierKpi, ChosenKpi, CostKpi, LogLossKpi, RmseKpi

SHARES: Final = np.array([0.7, 0.3])  # of the classes, roughly
KPIS: Final[dict[str, ChosenKpi]] = {
    made.kpi: made
    for made in (
        BrierKpi(SHARES),
        LogLossKpi(SHARES),
        CostKpi(SHARES, np.array([[0.0, 1.0], [20.0, 0.0]])),
        BalancedAccuracyKpi(SHARES),
        F1Kpi(SHARES),
        RocAucKpi(SHARES),
        AveragePrecisionKpi(SHARES),
    )
}
REFERENCE: Final = 30  # blocks before the watch
BLOCKS: Final = 40  # of a watch
ROWS: Final = (100, 500)  # per block
ALPHA: Final = 0.05
WORSE: Final = 0.5  # the loss of the model that is found out is larger by this share
PATIENCE: Final = 200  # blocks until that must be found
Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


def independent(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and the probabilities of a calibrated model, rows drawn independently."""
    return _answers(rng, rng.standard_normal(rows))


def together(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The same with runs of 20 rows that share half of the variance of what the model sees."""
    level = np.repeat(rng.standard_normal(rows // 20 + 1), 20)[:rows]
    return _answers(rng, (level + rng.standard_normal(rows)) / 2**0.5)


DRAWS: Final[dict[str, Draw]] = {"independent": independent, "together": together}


def normal(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of a value whose errors are normal and independent, with variance 1."""
    return np.zeros(rows), rng.standard_normal(rows)


def heavy(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The same with errors of Student's t of 3 degrees of freedom: the squared errors have no variance."""
    return np.zeros(rows), rng.standard_t(3, rows) / 3**0.5


def correlated(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The same with normal errors of which runs of 20 rows share half of the variance."""
    level = np.repeat(rng.standard_normal(rows // 20 + 1), 20)[:rows]
    return np.zeros(rows), (level + rng.standard_normal(rows)) / 2**0.5


ERRORS: Final[dict[str, Draw]] = {"independent": normal, "heavy tails": heavy, "runs of 20": correlated}
RMSE: Final = RmseKpi(0.0)


def _answers(rng: np.random.Generator, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positive = 1 / (1 + np.exp(1.5 - 2.5 * seen))
    return (rng.random(len(seen)) < positive).astype(int), np.column_stack([1 - positive, positive])


@lru_cache
def reached(kpi: str, draw: str) -> float:
    """The KPI of a million rows; the RMSE is 1."""
    return 1.0 if kpi == RMSE.kpi else KPIS[kpi].value(KPIS[kpi].losses_of(*DRAWS[draw](np.random.default_rng(0), 1_000_000)))


def first_alarm(
    kpi: str, *, draw: str = "independent", seed: int, rows: int = 100, blocks: int = BLOCKS, worse: float = 0.0, alpha: float = ALPHA
) -> int | None:
    """The block of the first alarm in a watch of a model whose loss (or RMSE) is larger than the threshold's by this share."""
    doing, made = (RMSE, ERRORS[draw]) if kpi == RMSE.kpi else (KPIS[kpi], DRAWS[draw])
    rng = np.random.default_rng(seed)
    goal = Goal(doing, doing.with_slack(reached(kpi, draw), share=1 / (1 + worse) - 1), alpha)
    rule = catalogue.for_goal("significant", goal)
    rule.prepare(doing.losses_of(*made(rng, REFERENCE * rows)), block_size=rows)
    return next((at for at in range(blocks) if rule.update(doing.losses_of(*made(rng, rows))).drift), None)


@dataclass(frozen=True)
class Watched:
    """What the rule did with one KPI of classes, or with the RMSE of one kind of errors."""

    kpi: str
    watches: int  # of each kind of stream and block size
    alarmed: tuple[int, ...]  # watches with an alarm in blocks of `ROWS`; of classes for independent rows, then for runs of rows
    found: tuple[int | None, ...]  # block in which a model with more loss was found, of a tenth of the watches


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--seeds", type=parsing.whole(10), default=200, help="watches of each kind (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page of all KPIs."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        wanted = [*((kpi, tuple(DRAWS), args.seeds) for kpi in KPIS), *((RMSE.kpi, (draw,), args.seeds) for draw in ERRORS)]
        found = pool.starmap(watch, wanted, chunksize=1)
    return page(found[: len(KPIS)], found[len(KPIS) :], command=args.command)


def watch(kpi: str, draws: Sequence[str], seeds: int) -> Watched:
    """Watch these kinds of stream, seeds 0 up; the first kind also with a worse model."""
    alarmed = [sum(first_alarm(kpi, draw=draw, seed=seed, rows=rows) is not None for seed in range(seeds)) for draw in draws for rows in ROWS]
    found = [first_alarm(kpi, draw=draws[0], seed=seed, worse=WORSE, blocks=PATIENCE) for seed in range(seeds // 10)]
    script.say(f"{kpi}, {', '.join(draws)}: done")
    return Watched(kpi, seeds, tuple(alarmed), tuple(found))


def page(found: list[Watched], values: list[Watched], *, command: str) -> str:
    """The figures as Markdown: of the KPIs of classes, and of the RMSE by kind of errors."""
    few, many = ROWS
    return script.page(
        "False alarms of every KPI",
        f"Written by `{command}`. A calibrated model of two classes, of which the rarer one has about {100 * SHARES[1]:g} % of the rows, is watched by the "
        f"rule `significant` at `--alpha` {ALPHA:g} for {BLOCKS} blocks, after {REFERENCE} blocks of reference. Seeds 0 up, {found[0].watches} watches a cell. "
        "Intervals: Wilson, 95 %.",
        "## A model that is exactly as good as its threshold",
        f"The threshold is the model's KPI on a million rows. Watches with an alarm, %; the rule promises at most {100 * ALPHA:g} % for independent rows. "
        "Rows are independent, or come in runs of 20 that share half of the variance of what the model sees.",
        script.table(
            f"KPI | independent, blocks of {few}: | of {many}: | runs of 20, blocks of {few}: | of {many}:",
            ([f"`{one.kpi}`", *(script.share(count, one.watches) for count in one.alarmed)] for one in found),
        ),
        f"## A model with {100 * WORSE:g} % more loss than the threshold allows",
        f"Blocks of {few} independent rows until the alarm, of {len(found[0].found)} watches of {PATIENCE} blocks. F1, ROC AUC and average precision are "
        "tested by the mean of the blocks' KPIs, which takes many more blocks.",
        script.table("KPI | median: | found, %:", (_power(f"`{one.kpi}`", one) for one in found)),
        "## The RMSE",
        f"A model of values whose RMSE is exactly the threshold, watches with an alarm, %; and, in blocks of {few} rows, of a model whose RMSE is "
        f"{100 * WORSE:g} % larger. Errors are normal and independent, or have heavy tails (Student's t of 3 degrees of freedom, whose squares have no "
        "variance), or come in runs of 20 that share half of their variance. Squared errors have no bound, so the rule caps them, which lowers their mean: "
        "it alarms less often, and the guarantee holds for the capped ones.",
        script.table(
            f"errors | blocks of {few}: | of {many}: | median block of the alarm, {100 * WORSE:g} % worse: | found, %:",
            ([draw, *(script.share(count, one.watches) for count in one.alarmed), *_power("", one)[1:]] for draw, one in zip(ERRORS, values, strict=True)),
        ),
    )


def _power(name: str, one: Watched) -> list[str]:
    waits = [np.inf if at is None else at + 1 for at in one.found]
    median = float(np.median(waits))
    share = sum(at is not None for at in one.found) / len(one.found)
    return [name, f"{median:g}" if np.isfinite(median) else f"over {PATIENCE}", f"{100 * share:.0f}"]


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
