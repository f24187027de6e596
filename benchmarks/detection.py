"""Detection of drift in error streams of known truth: the significant rule against river's detectors, tuned to the same false-alarm rate.

    python -m benchmarks.detection                # about an hour; writes benchmarks/detection.md
    python -m benchmarks.detection --same_rate --out benchmarks/detection_same_rate.md
    python -m benchmarks.detection --watches 20 --out /tmp/detection.md

A watch has 300 blocks. Its first alarm is correct in the block where the change begins or in the 29 after it; an earlier alarm is
false and the change is missed, as it is without any alarm. F1 is over these watches and as many without drift. Each detector's
main parameter is the most sensitive value of a grid at which at most 5 % of other watches without drift (other seeds) raise an
alarm; with --same_rate, at most as many as `significant` raises there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import error_streams, script
from benchmarks.detection_page import page
from benchmarks.error_streams import NEVER, Noise, Watches
from driftloop import settings
from driftloop.cli import parsing
from driftloop.data import synthetic
from driftloop.drift.rules.detectors import Detector
from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.significant import Significant

HORIZON = 30  # blocks from the change within which an alarm is right
ALLOWED = 0.05  # false-alarm rate to tune to
TUNING_SEED = 10_000
ACCURACY = 0.8  # before the change
MARGIN = 0.02  # a careful user's margin between the validated accuracy and the threshold
TRAINED, VALIDATED, SYNTHETIC_BLOCK = 2000, 1000, 48  # rows of the real model

Make = Callable[[float, float], Rule]  # (the value of the main parameter, the threshold)


@dataclass(frozen=True)
class Contender:
    """A rule with the grid of its main parameter, the most sensitive value first; a single value is not tuned."""

    name: str
    parameter: str
    grid: Sequence[float]
    make: Make
    river: bool = True


def _detector(name: str, parameter: str, value: float, threshold: float, **fixed: float) -> Rule:
    return Detector(name, seed=settings.SEED, **{parameter: value}, **fixed)


def _river(name: str, parameter: str, grid: Sequence[float], *, label: str | None = None, **fixed: float) -> Contender:
    return Contender(label or name, parameter, grid, partial(_detector, name, parameter, **fixed))


def _significant(value: float, threshold: float, *, margin: float = 0.0) -> Rule:
    return Significant(threshold=threshold - margin, alpha=value)


SMALL = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12, 1e-14, 1e-17, 1e-20, 1e-25, 1e-30, 1e-40)
SUMS = (8, 10, 12, 14, 16, 18, 20, 23, 26, 30, 35, 40, 46, 53, 61, 70, 80, 92, 106, 122, 140, 161, 185, 213, 245, 300, 400)
CONTENDERS = (
    Contender("significant", "alpha", (0.05,), _significant, river=False),
    Contender("significant, 2 points under", "alpha", (0.05,), partial(_significant, margin=MARGIN), river=False),
    Contender("significant, tuned", "alpha", (0.9, 0.7, 0.6, 0.5, 0.42, 0.35, 0.28, 0.22, 0.17, 0.13, 0.1, 0.08, 0.065, 0.05), _significant, river=False),
    _river("adwin", "delta", SMALL),
    _river("ddm", "drift_threshold", (2, 2.25, 2.5, 2.75, 3, 3.25, 3.5, 3.75, 4, 4.5, 5, 6, 7, 8, 10, 13, 17, 25)),
    _river("eddm", "beta", (0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.2, 0.1)),
    _river("hddm_a", "drift_confidence", SMALL),
    _river("hddm_w", "drift_confidence", SMALL),
    _river("page_hinkley", "threshold", SUMS),
    _river("page_hinkley", "threshold", SUMS, label="page_hinkley, delta .05", delta=0.05),
)


@dataclass(frozen=True, eq=False)
class Sample:
    """Watches, with the threshold of each: the known accuracy of its model."""

    watches: Watches
    thresholds: np.ndarray


@dataclass(frozen=True)
class Setting:
    """One kind of stream: how to draw watches without drift (change None) and with each change."""

    name: str
    block: int
    changes: tuple[str, ...]
    draw: Callable[[str | None, int, int], Sample]  # (change, watches, seed)
    ours: str = "significant"  # sets the rate with --same_rate


@dataclass(frozen=True)
class Score:
    """A rule's results on the watches with one change, and on those without drift."""

    found: int
    early: int
    watches: int
    false_alarms: int
    delay: float  # median blocks from the change to the alarm, early alarms excluded; inf when most are missed

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall of the first alarms."""
        return 2 * self.found / (self.found + self.early + self.false_alarms + self.watches)


@dataclass(frozen=True)
class Result:
    """One setting: the tuned value of each contender, and its score for each change."""

    setting: Setting
    tuned: dict[str, float]
    scores: dict[str, dict[str, Score]]  # by change, then by contender


CHANGES = {"abrupt, to .70": (0.7, False), "abrupt, to .60": (0.6, False), "abrupt, to .50": (0.5, False), "gradual, to .60": (0.6, True)}
NOISES = ((Noise("independent"), (20, 48)), (Noise("Markov chain, .5", correlation=0.5), (20, 48)))


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--same_rate", action="store_true", help="tune to the false-alarm rate of `significant` at its defaults, not to 5 %%")
    parser.add_argument("--watches", type=parsing.whole(2), default=200, help="watches with each change, without drift, and to tune on (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page of all kinds of streams."""
    results = []
    for setting in kinds():
        results.append(measure(setting, watches=args.watches, same_rate=args.same_rate))
        script.say(f"{setting.name}, blocks of {setting.block}: done")
    return page(results, CONTENDERS, command=args.command, same_rate=args.same_rate)


def kinds() -> Iterator[Setting]:
    """Every kind of stream, in the table's order."""
    for noise, lengths in NOISES:
        for block in lengths:
            yield Setting(noise.name, block, tuple(CHANGES), partial(_errors, noise, block))
    # The threshold is an estimate: without a margin half of the models are under it from the start.
    yield Setting("logistic regression on SEA", SYNTHETIC_BLOCK, ("abrupt", "gradual"), _modelled, ours="significant, 2 points under")


def _errors(noise: Noise, block: int, change: str | None, watches: int, seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    if change is None:
        drawn = error_streams.steady(rng, watches=watches, block=block, accuracy=ACCURACY, noise=noise)
    else:
        after, gradual = CHANGES[change]
        drawn = error_streams.drifting(rng, watches=watches, block=block, before=ACCURACY, after=after, gradual=gradual, noise=noise)
    return Sample(drawn, np.full(watches, ACCURACY))


def _modelled(change: str | None, watches: int, seed: int) -> Sample:
    """Errors of a logistic regression, each on its own synthetic stream; its threshold is its accuracy on the rows between training and watch."""
    from sklearn.linear_model import LogisticRegression

    first, rows = TRAINED + VALIDATED, error_streams.BLOCKS * SYNTHETIC_BLOCK
    rng = np.random.default_rng(seed)
    changes = np.full(watches, NEVER) if change is None else rng.integers(error_streams.EARLIEST, error_streams.LATEST, watches)
    errors, thresholds = np.empty((watches, rows), bool), np.empty(watches)
    for watch in range(watches):
        at = None if change is None else first + int(changes[watch]) * SYNTHETIC_BLOCK
        width = error_streams.WIDTH * SYNTHETIC_BLOCK if change == "gradual" else 0
        stream = synthetic.make("sea", rows=first + rows, seed=int(rng.integers(2**31)), drift=change or "none", at=at, width=width, noise=0.1).stream
        model = LogisticRegression().fit(stream.rows[:TRAINED], stream.labels[:TRAINED])
        wrong = model.predict(stream.rows[TRAINED:]) != stream.labels[TRAINED:]
        thresholds[watch], errors[watch] = 1 - wrong[:VALIDATED].mean(), wrong[VALIDATED:]
    return Sample(Watches(errors, changes, SYNTHETIC_BLOCK), thresholds)


def measure(setting: Setting, *, watches: int, same_rate: bool) -> Result:
    """Tune every contender on watches without drift, then score it on different ones."""
    tuning = setting.draw(None, watches, TUNING_SEED)
    (ours,) = (one for one in CONTENDERS if one.name == setting.ours)
    allowed = alarmed(partial(ours.make, *ours.grid), tuning) if same_rate else int(ALLOWED * watches)
    tuned = {one.name: tune(one, tuning, allowed) for one in CONTENDERS}
    steady = setting.draw(None, watches, 0)
    made = {one.name: partial(one.make, tuned[one.name]) for one in CONTENDERS}
    false = {name: alarmed(make, steady) for name, make in made.items()}
    scores = {}
    for number, change in enumerate(setting.changes, start=1):
        sample = setting.draw(change, watches, number)
        scores[change] = {name: score(first_alarms(make, sample), sample.watches.changes, false_alarms=false[name]) for name, make in made.items()}
    return Result(setting, tuned, scores)


def tune(contender: Contender, sample: Sample, allowed: int) -> float:
    """The most sensitive value of the grid that alarms in at most `allowed` of the watches; the least sensitive when none does."""
    low, high = 0, len(contender.grid) - 1
    while low < high:
        middle = (low + high) // 2
        if keeps(partial(contender.make, contender.grid[middle]), sample, allowed):
            high = middle
        else:
            low = middle + 1
    return contender.grid[low]


def keeps(make: Callable[[float], Rule], sample: Sample, left: int) -> bool:
    """Whether a rule alarms in at most `left` watches without drift."""
    for watch, threshold in enumerate(sample.thresholds):
        left -= first_alarm(make(threshold), sample.watches.blocks(watch)) < NEVER
        if left < 0:
            return False
    return True


def alarmed(make: Callable[[float], Rule], sample: Sample) -> int:
    """Watches with an alarm."""
    return int(np.count_nonzero(first_alarms(make, sample) < NEVER))


def first_alarms(make: Callable[[float], Rule], sample: Sample) -> np.ndarray:
    """First block with an alarm of each watch, up to `HORIZON` after the change; `NEVER` without one."""
    stops = sample.watches.changes + HORIZON
    return np.array([first_alarm(make(threshold), sample.watches.blocks(watch)[: stops[watch]]) for watch, threshold in enumerate(sample.thresholds)])


def first_alarm(rule: Rule, blocks: np.ndarray) -> int:
    """The block of the first alarm, or `NEVER`."""
    return next((index for index, errors in enumerate(blocks) if rule.update(errors).drift), NEVER)


def score(alarms: np.ndarray, changes: np.ndarray, *, false_alarms: int) -> Score:
    """Compare first alarms with the changes, both in blocks.

    >>> score(np.array([12, 9, NEVER]), np.array([10, 10, 10]), false_alarms=0)
    Score(found=1, early=1, watches=3, false_alarms=0, delay=inf)
    """
    early = alarms < changes
    delays = np.where(alarms == NEVER, np.inf, alarms - changes)[~early]
    # The middle one, not the mean of two, which can be inf - inf.
    delay = float(np.sort(delays)[len(delays) // 2]) if len(delays) else float("inf")
    return Score(int(np.count_nonzero(np.isfinite(delays))), int(early.sum()), len(alarms), false_alarms, delay)


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
