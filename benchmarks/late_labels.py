"""Late and few labels: how often the monitor alarms on a steady model whose early labels are biased, and how late it finds a fall.

    python -m benchmarks.late_labels                                   # about a minute; writes benchmarks/late_labels.md
    python -m benchmarks.late_labels --watches 20 --out /tmp/late.md

Records go through the monitor's own intake: a prediction each hour, whose label comes at once where the answer was wrong and some blocks
later where it was right, as of customers who leave. A steady model's accuracy is exactly the threshold, the worst that is good enough.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from benchmarks import error_streams, script
from benchmarks.error_streams import Noise
from driftloop.cli import parsing
from driftloop.settings import REFERENCE_BLOCKS
from monitoring.online.intake import Intake
from monitoring.records.checks import time_text
from monitoring.records.events import Label, Prediction, Record
from monitoring.stream_settings import StreamConfig

BLOCK, WATCHED, LATE, ALPHA, THRESHOLD, FALL = 24, 60, 7, 0.05, 0.8, 0.3
START: Final = datetime(2024, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(hours=1)  # a block of rows is a day
TIMES: Final = [time_text(START + row * STEP) for row in range(WATCHED * BLOCK)]
NOISES: Final = (Noise("independent"), Noise("Markov chain, .8", correlation=0.8))
SHARES: Final = (1.0, 0.1)
STREAM: Final = StreamConfig("late", "classification", "accuracy", "late", (), BLOCK, THRESHOLD, (), ALPHA, labels=(0, 1), served="elsewhere")


@dataclass(frozen=True)
class Arrival:
    """When labels come, and after how many blocks the stream takes them to be mature."""

    name: str
    late: int  # blocks until the label of a right answer
    delay: int  # `label_delay` in blocks


ARRIVALS: Final = (Arrival("all at once", 0, 0), Arrival("right answers' later", LATE, 0), Arrival("right answers' later", LATE, LATE))


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--watches", type=parsing.whole(2), default=200, help="watches of each kind (default: %(default)s)")
    return parser


def first_alarm(wrong: np.ndarray, before: np.ndarray, has: np.ndarray, arrival: Arrival) -> int | None:
    """The block of rows, from 0, at whose end the monitor first alarms.

    Args:
        wrong: (N,) whether each answer is.
        before: the same of the reference, from which the rule learns the autocorrelation.
        has: (N,) whether the row ever gets its label.
        arrival: of the labels.
    """
    intake = Intake(replace(STREAM, label_delay=arrival.delay * BLOCK * STEP), waits=True)
    for block in range(WATCHED):
        intake.take(_records(block, wrong, has, arrival.late))
        version = intake.versions["1"]
        if not version.prepared:
            version.rule.prepare(before, block_size=BLOCK)
            version.prepare(None)
        if version.drift:
            return block
    return None


def _records(block: int, wrong: np.ndarray, has: np.ndarray, late: int) -> Iterator[Record]:
    """A block of predictions, and the labels that come in its time."""
    for row in range(block * BLOCK, (block + 1) * BLOCK):
        yield Prediction(str(row), "late", TIMES[row], TIMES[row], "late", "1", {}, int(wrong[row]), None, None, None, "", 0.0)
        if has[row] and (wrong[row] or not late):
            yield Label(str(row), "late", 0, TIMES[row])
        old = row - late * BLOCK
        if late and old >= 0 and has[old] and not wrong[old]:
            yield Label(str(old), "late", 0, TIMES[row])


def alarms(noise: Noise, share: float, arrival: Arrival, *, fall: float, watches: int) -> list[int | None]:
    """The first alarm of each watch, whose accuracy is the threshold less the fall."""
    found = []
    for seed in range(watches):
        rng = np.random.default_rng(seed)
        before, wrong = (
            error_streams.steady(rng, watches=1, block=BLOCK, accuracy=accuracy, noise=noise).errors.reshape(-1) for accuracy in (THRESHOLD, THRESHOLD - fall)
        )
        has = rng.random(len(wrong)) < share
        found.append(first_alarm(wrong, before[: REFERENCE_BLOCKS * BLOCK].astype(float), has, arrival))
    return found


def row(noise: Noise, share: float, arrival: Arrival, *, watches: int) -> list[str]:
    """A line of the table."""
    script.say(f"{noise.name}, {share:g}, {arrival}")
    steady = alarms(noise, share, arrival, fall=0.0, watches=watches)
    given = [noise.name, f"{100 * share:g} %", arrival.name, f"{arrival.delay} d" if arrival.delay else "–"]
    alarmed = script.share(sum(one is not None for one in steady), watches)
    if arrival.late and not arrival.delay:  # its alarms are false ones
        return [*given, alarmed, "–"]
    fallen = alarms(noise, share, arrival, fall=FALL, watches=watches)
    missed = sum(one is None for one in fallen)
    median = np.median([WATCHED if one is None else one + 1 for one in fallen])
    return [*given, alarmed, f"{median:.0f}" + f" ({missed} missed)" * bool(missed)]


def measured(args: argparse.Namespace) -> str:
    """The page."""
    rows = [row(noise, share, arrival, watches=args.watches) for noise in NOISES for share in SHARES for arrival in ARRIVALS]
    return script.page(
        "Late and few labels",
        f"Written by `{args.command}`: {args.watches} watches of each kind through the monitor's intake, of {WATCHED} days of {BLOCK} rows, judged in blocks "
        f"of {BLOCK} labelled rows, threshold {THRESHOLD:g}, alpha {ALPHA:g}. The rule knows the autocorrelation of {REFERENCE_BLOCKS} blocks of reference.",
        script.bullets(
            [
                f"*Labels*: all at once; or of wrong answers at once and of right ones {LATE} days later, so that the labels that are there look bad. "
                "*Labelled*: the share of the rows, drawn at random, that ever get one.",
                "*label_delay*: the stream's setting; – none, so that each label is judged as it comes.",
                "*Alarms*: in % with the 95 % interval, the watches with an alarm although the accuracy is the threshold throughout. The stated rate is "
                f"{100 * ALPHA:g} %.",
                f"*Delay*: the median day, from 1, of the alarm where the accuracy is {100 * FALL:.0f} points under the threshold from the first row on.",
            ]
        ),
        script.table("errors | labelled: | labels | label_delay: | alarms: | delay, days:", rows),
    )


def main() -> int:
    """Measure and write the page."""
    return script.run(build_parser(), measured)


if __name__ == "__main__":
    sys.exit(main())
