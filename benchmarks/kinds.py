"""Measure how often the kind of drift is diagnosed correctly, on streams with known drift.

    python -m benchmarks.kinds                    # two processes, a quarter of an hour; writes benchmarks/kinds.md
    python -m benchmarks.kinds --seeds 20 --more_seeds 5 --out /tmp/kinds.md

A model (scikit-learn's histogram gradient boosting, defaults except for 50 rounds) is fitted on 1,000 rows. The rows after them are
the reference, and as many after the change are the current rows. Every seed counts, even where the drift hardly changes the KPI.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import script
from driftloop.cli import parsing

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

WINDOWS = ((1000, 0.0), (1000, 0.5), (300, 0.0), (300, 0.5))  # rows of the reference and of the current window, autocorrelation; the targets hold for the first
FITTED = 1000
TRUTHS = {"none": "none", "data": "data", "abrupt": "concept"}  # kind of drift by the generator's word
KINDS = ("none", "data", "concept", "both", "cannot tell")
RIGHT, OPPOSITE, ALPHA = 0.90, 0.02, 0.05  # the targets, and the stated rate of false alarms
SMALL = 0.02  # a change of the KPI that counts as hardly any


@dataclass(frozen=True)
class Case:
    """The verdicts on one kind of stream, over all seeds."""

    generator: str
    drift: str
    rows: int
    correlation: float
    kinds: Counter[str]
    alarms: int  # verdicts of drift of any kind, including "cannot tell" with inputs that moved
    change: float  # mean change of the KPI
    small: int  # seeds whose KPI changed by less than two points

    @property
    def seeds(self) -> int:
        """Number of streams."""
        return self.kinds.total()

    @property
    def right(self) -> int:
        """Diagnosed correctly."""
        return self.kinds[TRUTHS[self.drift]]

    @property
    def opposite(self) -> int:
        """Data drift diagnosed as concept drift alone, or vice versa."""
        return self.kinds[{"data": "concept", "abrupt": "data"}.get(self.drift, "")]


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--seeds", type=parsing.whole(1), default=200, help="streams of each kind in the first window, seeds 0 up (default: %(default)s)")
    parser.add_argument("--more_seeds", type=parsing.whole(1), default=100, help="streams of each kind in each other window (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page of every generator in every window."""
    from driftloop.data.synthetic import GENERATORS

    work = [(name, window, args.seeds if window == WINDOWS[0] else args.more_seeds) for window in WINDOWS for name in GENERATORS]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        cases = list(itertools.chain.from_iterable(pool.starmap(run, work, chunksize=1)))
    return page(cases, command=args.command)


def run(generator: str, window: tuple[int, float], seeds: int) -> list[Case]:
    """Draw the streams of seeds 0 up, fit the models, diagnose; a case for each of `TRUTHS`. A window is one of `WINDOWS`."""
    from driftloop.data import synthetic
    from driftloop.drift.kind.kinds import tell

    rows, correlation = window
    edge = FITTED + rows
    kinds: dict[str, list[str]] = {drift: [] for drift in TRUTHS}
    alarms, changes = Counter[str](), {drift: np.empty(seeds) for drift in TRUTHS}
    for seed in range(seeds):
        model = None
        for drift in TRUTHS:
            at = None if drift == "none" else edge
            stream = synthetic.make(generator, rows=edge + rows, seed=seed, drift=drift, at=at, autocorrelation=correlation).stream
            model = model or fitted(stream.rows[:FITTED], stream.labels[:FITTED])  # before the change the three are the same
            right = model.predict(stream.rows) == stream.labels
            verdict = tell(stream.rows[FITTED:edge], right[FITTED:edge], stream.rows[edge:], right[edge:], names=stream.features, alpha=ALPHA)
            kinds[drift].append(verdict.kind)
            alarms[drift] += verdict.drift
            changes[drift][seed] = right[edge:].mean() - right[FITTED:edge].mean()
    script.say(f"{rows} rows, autocorrelation {correlation:g}, {generator}: done")
    small = {drift: int((np.abs(change) < SMALL).sum()) for drift, change in changes.items()}
    return [Case(generator, drift, rows, correlation, Counter(kinds[drift]), alarms[drift], changes[drift].mean(), small[drift]) for drift in TRUTHS]


def fitted(rows: np.ndarray, labels: np.ndarray) -> HistGradientBoostingClassifier:
    """The watched model."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=0).fit(rows, labels)


def page(cases: list[Case], *, command: str) -> str:
    """The figures as Markdown."""
    others = [_pick(cases, *window, drift) for window in WINDOWS for drift in ("data", "abrupt")]
    return script.page(
        "Kinds of drift",
        f"Written by `{command}`, on two cores; seeds 0 up. alpha is {ALPHA:g} for each comparison. Intervals: Wilson, 95 %. "
        f"The model is scikit-learn's histogram gradient boosting (50 rounds), fitted on {FITTED:,} rows; then come the reference window and, after the "
        "change, the current window, with the same number of rows. Data drift moves two latents by 0.7 standard deviations under a fixed P(Y|X); concept "
        "drift is the generator's first abrupt change under a fixed P(X). Labels are flipped with probability 0.05. With autocorrelation 0.5 inputs and "
        "flips come in runs. The settings of the tests (blocks, penalties, folds) were chosen on seeds from 10,000 up.",
        "## Against the targets",
        script.table(
            "window: | autocorrelation: | truth | streams: | correct, %: | at least 90 % | the opposite, %: | at most 2 %",
            map(_summary, others),
        ),
        "The targets by generator: "
        + (
            _missed(others[0] + others[1])
            or f"with independent windows of {WINDOWS[0][0]:,} every generator is at {RIGHT:.0%} or more and at {OPPOSITE:.0%} or less of the opposite."
        ),
        "## False alarms",
        'Streams without drift; an alarm is any verdict of drift. "Cannot tell" is none where the inputs have not moved.',
        script.table(
            "window: | autocorrelation: | streams: | alarms, %: | within the stated rate | cannot tell, %:",
            (_false(_pick(cases, *window, "none")) for window in WINDOWS),
        ),
        "## By generator",
        script.table(
            f"window: | autocorrelation: | generator | truth | {' | '.join(f'{kind}, %:' for kind in KINDS)} "
            "| mean change of the KPI, points: | changed under 2 points, %:",
            map(_row, cases),
        ),
    )


def _pick(cases: list[Case], rows: int, correlation: float, drift: str) -> list[Case]:
    return [case for case in cases if (case.rows, case.correlation, case.drift) == (rows, correlation, drift)]


def _summary(chosen: list[Case]) -> list[object]:
    one, seeds = chosen[0], sum(case.seeds for case in chosen)
    right, opposite = sum(case.right for case in chosen), sum(case.opposite for case in chosen)
    met = "yes" if right >= RIGHT * seeds else "NO", "yes" if opposite <= OPPOSITE * seeds else "NO"
    shares = script.share(right, seeds), met[0], script.share(opposite, seeds), met[1]
    return [f"{one.rows:,}", f"{one.correlation:g}", TRUTHS[one.drift], seeds, *shares]


def _missed(chosen: list[Case]) -> str:
    missed = [
        f"{case.generator}, {TRUTHS[case.drift]} (correct {case.right / case.seeds:.1%}, the opposite {case.opposite / case.seeds:.1%})"
        for case in chosen
        if (case.right < RIGHT * case.seeds or case.opposite > OPPOSITE * case.seeds)
    ]
    return f"with independent windows of {chosen[0].rows:,} MISSED by " + "; ".join(missed) + "." if missed else ""


def _false(chosen: list[Case]) -> list[object]:
    one, seeds, alarms = chosen[0], sum(case.seeds for case in chosen), sum(case.alarms for case in chosen)
    unknown = sum(case.kinds["cannot tell"] for case in chosen)
    met = "yes" if alarms <= ALPHA * seeds else "NO"
    return [f"{one.rows:,}", f"{one.correlation:g}", seeds, script.share(alarms, seeds), met, script.share(unknown, seeds)]


def _row(case: Case) -> list[str]:
    shares = (f"{100 * case.kinds[kind] / case.seeds:.1f}" for kind in KINDS)
    tail = f"{100 * case.change:+.1f}", f"{100 * case.small / case.seeds:.1f}"
    return [f"{case.rows:,}", f"{case.correlation:g}", case.generator, TRUTHS[case.drift], *shares, *tail]


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
