"""Count the watches without drift in which a rule raises an alarm, for every rule at its defaults.

    python -m benchmarks.false_alarms             # about an hour; writes benchmarks/false_alarms.md
    python -m benchmarks.false_alarms --watches 20 --out /tmp/false_alarms.md

A watch is 300 blocks of errors of a model whose true accuracy never changes; an alarm in any block is a false alarm of the watch.
The threshold is the true accuracy itself, the worst case, except in one line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import error_streams, script
from benchmarks.error_streams import BLOCKS, Noise, Watches
from driftloop import settings
from driftloop.cli import parsing
from driftloop.data import streams
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.rule_names import DETECTORS
from driftloop.metrics import kpi

NAMES = ("significant", "threshold", *DETECTORS)
LONGEST = {"kswin": 20, "hddm_w": 48}  # blocks on which a slow detector is run
NO_KSWIN = ("ELEC", "wanders")  # streams on which KSWIN, at half a millisecond a row, would take hours
MOST, MOST_UPPER = 0.05, 0.07  # target of the significant rule: the rate, and its upper confidence limit
INDEPENDENT = Noise("independent")
NOISES = (
    Noise("Markov chain, lag-1 correlation .5", correlation=0.5),
    Noise("Markov chain, .8", correlation=0.8),
    Noise("Markov chain, .9", correlation=0.9),
    Noise("accuracy wanders by 2 points", wander=0.02),
    Noise("accuracy wanders by 3 points", wander=0.03),
)


@dataclass(frozen=True)
class Setting:
    """One kind of stream without drift."""

    name: str
    block: int
    accuracy: float
    threshold: float
    draw: Callable[[int, int], Watches]  # (watches, seed)


@dataclass(frozen=True)
class Rate:
    """The number of watches with an alarm, and of all watches."""

    alarmed: int
    watches: int

    @property
    def share(self) -> float:
        """In 0..1."""
        return self.alarmed / self.watches

    @property
    def upper(self) -> float:
        """Upper 95 % confidence limit (Wilson)."""
        return kpi.wilson_interval(self.alarmed, self.watches)[1]


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument(
        "--watches", type=parsing.whole(2), default=400, help="watches of each kind (default: %(default)s; river's detectors see the first half)"
    )
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page of all kinds of streams."""
    return page([(one, measure(one, watches=args.watches)) for one in kinds()], command=args.command)


def kinds() -> Iterator[Setting]:
    """Every kind of stream, in the table's order."""
    pool = elec_errors()
    for block in (20, 48, 336):
        accuracy = float(1 - pool.mean())
        yield Setting("shuffled ELEC", block, accuracy, accuracy, partial(_resampled, pool, block))
    for block in (20, 48, 336):
        yield _synthetic(INDEPENDENT, block=block, accuracy=0.8)
    yield _synthetic(INDEPENDENT, block=48, accuracy=0.95)
    yield _synthetic(INDEPENDENT, block=48, accuracy=0.85, threshold=0.8)
    for noise in NOISES:
        for block in (20, 48, 336):
            yield _synthetic(noise, block=block, accuracy=0.8)
    for noise in (NOISES[0], NOISES[1]):
        yield _synthetic(noise, block=48, accuracy=0.95)


def _resampled(pool: np.ndarray, block: int, watches: int, seed: int) -> Watches:
    return error_streams.resampled(np.random.default_rng(seed), pool, watches=watches, block=block)


def _synthetic(noise: Noise, *, block: int, accuracy: float, threshold: float | None = None) -> Setting:
    def draw(watches: int, seed: int) -> Watches:
        return error_streams.steady(np.random.default_rng(seed), watches=watches, block=block, accuracy=accuracy, noise=noise)

    return Setting(noise.name, block, accuracy, accuracy if threshold is None else threshold, draw)


def elec_errors() -> np.ndarray:
    """Errors of a logistic regression, fitted on ELEC's oldest 70 %, on all other rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    stream = streams.load(None)
    split = int(len(stream) * settings.TRAIN_SHARE)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(stream.rows[:split], stream.labels[:split])
    return model.predict(stream.rows[split:]) != stream.labels[split:]


def measure(setting: Setting, *, watches: int) -> dict[str, Rate]:
    """Watches with an alarm, by rule; river's detectors see only the first half of the watches."""
    drawn = setting.draw(watches, 0)
    made = {}
    for name in NAMES:
        if setting.block > LONGEST.get(name, setting.block) or (name == "kswin" and any(word in setting.name for word in NO_KSWIN)):
            continue
        seen = watches if name in {"significant", "threshold"} else watches // 2
        alarmed = sum(alarms(catalogue.make(name, threshold=setting.threshold), drawn.blocks(watch)) for watch in range(seen))
        made[name] = Rate(alarmed, seen)
    script.say(f"{setting.name}, blocks of {setting.block}: {made['significant'].share:.3f}")
    return made


def alarms(rule: Rule, blocks: np.ndarray) -> bool:
    """Whether the rule alarms in any block."""
    return any(rule.update(block).drift for block in blocks)


def page(rows: list[tuple[Setting, dict[str, Rate]]], *, command: str) -> str:
    """The rates as Markdown."""
    first = rows[0][1]
    missed = [f"{setting.name}, blocks of {setting.block}" for setting, rates in rows if not held(rates["significant"])]
    return script.page(
        "False alarms",
        f"Written by `{command}`, on two cores. "
        f"A watch is {BLOCKS} blocks of errors of a model whose true accuracy does not change. The table has the share of watches in which a rule at "
        "its defaults alarms at least once, in %: `significant` (alpha .05, with its 95 % interval) and the plain threshold rule on "
        f"{first['significant'].watches} watches of each kind (seed 0), river's detectors on the first {first['adwin'].watches} of them (– where a detector "
        "would take hours). The threshold is the true accuracy, the worst case, except in one line.",
        script.table(f"stream | accuracy: | threshold: | block: | {' | '.join(f'`{name}`:' for name in NAMES)}", map(_row, rows)),
        f"The target of `significant` is {MOST:.0%} with an upper confidence limit of {MOST_UPPER:.0%}. It is met in {len(rows) - len(missed)} of {len(rows)} "
        + (f"lines; not in: {'; '.join(missed)}." if missed else "lines."),
        script.bullets(
            [
                "Shuffled ELEC: errors of a logistic regression, fitted on the oldest 70 % of ELEC, on the rest; each row is drawn independently, "
                "with replacement.",
                "Markov chain: a row repeats the state of the row before (right or wrong) with the given probability, otherwise it is drawn independently.",
                "Wandering accuracy: an AR(1) from block to block around the given accuracy, with correlation "
                f"{error_streams.PERSISTENCE:g} and the given standard deviation; rows are independent given it. In such a stream the accuracy is under "
                "the threshold for several blocks in a row. To tell that from drift the rule must first see how much the accuracy wanders, which takes "
                "many blocks; some alarms come before.",
                "The settings of `significant` were chosen on other streams (seeds from 10,000).",
            ]
        ),
    )


def _row(row: tuple[Setting, dict[str, Rate]]) -> list[object]:
    setting, rates = row
    ours = script.share(rates["significant"].alarmed, rates["significant"].watches)
    others = (f"{rates[name].share * 100:.0f}" if name in rates else "–" for name in NAMES[1:])
    return [setting.name, f"{setting.accuracy:.3g}", f"{setting.threshold:.3g}", setting.block, ours, *others]


def held(rate: Rate) -> bool:
    """Whether the significant rule met its target."""
    return rate.share <= MOST and rate.upper <= MOST_UPPER


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
