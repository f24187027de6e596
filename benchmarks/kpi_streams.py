"""Count how often the rule `significant` alarms about a model that is exactly as good as its threshold, for every KPI of classes that --kpi offers.

    python -m benchmarks.kpi_streams               # two processes, about a minute; writes benchmarks/kpi_streams.md
    python -m benchmarks.kpi_streams --seeds 40 --out /tmp/kpi_streams.md

A calibrated model of two classes is watched for 40 blocks; the threshold is its KPI on a million rows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from benchmarks import script
from driftloop.cli import parsing
from driftloop.drift.rules import catalogue
from driftloop.metrics.block_kpis import AveragePrecisionKpi, F1Kpi, RocAucKpi
from driftloop.metrics.goal import Goal
from driftloop.metrics.row_kpis import BalancedAccuracyKpi, BrierKpi, ChosenKpi, CostKpi, LogLossKpi

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


def _answers(rng: np.random.Generator, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positive = 1 / (1 + np.exp(1.5 - 2.5 * seen))
    return (rng.random(len(seen)) < positive).astype(int), np.column_stack([1 - positive, positive])


@lru_cache
def reached(kpi: str, draw: str) -> float:
    """The KPI of a million rows."""
    return KPIS[kpi].value(KPIS[kpi].losses_of(*DRAWS[draw](np.random.default_rng(0), 1_000_000)))


def first_alarm(
    kpi: str, *, draw: str = "independent", seed: int, rows: int = 100, blocks: int = BLOCKS, worse: float = 0.0, alpha: float = ALPHA
) -> int | None:
    """The block of the first alarm in a watch of a model whose loss is larger than the threshold's by this share."""
    doing, rng = KPIS[kpi], np.random.default_rng(seed)
    goal = Goal(doing, doing.with_slack(reached(kpi, draw), share=1 / (1 + worse) - 1), alpha)
    rule = catalogue.for_goal("significant", goal)
    rule.prepare(doing.losses_of(*DRAWS[draw](rng, REFERENCE * rows)), block_size=rows)
    return next((at for at in range(blocks) if rule.update(doing.losses_of(*DRAWS[draw](rng, rows))).drift), None)


@dataclass(frozen=True)
class Watched:
    """What the rule did with one KPI."""

    kpi: str
    watches: int  # of each kind of stream and block size
    alarmed: tuple[int, ...]  # watches with an alarm: independent rows in blocks of `ROWS`, then runs of rows
    found: tuple[int | None, ...]  # block in which a model with more loss was found, of a tenth of the watches


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--seeds", type=parsing.whole(10), default=200, help="watches of each kind (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page of all KPIs."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(watch, [(kpi, args.seeds) for kpi in KPIS], chunksize=1)
    return page(found, command=args.command)


def watch(kpi: str, seeds: int) -> Watched:
    """Watch every kind of stream, seeds 0 up."""
    alarmed = [sum(first_alarm(kpi, draw=draw, seed=seed, rows=rows) is not None for seed in range(seeds)) for draw in DRAWS for rows in ROWS]
    found = [first_alarm(kpi, seed=seed, worse=WORSE, blocks=PATIENCE) for seed in range(seeds // 10)]
    script.say(f"{kpi}: done")
    return Watched(kpi, seeds, tuple(alarmed), tuple(found))


def page(found: list[Watched], *, command: str) -> str:
    """The figures as Markdown."""
    few, many = ROWS
    return script.page(
        "False alarms of every KPI of classes",
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
        script.table("KPI | median: | found, %:", map(_power, found)),
    )


def _power(one: Watched) -> list[str]:
    waits = [np.inf if at is None else at + 1 for at in one.found]
    median = float(np.median(waits))
    share = sum(at is not None for at in one.found) / len(one.found)
    return [f"`{one.kpi}`", f"{median:g}" if np.isfinite(median) else f"over {PATIENCE}", f"{100 * share:.0f}"]


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
