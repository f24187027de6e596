"""The rule without a threshold, and segments: how often they alarm while nothing changes, and how late they are.

    python -m benchmarks.any_model --tables FOLDER                    # about twenty minutes; writes benchmarks/any_model.md
    python -m benchmarks.any_model --tables FOLDER --folder envs      # keeps the peers' environments in envs/ for the next run
    python -m benchmarks.any_model --out /tmp/any_model.md            # without the peers, about ten minutes
    python -m benchmarks.any_model --watches 20 --out /tmp/any_model.md

The reference period is the first blocks of a stream, the watch the blocks after them; an alarm in any of them counts. With `--tables`, NannyML's
tables that `benchmarks.full_tables` writes, a section puts `driftloop.watch` beside NannyML and Evidently on NannyML's own predictions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import any_model_page, any_model_peers, error_streams, loss_streams, script, segments
from benchmarks.error_streams import Noise
from driftloop.cli import parsing
from driftloop.metrics.task import CLASSIFICATION, REGRESSION, Task
from driftloop.predictions import table_goal
from driftloop.predictions.table_goal import TablePlan

BLOCK, WATCHED, ALPHA = 48, 100, 0.05
REFERENCES = (20, 100)  # blocks
FALL = 0.12  # of the accuracy, or as a share of the mean error times 5
Draw = Callable[[np.random.Generator, int, float], np.ndarray]


@dataclass(frozen=True)
class ReferenceStream:
    """A kind of stream: `draw` gives so many losses of a mean that is `worse` than the usual one, `mean`."""

    name: str
    task: Task
    draw: Draw
    mean: float


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--watches", type=parsing.whole(2), default=200, help="watches of each kind (default: %(default)s)")
    parser.add_argument("--tables", type=Path, help="folder with car_loan.csv.gz, car_loan_dq.csv.gz, cards.csv.gz and car_price.csv.gz, for the peers")
    parser.add_argument("--folder", type=Path, help="where the peers' environments stand or are built; default: a temporary folder")
    parser.add_argument("--rounds", type=parsing.whole(1), default=2, help="runs of each tool, of which the fastest counts (default: %(default)s)")
    return parser


def _errors(noise: Noise, error: float, rng: np.random.Generator, rows: int, worse: float) -> np.ndarray:
    watches = -(-rows // (error_streams.BLOCKS * BLOCK))
    made = error_streams.steady(rng, watches=watches, block=BLOCK, accuracy=1 - error - worse, noise=noise)
    return made.errors.reshape(-1)[:rows]


def _losses(draw: loss_streams.Draw, rng: np.random.Generator, rows: int, worse: float) -> np.ndarray:
    return (1 + 5 * worse) * draw(rng, rows)


def kinds() -> list[ReferenceStream]:
    """Every kind of stream, in the table's order."""
    noises = (
        Noise("independent"),
        Noise("Markov chain, .5", correlation=0.5),
        Noise("Markov chain, .8", correlation=0.8),
        Noise("wanders by 2 points", wander=0.02),
    )
    found = [ReferenceStream(f"errors, 20 %, {noise.name}", CLASSIFICATION, partial(_errors, noise, 0.2), 0.2) for noise in noises]
    found.append(ReferenceStream("errors, 3 %, independent", CLASSIFICATION, partial(_errors, noises[0], 0.03), 0.03))
    absolute = (loss_streams.exponential, loss_streams.together)
    return found + [ReferenceStream(f"absolute errors, {draw.__name__}", REGRESSION, partial(_losses, draw), 1.0) for draw in absolute]


def first_alarm(kind: ReferenceStream, before: np.ndarray, after: np.ndarray, *, known: bool) -> int | None:
    """The block of the first alarm, from 0: against the true KPI, or against the reference period."""
    plan = TablePlan(threshold=kind.task.value(np.array([kind.mean])) if known else 0.0, alpha=ALPHA)
    _, rule = table_goal.of_plan(plan, kind.task, before, unit="")
    rule.prepare(before, block_size=BLOCK)
    return next((at for at in range(WATCHED) if rule.update(after[at * BLOCK : (at + 1) * BLOCK]).drift), None)


def row(kind: ReferenceStream, blocks: int, *, watches: int) -> list[str]:
    """A line of the table."""
    cells = []
    alarms: dict[tuple[float, bool], list[int | None]] = {}
    for seed in range(watches):
        for worse in (0.0, FALL):
            rng = np.random.default_rng(seed)
            before, after = kind.draw(rng, blocks * BLOCK, 0.0), kind.draw(rng, WATCHED * BLOCK, worse)
            for known in (False, True):
                alarms.setdefault((worse, known), []).append(first_alarm(kind, before, after, known=known))
    for known in (False, True):
        cells.append(script.share(sum(alarm is not None for alarm in alarms[0.0, known]), watches))
    for known in (False, True):
        found = [WATCHED if alarm is None else alarm for alarm in alarms[FALL, known]]
        missed = sum(alarm is None for alarm in alarms[FALL, known])
        cells.append(f"{np.median(found) + 1:.0f}" + (f" ({missed} missed)" if missed else ""))
    return [kind.name, f"{blocks * BLOCK:,}", *cells]


def measured(args: argparse.Namespace) -> str:
    """The page."""
    peers = any_model_page.section(any_model_peers.measured(args.tables, args.folder, rounds=args.rounds), rounds=args.rounds) if args.tables else ""
    rows = [row(kind, blocks, watches=args.watches) for kind in kinds() for blocks in REFERENCES]
    command = "python -m benchmarks.any_model" + " --tables FOLDER" * bool(peers)
    return script.page(
        "Any model: a fall against the reference period, and in segments",
        f"Written by `{command}`: {args.watches} watches of each kind, of {WATCHED} blocks of {BLOCK} rows, at alpha {ALPHA}.",
        "Alarms: in % with the 95 % interval, the watches with an alarm although nothing changed, by the rule without a threshold (`driftloop.watch`), "
        "and by the rule with the true KPI as threshold.",
        f"Delay: the median number of blocks to the alarm after a fall of the accuracy by {100 * FALL:.0f} points, or a rise of the absolute errors by "
        f"{500 * FALL:.0f} %, that begins with the watch. The rule without a threshold bets half of its stake on such a fall, so it may be sooner than "
        "the other; a fall that begins later takes it longer.",
        script.table("stream | reference rows: | alarms: | alarms, true KPI known: | delay: | delay, true KPI known:", rows),
        segments.section(watches=args.watches),
        peers,
    )


def main() -> int:
    """Run the benchmark; return its exit code."""
    return script.run(build_parser(), measured)


if __name__ == "__main__":
    sys.exit(main())
