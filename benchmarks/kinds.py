"""Count how often the kind of drift is diagnosed correctly, on streams with known drift.

    python -m benchmarks.kinds                    # about half an hour; writes benchmarks/kinds.md
    python -m benchmarks.kinds --seeds 20 --more_seeds 5 --out /tmp/kinds.md

A model (scikit-learn's histogram gradient boosting, defaults but 50 rounds) is fitted on 1,000 rows. The rows after those are
the reference, and as many after the change are the current rows. Every seed counts, also where the drift hardly changes the KPI.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import script
from driftloop.cli import parsing

if TYPE_CHECKING:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

WINDOWS = ((1000, 0.0), (1000, 0.5), (300, 0.0), (300, 0.5))  # rows of reference and current window each, autocorrelation; the first holds the targets
FITTED = 1000
TRUTHS = {"none": "none", "data": "data", "abrupt": "concept"}  # kind of drift by the generator's word
KINDS = ("none", "data", "concept", "both", "cannot tell")
RIGHT, OPPOSITE, ALPHA = 0.90, 0.02, 0.05  # the targets, and the stated rate of false alarms
SMALL = 0.02  # a change of the KPI that is told as hardly any


@dataclass(frozen=True)
class Case:
    """The verdicts of all seeds on one kind of stream."""

    generator: str
    drift: str
    rows: int
    correlation: float
    kinds: Counter[str]
    alarms: int  # verdicts that say drift of any kind, "cannot tell" with inputs that moved among them
    change: float  # mean change of the KPI
    small: int  # seeds whose KPI changed by less than two points

    @property
    def seeds(self) -> int:
        """How many streams."""
        return self.kinds.total()

    @property
    def right(self) -> int:
        """Named as they are."""
        return self.kinds[TRUTHS[self.drift]]

    @property
    def opposite(self) -> int:
        """Data drift named concept drift alone, or the other way round."""
        return self.kinds[{"data": "concept", "abrupt": "data"}.get(self.drift, "")]


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--seeds", type=parsing.whole(1), default=200, help="streams of each kind in the first window, seeds 0 up (default: %(default)s)")
    parser.add_argument("--more_seeds", type=parsing.whole(1), default=100, help="and in each other window (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    return script.run(build_parser(), measured, argv)


def measured(args: argparse.Namespace, given: str) -> str:
    """The page of every generator in every window."""
    from driftloop.data.synthetic import GENERATORS

    cases = []
    for rows, correlation in WINDOWS:
        seeds = range(args.seeds if (rows, correlation) == WINDOWS[0] else args.more_seeds)
        for name in GENERATORS:
            cases += run(name, rows=rows, correlation=correlation, seeds=seeds)
            print(f"{rows} rows, autocorrelation {correlation:g}, {name}: done", file=sys.stderr, flush=True)
    return page(cases, command=given)


def run(generator: str, *, rows: int, correlation: float, seeds: range) -> list[Case]:
    """Draw the streams, fit the models, ask for the verdicts; a case for each of `TRUTHS`."""
    import numpy as np

    from driftloop.data import synthetic
    from driftloop.drift.kind.kinds import tell

    edge = FITTED + rows
    kinds: dict[str, list[str]] = {drift: [] for drift in TRUTHS}
    alarms, changes = Counter[str](), {drift: np.empty(len(seeds)) for drift in TRUTHS}
    for i, seed in enumerate(seeds):
        model = None
        for drift in TRUTHS:
            at = None if drift == "none" else edge
            stream = synthetic.make(generator, rows=edge + rows, seed=seed, drift=drift, at=at, autocorrelation=correlation).stream
            model = model or fitted(stream.rows[:FITTED], stream.labels[:FITTED])  # before the change the three are the same
            right = model.predict(stream.rows) == stream.labels
            verdict = tell(stream.rows[FITTED:edge], right[FITTED:edge], stream.rows[edge:], right[edge:], names=stream.features, alpha=ALPHA)
            kinds[drift].append(verdict.kind)
            alarms[drift] += verdict.drift
            changes[drift][i] = right[edge:].mean() - right[FITTED:edge].mean()
    return [
        Case(
            generator, drift, rows, correlation, Counter(kinds[drift]), alarms[drift], float(changes[drift].mean()), int((np.abs(changes[drift]) < SMALL).sum())
        )
        for drift in TRUTHS
    ]


def fitted(rows: np.ndarray, labels: np.ndarray) -> HistGradientBoostingClassifier:
    """The model that is watched."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=0).fit(rows, labels)


def page(cases: list[Case], *, command: str) -> str:
    """The figures as Markdown."""
    lines = [
        "# Kinds of drift",
        "",
        f"Written by `{command}`, on two cores, one thread; seeds 0 up. alpha is {ALPHA:g} for each comparison. Intervals: Wilson, 95 %.",
        f"The model is scikit-learn's histogram gradient boosting (50 rounds), fitted on {FITTED:,} rows; then come the reference window and, after the",
        "change, the current window, of as many rows each. Data drift moves two latents by 0.7 standard deviations under a fixed P(Y|X); concept drift is",
        "the generator's first abrupt change under a fixed P(X). Labels are flipped with chance 0.05. With autocorrelation 0.5 inputs and flips come in runs.",
        "The settings of the tests (blocks, penalties, folds) were chosen on seeds from 10,000 up.",
        "",
        "## Against the targets",
        "| window | autocorrelation | truth | streams | named rightly, % | at least 90 % | the opposite, % | at most 2 % |",
        "|---:|---:|---|---:|---:|---|---:|---|",
    ]
    lines += [_summary(cases, rows, correlation, drift) for rows, correlation in WINDOWS for drift in ("data", "abrupt")]
    lines += [
        "",
        "Targets are held by generators as well: "
        + (
            _missed(cases, *WINDOWS[0])
            or f"with independent windows of {WINDOWS[0][0]:,} every generator is at {RIGHT:.0%} or more and at {OPPOSITE:.0%} or less of the opposite."
        ),
        "",
        "## False alarms",
        "Streams without drift; an alarm is any verdict of drift.",
        "",
        "| window | autocorrelation | streams | alarms, % | within the stated rate |",
        "|---:|---:|---:|---:|---|",
        *[_false(cases, rows, correlation) for rows, correlation in WINDOWS],
        "",
        "## By generator",
        "| window | autocorrelation | generator | truth | "
        + " | ".join(f"{kind}, %" for kind in KINDS)
        + " | mean change of the KPI, points | changed under 2 points, % |",
        "|---:|---:|---|---|" + "---:|" * (len(KINDS) + 2),
        *map(_row, cases),
        "",
    ]
    return "\n".join(lines)


def _pick(cases: list[Case], rows: int, correlation: float, drift: str) -> list[Case]:
    return [case for case in cases if (case.rows, case.correlation, case.drift) == (rows, correlation, drift)]


def _share(count: int, seeds: int) -> str:
    from driftloop.metrics import kpi

    lower, upper = kpi.wilson_interval(count, seeds)
    return f"{100 * count / seeds:.1f} ({100 * lower:.1f} to {100 * upper:.1f})"


def _summary(cases: list[Case], rows: int, correlation: float, drift: str) -> str:
    chosen = _pick(cases, rows, correlation, drift)
    seeds, right, opposite = (sum(map(of, chosen)) for of in _COUNTS)
    met = "yes" if right >= RIGHT * seeds else "NO", "yes" if opposite <= OPPOSITE * seeds else "NO"
    return f"| {rows:,} | {correlation:g} | {TRUTHS[drift]} | {seeds} | {_share(right, seeds)} | {met[0]} | {_share(opposite, seeds)} | {met[1]} |"


_COUNTS: tuple[Callable[[Case], int], ...] = (lambda case: case.seeds, lambda case: case.right, lambda case: case.opposite)


def _missed(cases: list[Case], rows: int, correlation: float) -> str:
    missed = [
        f"{case.generator}, {TRUTHS[case.drift]} (rightly {case.right / case.seeds:.1%}, the opposite {case.opposite / case.seeds:.1%})"
        for case in _pick(cases, rows, correlation, "data") + _pick(cases, rows, correlation, "abrupt")
        if (case.right < RIGHT * case.seeds or case.opposite > OPPOSITE * case.seeds)
    ]
    return f"with independent windows of {rows:,} MISSED by " + "; ".join(missed) + "." if missed else ""


def _false(cases: list[Case], rows: int, correlation: float) -> str:
    chosen = _pick(cases, rows, correlation, "none")
    seeds, alarms = sum(case.seeds for case in chosen), sum(case.alarms for case in chosen)
    return f"| {rows:,} | {correlation:g} | {seeds} | {_share(alarms, seeds)} | {'yes' if alarms <= ALPHA * seeds else 'NO'} |"


def _row(case: Case) -> str:
    shares = " | ".join(f"{100 * case.kinds[kind] / case.seeds:.1f}" for kind in KINDS)
    tail = f"{100 * case.change:+.1f} | {100 * case.small / case.seeds:.1f}"
    return f"| {case.rows:,} | {case.correlation:g} | {case.generator} | {TRUTHS[case.drift]} | {shares} | {tail} |"


if __name__ == "__main__":
    sys.exit(main())
