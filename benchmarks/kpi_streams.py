"""How often the rule `significant` alarms about a model that is exactly as good as its threshold, for every KPI of classes that --kpi offers.

    python -m benchmarks.kpi_streams               # 400 watches a cell; prints the table of docs/concepts.md
    python -m benchmarks.kpi_streams --seeds 40

A calibrated model of two classes is watched for 40 blocks; the threshold is its KPI on a million rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np

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


def first_alarm(kpi: str, *, draw: str = "independent", seed: int, rows: int = 100, blocks: int = 40, worse: float = 0.0, alpha: float = 0.05) -> int | None:
    """The block of the first alarm in a watch of a model whose loss is larger than the threshold's by this share."""
    doing, rng = KPIS[kpi], np.random.default_rng(seed)
    goal = Goal(doing, doing.with_slack(reached(kpi, draw), share=1 / (1 + worse) - 1), alpha)
    rule = catalogue.for_goal("significant", goal)
    rule.prepare(doing.losses_of(*DRAWS[draw](rng, REFERENCE * rows)), block_size=rows)
    return next((at for at in range(blocks) if rule.update(doing.losses_of(*DRAWS[draw](rng, rows))).drift), None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=400)
    seeds = parser.parse_args().seeds
    print("| KPI | independent, blocks of 100 | of 500 | runs of 20 alike, blocks of 100 | of 500 | blocks of 100 until half more loss is found |")
    print("|---|---|---|---|---|---|")
    for kpi in KPIS:
        cells = [sum(first_alarm(kpi, draw=draw, seed=seed, rows=rows) is not None for seed in range(seeds)) / seeds for draw in DRAWS for rows in (100, 500)]
        found = [first_alarm(kpi, seed=seed, worse=0.5, blocks=200) for seed in range(max(seeds // 10, 5))]
        median = float(np.median([np.inf if at is None else at + 1 for at in found]))
        print(f"| `{kpi}` | " + " | ".join(f"{100 * cell:.1f} %" for cell in cells) + f" | {median:g} |", flush=True)


if __name__ == "__main__":
    main()
