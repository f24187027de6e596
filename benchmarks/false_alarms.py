"""Count the watches without drift in which a rule alarms, for every rule, at its defaults.

    python -m benchmarks.false_alarms             # about an hour; writes benchmarks/false_alarms.md
    python -m benchmarks.false_alarms --watches 20 --out /tmp/false_alarms.md

A watch is 300 blocks of errors of a model whose true accuracy never changes; it counts as a false alarm when a rule alarms
in any of its blocks. The threshold is the true accuracy itself, the worst case, but in one line.
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
NO_KSWIN = ("ELEC", "wanders")  # streams on which KSWIN, half a millisecond a row, would see most watches to their end
MOST, MOST_UPPER = 0.05, 0.07  # what the significant rule has to keep: the rate, and its upper confidence limit
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
    """Watches with an alarm, of how many."""

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


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    return script.run(build_parser(), measured, argv)


def measured(args: argparse.Namespace, given: str) -> str:
    """The page of every kind of stream."""
    return page([(one, measure(one, watches=args.watches)) for one in kinds()], command=given)


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
    """Watches with an alarm by rule; river's detectors see the first half of the watches."""
    drawn = setting.draw(watches, 0)
    made = {}
    for name in NAMES:
        if setting.block > LONGEST.get(name, setting.block) or (name == "kswin" and any(word in setting.name for word in NO_KSWIN)):
            continue
        seen = watches if name in {"significant", "threshold"} else watches // 2
        alarmed = sum(alarms(catalogue.make(name, threshold=setting.threshold), drawn.blocks(watch)) for watch in range(seen))
        made[name] = Rate(alarmed, seen)
    print(f"{setting.name}, blocks of {setting.block}: {made['significant'].share:.3f}", file=sys.stderr, flush=True)
    return made


def alarms(rule: Rule, blocks: np.ndarray) -> bool:
    """Whether the rule alarms in any block."""
    return any(rule.update(block).drift for block in blocks)


def page(rows: list[tuple[Setting, dict[str, Rate]]], *, command: str) -> str:
    """The rates as Markdown."""
    first = rows[0][1]
    missed = [f"{setting.name}, blocks of {setting.block}" for setting, rates in rows if not held(rates["significant"])]
    lines = [
        "# False alarms",
        "",
        f"Written by `{command}`, on two cores.",
        f"A watch is {BLOCKS} blocks of errors of a model whose true accuracy does not change. The table holds the share of watches in which a rule at",
        "its defaults alarms at least once, in %: `significant` (alpha .05, with its 95 % interval) and the plain threshold rule on",
        f"{first['significant'].watches} watches of each kind (seed 0), river's detectors on the first {first['adwin'].watches} of them (– where a detector",
        "would take hours). The threshold is the true accuracy, the worst case, but in one line.",
        "",
        "| stream | accuracy | threshold | block | " + " | ".join(f"`{name}`" for name in NAMES) + " |",
        "|---|---:|---:|---:|" + "---:|" * len(NAMES),
    ]
    for setting, rates in rows:
        lower, upper = kpi.wilson_interval(rates["significant"].alarmed, rates["significant"].watches)
        others = " | ".join(f"{rates[name].share * 100:.0f}" if name in rates else "–" for name in NAMES[1:])
        lines.append(
            f"| {setting.name} | {setting.accuracy:.3g} | {setting.threshold:.3g} | {setting.block} "
            f"| {rates['significant'].share * 100:.1f} ({lower * 100:.1f} to {upper * 100:.1f}) | {others} |"
        )
    lines += [
        "",
        f"`significant` has to keep {MOST:.0%} with an upper confidence limit of {MOST_UPPER:.0%}. It does so in {len(rows) - len(missed)} of {len(rows)} lines"
        + (f"; not in: {'; '.join(missed)}." if missed else "."),
        "",
        "- Shuffled ELEC: errors of a logistic regression, fitted on the oldest 70 % of ELEC, on the rest; each row is drawn from these",
        "  by itself, with replacement.",
        "- Markov chain: a row repeats the last row's state (right or wrong) with the chance given, else it is drawn anew.",
        f"- Wandering accuracy: an AR(1) from block to block about the accuracy given, with the correlation {error_streams.PERSISTENCE:g} and the",
        "  standard deviation named; rows independent given it. In such a stream the accuracy does lie under the threshold for some blocks",
        "  on end. To tell that from a drift the rule must first have seen how the accuracy wanders, which takes many blocks; some alarms come before.",
        "- The settings of `significant` were chosen on other streams (seeds from 10,000).",
        "",
    ]
    return "\n".join(lines)


def held(rate: Rate) -> bool:
    """Whether the significant rule kept what it states."""
    return rate.share <= MOST and rate.upper <= MOST_UPPER


if __name__ == "__main__":
    sys.exit(main())
