"""Segments in the monitor: how often any is named while nothing changes, and how late one that becomes worse is.

    python -m benchmarks.online_segments             # about five minutes on one core; writes benchmarks/online_segments.md
    python -m benchmarks.online_segments --watches 4 --out /tmp/segments.md
    python -m benchmarks.online_segments --folder /tmp/segments --reuse             # continues a run that was ended, line by line

Blocks go to `ServedSegments`, the class that the monitor's service calls: its reference period is the version's first 2,000 rows, a fifth of
that in `benchmarks.segments`, and the watch begins right after it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final

import numpy as np

from benchmarks import error_streams, script, segments
from benchmarks.error_streams import Noise
from driftloop.cli import parsing
from driftloop.metrics.task import CLASSIFICATION
from driftloop.predictions.segments import segment_evidence
from monitoring.features import Feature
from monitoring.online.segments.served_segments import REFERENCE_ROWS, SegmentKnown, ServedSegments
from monitoring.stream_settings import StreamConfig

BLOCK, WATCHED, ALPHA, ACCURACY = 125, 60, 0.05, 0.9  # rows, blocks after the reference period
EACH: Final = 4  # every so many watches is also seen with a fall
REFERENCE: Final = REFERENCE_ROWS // BLOCK  # blocks
FIRST_SEED: Final = 30_000
HEAD: Final = "stream | segments (shares) | judged: | any named: | share of the one: | delay: | others named:"


@dataclass(frozen=True)
class OnlineKind:
    """A kind of stream: its errors are neighbours among all rows, or among those of each segment by itself."""

    name: str
    noise: Noise
    by_segment: bool = False


KINDS: Final = (
    OnlineKind("independent", Noise("")),
    OnlineKind("Markov chain, .5", Noise("", correlation=0.5)),
    OnlineKind("Markov chain, .8", Noise("", correlation=0.8)),
    OnlineKind("Markov chain, .5, in each segment", Noise("", correlation=0.5), by_segment=True),
    OnlineKind("wanders by 2 points", Noise("", wander=0.02)),
)


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__, reusable=True)
    parser.add_argument("--watches", type=parsing.whole(2), default=200, help="watches of each kind (default: %(default)s)")
    return parser


def stream_of(names: Sequence[str]) -> StreamConfig:
    """The stream, whose one feature has these values."""
    one = Feature("segment", texts=tuple(names))
    return StreamConfig(
        "online", "classification", "accuracy", "online", (one,), BLOCK, 0.8, (), ALPHA, labels=(0, 1), served="elsewhere", segments=(one.name,)
    )


def drawn(kind: OnlineKind, rng: np.random.Generator, segment: np.ndarray) -> np.ndarray:
    """Errors at an accuracy of `ACCURACY` of rows in these segments, (N,) bool."""
    found = np.empty(len(segment), bool)
    for rows in [segment == one for one in np.unique(segment)] if kind.by_segment else [np.full(len(segment), True)]:
        blocks = -(-int(rows.sum()) // BLOCK)
        watches = -(-blocks // error_streams.BLOCKS)
        made = error_streams.steady(rng, watches=watches, block=BLOCK, accuracy=ACCURACY, noise=kind.noise)
        found[rows] = made.errors.reshape(-1)[: rows.sum()]
    return found


def judged(names: Sequence[str], segment: np.ndarray, errors: np.ndarray) -> tuple[SegmentKnown, ...]:
    """What the monitor knows after all rows, (N,) each; the block of an alarm, from 0 after the reference period, is its `since`."""
    made = ServedSegments(stream_of(names), CLASSIFICATION)
    for block in range(len(segment) // BLOCK):
        rows = slice(block * BLOCK, (block + 1) * BLOCK)
        made.update([(names[code],) for code in segment[rows]], errors[rows].astype(np.float64), time=str(block - REFERENCE))
    return made.known()


def row(kind: OnlineKind, number: int, *, watches: int) -> list[str]:
    """A line of the table."""
    shares, names = segments.shares_of(number), [f"s{at}" for at in range(number)]
    chosen = int(np.abs(shares - segments.WANTED).argmin())
    after = np.arange((REFERENCE + WATCHED) * BLOCK) >= REFERENCE * BLOCK
    false = others = known = 0
    delays: list[float] = []
    for watch in range(watches):
        rng = np.random.default_rng([FIRST_SEED, watch])
        segment = rng.choice(number, len(after), p=shares)
        errors = drawn(kind, rng, segment)
        still = judged(names, segment, errors)
        known += sum(not np.isnan(one.e_value) for one in still)
        false += any(one.drift for one in still)
        if watch % EACH:
            continue
        worse = (segment == chosen) & after & (rng.random(len(after)) < segments.FALL / ACCURACY)
        named = {one.name: int(one.since) for one in judged(names, segment, errors | worse) if one.drift}
        delays.append(named.pop(f"segment=s{chosen}", np.inf) + 1)
        others += bool(named)
    size = f"{number} ({100 * shares[0]:.1f} to {100 * shares[-1]:.1f} %)"
    return [
        kind.name,
        size,
        f"{known / watches:.1f}",
        script.share(false, watches),
        f"{100 * shares[chosen]:.1f} %",
        delay_words(delays),
        script.share(others, len(delays)),
    ]


def delay_words(delays: Sequence[float]) -> str:
    """The median of delays in blocks, and how many are none: inf.

    >>> delay_words([3, 5, np.inf]), delay_words([np.inf, np.inf])
    ('5 (1 missed)', '– (2 missed)')
    """
    middle, missed = median(delays), sum(np.isinf(delays))
    return (f"{middle:.0f}" if np.isfinite(middle) else "–") + (f" ({missed} missed)" if missed else "")


def page(rows: Sequence[Sequence[str]], *, watches: int, command: str) -> str:
    """The measurements as Markdown."""
    return script.page(
        "Segments in the monitor",
        f"Written by `{command}`: {watches} watches of each kind by the class that the monitor's service calls. Errors of {100 * (1 - ACCURACY):.0f} % in "
        f"blocks of {BLOCK} rows: the version's first {REFERENCE} blocks are the reference period, {WATCHED} more are judged, at alpha {ALPHA} over all "
        f"segments together. Judged: segments with at least {segment_evidence.LEAST_ROWS} rows in the reference period, in the mean.",
        "Any named: in % with the 95 % interval, the watches in which any segment is ever named although nothing changed. In each segment: a segment's errors "
        "are neighbours among its own rows, not among all.",
        f"In one of {EACH} watches the accuracy of one segment then falls by {100 * segments.FALL:.0f} points as the watch begins. Delay: the median "
        "number of blocks until it is named (– beyond the watch); a segment too small to be judged is missed. Others named: in %, watches in which one is "
        "named that did not become worse.",
        script.table(HEAD, rows),
    )


def measured(args: argparse.Namespace) -> str:
    """The page."""
    rows = []
    with script.place(args.folder) as folder:
        for at, kind in enumerate(KINDS):
            for number in segments.SIZES:
                path = folder / f"{at}-{number}-{args.watches}.json"
                rows.append(script.kept(path, partial(row, kind, number, watches=args.watches), reuse=args.reuse))
    return page(rows, watches=args.watches, command=args.command)


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
