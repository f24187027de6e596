"""Segments: how often any is named while nothing changes, and how late one that becomes worse is, beside the rule that knows which one it will be.

A part of the page of `benchmarks.any_model`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np

from benchmarks import error_streams, loss_streams, script
from benchmarks.error_streams import Noise
from driftloop.data.blocks import Block
from driftloop.data.streams import Stream
from driftloop.metrics.results import SegmentResult
from driftloop.metrics.task import CLASSIFICATION, REGRESSION, Task
from driftloop.predictions import table_goal
from driftloop.predictions.segments import segment_evidence, segment_judge
from driftloop.predictions.segments.segment_columns import SegmentColumn
from driftloop.predictions.segments.segment_judge import LabelledTable
from driftloop.predictions.table_goal import TablePlan

BLOCK, REFERENCE, WATCHED, ALPHA = 200, 50, 100, 0.05  # rows, blocks, blocks
SIZES: Final = (2, 10, 100)  # segments; the k-th has a share in proportion to k ** -0.5
WANTED: Final = 0.03  # share of the segment that becomes worse, as near as there is one
ERROR: Final = 0.1
FALL: Final = 0.3  # of the segment's accuracy; absolute errors rise to `FACTOR` times
FACTOR: Final = 2.0
FIRST_SEED: Final = 10_000  # the settings of `drift.segments` were chosen on seeds below 3,000


@dataclass(frozen=True)
class SegmentStream:
    """A kind of stream: `draw` gives the losses of rows whose mean loss is raised as (N,) says, in segments (N,)."""

    name: str
    task: Task
    draw: Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]


def _errors(noise: Noise, rng: np.random.Generator, segment: np.ndarray, worse: np.ndarray) -> np.ndarray:
    """Errors in the order of the stream; more of them where `worse`."""
    watches = -(-len(segment) // (error_streams.BLOCKS * BLOCK))
    made = error_streams.steady(rng, watches=watches, block=BLOCK, accuracy=1 - ERROR, noise=noise)
    errors = made.errors.reshape(-1)[: len(segment)]
    return errors | (worse & (rng.random(len(segment)) < FALL / (1 - ERROR)))


def _of_segments(
    draw: Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray], rng: np.random.Generator, segment: np.ndarray, worse: np.ndarray
) -> np.ndarray:
    """The same with a noise of its own in each segment: its errors are neighbours there."""
    found = np.empty(len(segment))
    for one in np.unique(segment):
        rows = segment == one
        found[rows] = draw(rng, segment[rows], worse[rows])
    return found


def _losses(draw: loss_streams.Draw, rng: np.random.Generator, segment: np.ndarray, worse: np.ndarray) -> np.ndarray:
    return draw(rng, len(segment)) * np.where(worse, FACTOR, 1.0)


def kinds() -> list[SegmentStream]:
    """Every kind of stream, in the table's order."""
    chain = partial(_errors, Noise("", correlation=0.5))
    return [
        SegmentStream("errors, 10 %, independent", CLASSIFICATION, partial(_errors, Noise(""))),
        SegmentStream("errors, 10 %, Markov chain, .5", CLASSIFICATION, chain),
        SegmentStream("errors, 10 %, Markov chain, .5, in each segment", CLASSIFICATION, partial(_of_segments, chain)),
        SegmentStream("errors, 10 %, wanders by 2 points", CLASSIFICATION, partial(_errors, Noise("", wander=0.02))),
        SegmentStream("absolute errors, exponential", REGRESSION, partial(_losses, loss_streams.exponential)),
        SegmentStream("absolute errors, together", REGRESSION, partial(_losses, loss_streams.together)),
    ]


def judged(kind: SegmentStream, segment: np.ndarray, losses: np.ndarray, block: np.ndarray, segments: int) -> SegmentResult:
    """What `driftloop.watch` says of the segments; (N,) each."""
    rows, names = len(segment), tuple(map(str, range(segments)))
    given = {"labels": np.zeros(rows), "label_names": (), "times": np.arange(rows).astype("datetime64[s]"), "period": None, "unit": ""}
    stream = Stream(name="", rows=np.empty((rows, 0)), features=(), source="", sha256="", **given)  # type: ignore[arg-type]
    edges = np.searchsorted(block, np.arange(REFERENCE + WATCHED + 1)).tolist()
    cut = tuple(Block(at, start, stop) for at, (start, stop) in enumerate(pairwise(edges)))
    table = LabelledTable(stream, losses, losses, cut, ("",) * len(cut), edges[REFERENCE], kind.task)
    return segment_judge.judge(table, [SegmentColumn("segment", segment, names)], alpha=ALPHA)


def table_alarm(kind: SegmentStream, losses: np.ndarray, block: np.ndarray) -> int | None:
    """The block, from 0, in which the rule of a whole table alarms on these rows."""
    before = losses[block < REFERENCE]
    _, rule = table_goal.of_plan(TablePlan(alpha=ALPHA), kind.task, before, unit="")
    rule.prepare(before, block_size=max(len(before) // REFERENCE, 1))
    return next((at for at in range(WATCHED) if rule.update(losses[block == REFERENCE + at]).drift), None)


def shares_of(segments: int) -> np.ndarray:
    """The share of each segment."""
    shares = np.arange(1, segments + 1) ** -0.5
    return shares / shares.sum()


def row(kind: SegmentStream, segments: int, *, watches: int) -> list[str]:
    """A line of the table."""
    shares, block = shares_of(segments), np.repeat(np.arange(REFERENCE + WATCHED), BLOCK)
    chosen = int(np.abs(shares - WANTED).argmin())
    found: dict[str, list[bool]] = {"named": [], "some": [], "others": []}
    delays: list[list[int | None]] = [[], [], [], []]
    small = 0
    for seed in range(watches):
        rng = np.random.default_rng(FIRST_SEED + seed)
        segment = rng.choice(segments, len(block), p=shares)
        still = judged(kind, segment, kind.draw(rng, segment, np.zeros(len(block), bool)), block, segments)
        small += len(still.scores) - len(still.judged)
        mine = segment == chosen
        losses = kind.draw(rng, segment, mine & (block >= REFERENCE))
        named = judged(kind, segment, losses, block, segments).named
        alone = judged(kind, np.zeros(mine.sum(), int), losses[mine], block[mine], 1).named
        others = any(score.segment != str(chosen) for score in named)
        for name, is_so in (("named", bool(still.named)), ("some", still.drift), ("others", others)):
            found[name].append(is_so)
        of_named, of_alone = ({score.segment: score.block - REFERENCE for score in one} for one in (named, alone))
        alarms = (of_named.get(str(chosen)), of_alone.get("0"), table_alarm(kind, losses[mine], block[mine]), table_alarm(kind, losses, block))
        for delay, at in zip(delays, alarms, strict=True):
            delay.append(at)
    size = f"{segments} ({100 * shares[0]:.1f} to {100 * shares[-1]:.1f} %)"
    rates = [script.share(sum(found[name]), watches) for name in ("named", "some")]
    others_named = script.share(sum(found["others"]), watches)
    return [kind.name, size, f"{small / watches:.1f}", *rates, f"{100 * shares[chosen]:.1f} %", *map(_delay, delays), others_named]


def _delay(found: list[int | None]) -> str:
    missed = sum(at is None for at in found)
    median = np.median([WATCHED if at is None else at for at in found]) + 1
    return ("–" if median > WATCHED else f"{median:.0f}") + (f" ({missed} missed)" if missed else "")


def section(*, watches: int) -> str:
    """The section of the page."""
    rows = [row(kind, segments, watches=watches) for kind in kinds() for segments in SIZES]
    head = (
        "stream | segments (shares) | too small: | any named: | some: | share of the one: | delay: | segment known: | table rule on it: | "
        "whole table: | others named:"
    )
    return script.section(
        "Segments",
        f"{watches} watches of each kind: {REFERENCE * BLOCK:,} rows of reference, then {WATCHED} blocks of {BLOCK} rows, at alpha {ALPHA} over all segments "
        f"together. Too small: segments with fewer than {segment_evidence.LEAST_ROWS} reference rows, in the mean. The settings were chosen on other seeds.",
        "Any named: in % with the 95 % interval, the watches in which any segment is ever named although nothing changed; some: those in "
        "which it is said that some segment is worse, whichever.",
        f"Then one segment becomes worse as the watch begins: its accuracy falls by {100 * FALL:.0f} points, its absolute errors become {FACTOR:g} times as "
        "large. "
        "Delay: the median number of blocks until it is named (– beyond the watch). Segment known: the same test, with all of alpha, by who knows which "
        "segment to watch. Table rule on it: the rule for a whole table (above) on the rows of this segment alone. Whole table: that rule on all rows. "
        "Others named: in %, watches in which a segment is named that did not become worse.",
        script.table(head, rows),
    )
