"""Count how often equal models are promoted, and how soon a better one is, by the shadow's paired test and by the judge.

    python -m benchmarks.promotion               # two minutes; writes benchmarks/promotion.md
    python -m benchmarks.promotion --seeds 50 --out /tmp/promotion.md

A shadow is 30 blocks. The judge sees its first 48 rows. The figures of ELEC are of pairs of logistic regressions, fitted on different windows before
the compared rows; every five days a coin decides which one is called the challenger, so that they are equal in the long run and differ day by day as they do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks import paired_streams, script
from benchmarks.paired_streams import Pairs
from driftloop import settings
from driftloop.cli import parsing
from driftloop.data import streams
from driftloop.drift.paired.paired_test import BETTER, HOPELESS, OPEN, WORSE, PairedTest
from driftloop.metrics import kpi, promotion, task

BLOCKS: Final = settings.SHADOW_BLOCKS
FIRST_SEED: Final = 100_000  # settings were chosen on seeds 500 to 700
TURN: Final = 5  # days after which a coin decides again who is the challenger
DAY: Final = 48
Losses = Callable[[int], tuple[np.ndarray, np.ndarray]]

EQUAL: Final = (
    Pairs("independent errors"),
    Pairs("errors in runs, lag-1 correlation .5", correlation=0.5),
    Pairs("errors in runs, .8", correlation=0.8),
    Pairs("lead wanders by 5 points", correlation=0.5, wander=0.05),
    Pairs("lead wanders by 10 points", correlation=0.5, wander=0.1),
    Pairs("lead wanders by 10 points, .8", correlation=0.8, wander=0.1),
    Pairs("lead wanders by 5 points, blocks of 336", correlation=0.5, wander=0.05, rows=336),
    Pairs("errors in runs, .8, blocks of 20", correlation=0.8, rows=20),
)
UNEQUAL: Final = tuple(
    Pairs(f"challenger {100 * lead:+.0f} points, wanders by 5", correlation=0.5, wander=0.05, lead=lead) for lead in (-0.1, -0.05, 0.05, 0.1, 0.15, 0.2)
)


def elec_pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Errors of two models each on the 40 days after their training rows, (days, 48)."""
    stream, rng, found = streams.load(), np.random.default_rng(7), []
    for stop in range(10_000 // DAY * DAY, len(stream) - 40 * DAY, 20 * DAY):
        for _ in range(4):
            errors = [_errors(stream, int(rng.integers(7 * DAY, 120 * DAY)), stop) for _ in range(2)]
            found.append((errors[0], errors[1]))
    return found


def _errors(stream: streams.Stream, window: int, stop: int) -> np.ndarray:
    known, later = slice(stop - window, stop), slice(stop, stop + 40 * DAY)
    scale = StandardScaler().fit(stream.rows[known])
    model = LogisticRegression(max_iter=200).fit(scale.transform(stream.rows[known]), stream.labels[known])
    return np.asarray(model.predict(scale.transform(stream.rows[later])) != stream.labels[later]).reshape(-1, DAY)


def turned(pairs: list[tuple[np.ndarray, np.ndarray]], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A pair of ELEC whose models take turns in being the challenger."""
    rng = np.random.default_rng(seed)
    one, other = pairs[int(rng.integers(len(pairs)))]
    first = int(rng.integers(len(one) - BLOCKS + 1))
    swap = np.repeat(rng.random(-(-BLOCKS // TURN)) < 0.5, TURN)[:BLOCKS, None]
    one, other = one[first : first + BLOCKS], other[first : first + BLOCKS]
    return np.where(swap, other, one), np.where(swap, one, other)


def row(name: str, losses: Losses, *, alpha: float, seeds: int) -> list[object]:
    """A line of the page: how shadows ended, and how often the judge promoted."""
    ends, judged = [], 0
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        champion, challenger = losses(seed)
        ends.append(_end(champion, challenger, alpha=alpha))
        judge = np.concatenate(champion)[: settings.JUDGE_ROWS], np.concatenate(challenger)[: settings.JUDGE_ROWS]
        judged += promotion.judge(task.CLASSIFICATION, *judge, start=0, alpha=settings.JUDGE_ALPHA).better
    won = [block for decision, block in ends if decision == BETTER]
    low, high = kpi.wilson_interval(len(won), seeds)
    shares = [script.share(sum(decision == kind for decision, _ in ends), seeds) for kind in (WORSE, HOPELESS, OPEN)]
    soon = f"{np.median(won):.0f}" if won else "–"
    stop = f"{np.median([block for _, block in ends]):.0f}"
    return [name, f"{100 * len(won) / seeds:.1f} % ({100 * low:.1f}–{100 * high:.1f})", soon, *shares, stop, script.share(judged, seeds)]


def _end(champion: np.ndarray, challenger: np.ndarray, *, alpha: float) -> tuple[str, int]:
    test = PairedTest(alpha=alpha, blocks=len(champion))
    verdicts = []
    for losses in zip(champion, challenger, strict=True):
        verdicts.append(test.update(*losses))
        if verdicts[-1].decided:
            break
    return verdicts[-1].decision, len(verdicts)


def first_block(share: float, *, alpha: float, seeds: int) -> int:
    """In how many of these a model that is always right is promoted after one block of 48 rows, beside one that is wrong in this share."""
    rngs = map(np.random.default_rng, range(FIRST_SEED, FIRST_SEED + seeds))
    return sum(PairedTest(alpha=alpha).update(rng.random(DAY) < share, np.zeros(DAY, bool)).decision == BETTER for rng in rngs)


def build_parser() -> parsing.Parser:
    """The flags."""
    made = script.parser(__file__, __doc__)
    made.add_argument("--seeds", type=parsing.whole(1), default=400, help="streams of each kind")
    return made


def measured(args: argparse.Namespace) -> str:
    """The page."""
    alpha, pairs = settings.PROMOTE_ALPHA, elec_pairs()
    equal: dict[str, Losses] = {kind.name: partial(_of, kind) for kind in EQUAL} | {f"two models on ELEC, turns of {TURN} days": partial(turned, pairs)}
    tables = []
    for kinds in (equal, {kind.name: partial(_of, kind) for kind in UNEQUAL}):
        rows = [row(name, losses, alpha=alpha, seeds=args.seeds) for name, losses in kinds.items()]
        tables.append(script.table("stream|promoted (95 %)|after blocks, median|worse|cannot win|open|ended after|judge promoted".replace("|", " | "), rows))
    quick = [
        (f"100 % against {100 * (1 - share):.0f} %", script.share(first_block(share, alpha=alpha, seeds=args.seeds), args.seeds)) for share in (0.5, 0.4, 0.3)
    ]
    return script.page(
        "Promotion: equal models, better ones, quick wins",
        f"Written by `{args.command}`. `--promote_alpha {alpha:g}`, at most {BLOCKS} shadow blocks, {args.seeds} streams of each kind; shares in percent "
        "with 95 % intervals. The settings of the test were chosen on other seeds of the same kinds, and with ELEC's own dependence known. "
        "The judge is that of `--promote judge`: exact McNemar at "
        f"p ≤ {settings.JUDGE_ALPHA:g} on the first {settings.JUDGE_ROWS} rows.",
        script.section("Equal models", tables[0]),
        script.section("One is better", tables[1]),
        script.section("Promoted after the first block of 48 rows", script.table("accuracies | promoted", quick)),
    )


def _of(kind: Pairs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return paired_streams.losses(kind, seed=seed, blocks=BLOCKS)


def main() -> int:
    """Measure and write the page."""
    return script.run(build_parser(), measured)


if __name__ == "__main__":
    sys.exit(main())
