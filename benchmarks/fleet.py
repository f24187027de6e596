"""A fleet of streams under one false-alarm rate: how often any alarms while nothing changes, and how late one that becomes worse is.

python -m benchmarks.fleet             # about nine minutes on one core; writes benchmarks/fleet.md
python -m benchmarks.fleet --watches 4 --out /tmp/fleet.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, median
from typing import Final

import numpy as np

from benchmarks import error_streams, script
from benchmarks.error_streams import Noise
from driftloop.cli import parsing
from driftloop.drift.rules import catalogue
from monitoring.fleet import shared_alpha

STREAMS, ALPHA = 100, 0.05
EACH: Final = shared_alpha.each(ALPHA, STREAMS)
BLOCK, WATCHED, LONGER, ACCURACY = 48, 80, 250, 0.8  # rows; blocks, also where one stream falls; of every model, and its threshold
CHANGE: Final = 20  # the block in which the one stream becomes worse
FIRST_SEED: Final = 20_000
LONE: Final = 4  # every so many watches is also seen by the streams' own rules


@dataclass(frozen=True)
class FleetKind:
    """A kind of stream; streams are `copies` of each other."""

    name: str
    noise: Noise
    copies: int = 1


KINDS: Final = (
    FleetKind("independent", Noise("")),
    FleetKind("Markov chain, lag-1 correlation .5", Noise("", correlation=0.5)),
    FleetKind("Markov chain, .5; ten groups of ten equal streams", Noise("", correlation=0.5), copies=10),
    FleetKind("accuracy wanders by 2 points", Noise("", wander=0.02)),
    FleetKind("accuracy wanders by 3 points", Noise("", wander=0.03)),
)


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--watches", type=parsing.whole(2), default=200, help="watches of each kind (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page."""
    silent, late = [], []
    for kind in KINDS:
        silent.append(false_alarms(kind, watches=args.watches))
        script.say(" | ".join(silent[-1]))
    for kind in (KINDS[0], KINDS[1]):
        for after in (0.75, 0.7, 0.6):
            late.append(delays(kind, after=after, watches=args.watches))
            script.say(" | ".join(late[-1]))
    return page(silent, late, watches=args.watches, command=args.command)


def alarm_of(blocks: Iterable[np.ndarray], *, alpha: float, level: float) -> int | None:
    """The block, from 0, in which the e-value of the monitor's rule at this rate first reaches a level; that of its alarm is 1 / alpha."""
    rule = catalogue.make("significant", threshold=ACCURACY, alpha=alpha)
    return next((at for at, block in enumerate(blocks) if rule.update(block).statistic >= level), None)


def _drawn(rng: np.random.Generator, noise: Noise, *, streams: int, blocks: int) -> np.ndarray:
    """Errors of streams at their threshold, (streams, blocks, BLOCK)."""
    made = error_streams.steady(rng, watches=streams, block=BLOCK, accuracy=ACCURACY, noise=noise)
    return made.errors.reshape(streams, -1, BLOCK)[:, :blocks]


def false_alarms(kind: FleetKind, *, watches: int) -> list[str]:
    """A line of the first table."""
    fleet, alone, high = [], [], []
    for watch in range(watches):
        streams = _drawn(np.random.default_rng([FIRST_SEED, watch]), kind.noise, streams=STREAMS // kind.copies, blocks=WATCHED)
        fleet.append(kind.copies * _reached(streams, EACH, 1 / EACH))
        if watch % LONE == 0:
            alone.append(kind.copies * _reached(streams, ALPHA, 1 / ALPHA))
            high.append(kind.copies * _reached(streams, ALPHA, 1 / EACH) if alone[-1] else 0)
    return [
        kind.name,
        script.share(sum(one > 0 for one in fleet), watches),
        f"{mean(fleet):.3f}",
        script.share(sum(one > 0 for one in alone), len(alone)),
        f"{mean(alone):.2f}",
        str(max(alone)),
        script.share(sum(one > 0 for one in high), len(high)),
    ]


def _reached(streams: np.ndarray, alpha: float, level: float) -> int:
    """In how many streams the e-value of the rule at this rate ever reaches a level."""
    return sum(alarm_of(blocks, alpha=alpha, level=level) is not None for blocks in streams)


def delays(kind: FleetKind, *, after: float, watches: int) -> list[str]:
    """A line of the second table: one stream falls to the accuracy `after`; the other 99 do not matter to its delay."""
    found: dict[float, list[float]] = {ALPHA: [], EACH: []}
    for watch in range(watches):
        rng = np.random.default_rng([FIRST_SEED + 1, watch])
        (blocks,) = _drawn(rng, kind.noise, streams=1, blocks=LONGER)
        worse = np.arange(LONGER)[:, None] >= CHANGE
        blocks = blocks | (worse & (rng.random(blocks.shape) < 1 - after / ACCURACY))
        for alpha, alarms in found.items():
            at = alarm_of(blocks, alpha=alpha, level=1 / alpha)
            if at is None or at >= CHANGE:
                alarms.append(np.inf if at is None else at - CHANGE + 1)
    return [kind.name, f"{after:g}", *(words for alpha in found for words in _delay(found[alpha]))]


def _delay(alarms: list[float]) -> list[str]:
    middle = median(alarms)
    return [f"{middle:g}" if np.isfinite(middle) else "–", f"{100 * np.isfinite(alarms).mean():.0f}"]


def page(silent: list[list[str]], late: list[list[str]], *, watches: int, command: str) -> str:
    """The measurements as Markdown."""
    return script.page(
        "Fleet",
        f"Written by `{command}`. A fleet is {STREAMS} streams in blocks of {BLOCK} rows, each watched by the rule `significant`. Every model is right "
        f"{100 * ACCURACY:.0f} % of the time, and the threshold is that accuracy, the worst case. {watches} fleets of each kind (seeds from "
        f"{FIRST_SEED:,}); the rules know nothing of the streams before the watch.",
        script.section(
            "False alarms",
            f"Nothing changes in {WATCHED} blocks. Any with --fleet_alpha {ALPHA:g}: in %, with its 95 % interval, the fleets in which any stream ever "
            f"alarms by the fleet's decision. Any without: those in which any alarms by its own rule at alpha {ALPHA:g} (every fourth fleet). Alarms and "
            f"most: their mean and largest number in a fleet. Without it up to {STREAMS * ALPHA:g} are allowed in a watch without end; the rule is "
            "conservative, and spends a third of its stake in this one. Own e-values: the fleets in which the e-value of an own rule reaches the "
            f"{1 / EACH:,.0f} of the fleet. The allowance of the rule for autocorrelation fits its own alpha, so the fleet needs a rule at alpha / {STREAMS}.",
            script.table(f"streams | any with --fleet_alpha {ALPHA:g}: | alarms: | any without: | alarms: | most: | own e-values at {1 / EACH:,.0f}:", silent),
        ),
        script.section(
            "Delay",
            f"One stream of the {STREAMS} becomes worse in block {CHANGE} of {LONGER}. Delay: the median number of blocks until it alarms, where the first "
            "worse block is 1. Found: in %, until the end. Alone: the same rule with the same threshold and all of alpha, for somebody who knows which "
            "stream to watch. Alarms before the change are left out.",
            script.table("streams | accuracy then: | alone, delay: | found: | in the fleet, delay: | found:", late),
        ),
    )


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
