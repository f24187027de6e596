"""Prints a back-test as plain text for a terminal of 100 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

from driftloop.backtest.outcome import BacktestResult, Comparison, Difference, PolicyResult, front
from driftloop.backtest.score import PHASES
from driftloop.backtest.words import blocks_of, labels_of, of, threshold_of
from driftloop.report import wording
from driftloop.report.kpi_words import Figures
from driftloop.report.terminal import paragraph, table

BASELINES = {"no_change": "no change*", "same_time_yesterday": "yesterday", "majority": "majority"}


def backtest_text(result: BacktestResult) -> str:
    """The whole back-test: policies and baselines, triggers at equal retrains, the recommendation; no line over 100 columns."""
    judged = f"a judge on {result.judge_rows} rows decides" if result.judge_rows else "no search, no judge"
    head = (
        f"{result.stream}: {wording.count(result.rows, 'row')} in {blocks_of(result)}, threshold {threshold_of(result)}. "
        f"A retrain is one fit on the newest rows ({judged}); {labels_of(result)}."
    )
    parts = [paragraph(head), policies_table(result), _notes(result), comparisons_text(result), prices_text(result), paragraph(f"Recommended: {result.reason}")]
    return "\n\n".join(part for part in parts if part)


def policies_table(result: BacktestResult) -> str:
    """A line for each policy, marked if on the Pareto front, then the baselines."""
    marked, figures = front(result.policies), of(result)
    rows = [_policy_cells(policy, figures, mark=" +" if policy.name in marked else "") for policy in result.policies]
    if not figures.plain:
        rows += [(name, figures.value(result.baselines[key], digits=2), *[""] * 8) for key, name in BASELINES.items()]
    against = ("ahead of\nbaseline",) if figures.plain else ("κ", "κ-\ntemp.")
    worse = "under\nthr." if figures.of_kpi.higher else "over\nthr."
    header = ("policy", figures.title.replace(", ", "\n", 1), *against, "worst\nblock", worse, "re-\ntrains", "false\nalarms", "delay\n(missed)", "fits\ns")
    return table(header, rows, left={0})


def _policy_cells(policy: PolicyResult, figures: Figures, *, mark: str) -> tuple[str, ...]:
    if figures.plain:
        against: tuple[str, ...] = (wording.signed(policy.ahead_of_baseline, digits=figures.of_kpi.digits),)
    else:
        against = (wording.number(policy.kappa), wording.number(policy.kappa_temporal))
    return (
        f"{policy.name}{mark}",
        f"{figures.value(policy.kpi, digits=2)} [{figures.value(policy.lower)}, {figures.value(policy.upper)}]",
        *against,
        figures.value(policy.worst_block),
        str(policy.blocks_under_threshold),
        f"{policy.retrains:,}",
        f"{policy.false_alarms:,.0f}" if math.isfinite(policy.false_alarms) else wording.UNDEFINED,
        _delay(policy),
        wording.number(policy.seconds, digits=1),
    )


def _delay(policy: PolicyResult) -> str:
    delay = wording.number(policy.delay, digits=1)
    return f"{delay} ({policy.missed:.0f})" if math.isfinite(policy.missed) else delay


def _notes(result: BacktestResult) -> str:
    figures = of(result)
    better = "lower" if figures.plain and not figures.of_kpi.higher else "higher"
    front_words = f"no other policy is as {'good' if figures.plain else 'accurate'} with as few retrains"
    of_rows = "assuming independent rows" if figures.of_kpi.is_mean else "block bootstrap"
    notes = [
        f"+ {front_words} (the Pareto front). In brackets the 95 % interval, {of_rows}. The base model's fit is not counted.",
        *[f"{figures.name[:1].upper()}{figures.name[1:]}: {better} is better; a positive lead is always better."] * figures.plain,
        *_baseline_notes(result, figures),
    ]
    if result.left_out:
        notes.append(f"Left out: {'; '.join(result.left_out)}.")
    if any(policy.kind == "continuous" for policy in result.policies):
        notes.append("continuous and online are updated after every block, and each update counts as a retrain; online is another model.")
    if result.truth_known:
        notes.append(
            "False alarms: no change since the oldest training row of the model in service. Delay: blocks from a change to its alarm, "
            "on average; in brackets the missed changes."
        )
    else:
        notes.append("This stream's true changes are unknown, so false alarms and delay are undefined.")
    return "\n".join(paragraph(note) for note in notes)


def _baseline_notes(result: BacktestResult, figures: Figures) -> list[str]:
    notes = []
    if figures.plain:
        told = [f"{wording.baseline(name)}{'*' * (name == 'no_change')} {figures.value(kpi)}" for name, kpi in result.baselines.items()]
        notes.append(f"Baselines on the same rows: {'; '.join(told)}. Ahead of baseline: of the {wording.baseline(result.constant)}.")
    if "no_change" in result.baselines:
        notes.append("* needs the label of the row before at once: not comparable.")
    return notes


def comparisons_text(result: BacktestResult) -> str:
    """Each triggered policy compared with periodic and random at as many retrains, and the conclusion in words."""
    if not result.comparisons:
        return (
            "No triggered policy retrained: there is nothing to compare at equal retrains."
            if any(policy.kind == "triggered" for policy in result.policies)
            else ""
        )
    figures = of(result)
    rows = [_comparison_cells(one, figures) for one in result.comparisons]
    if figures.plain:
        header = ("at equal\nretrains", "re-\ntrains", "policy", "periodic", "ahead of\nperiodic", "random", "ahead of\nrandom")
    else:
        header = ("at equal\nretrains", "re-\ntrains", "policy\n%", "period-\nic %", "policy minus\nperiodic", "random %\nmean [range]", "policy minus\nrandom")
    words = f"Periodic is the mean over {PHASES} phases, random over {result.random_seeds} seeds. {comparison_words(result.comparisons)}"
    return f"{table(header, rows, left={0})}\n{paragraph(words)}"


def _comparison_cells(one: Comparison, figures: Figures) -> tuple[str, ...]:
    spread = "" if figures.plain else f" [{figures.value(one.random_lowest)}, {figures.value(one.random_highest)}]"
    return (
        one.policy,
        f"{one.retrains:,}",
        figures.value(one.kpi, digits=2),
        figures.value(one.periodic, digits=2),
        _difference(one.against_periodic, figures),
        f"{figures.value(one.random)}{spread}",
        _difference(one.against_random, figures),
    )


def _difference(one: Difference, figures: Figures) -> str:
    if figures.plain:
        mean, low, high = (wording.signed(value, digits=figures.of_kpi.digits) for value in (one.mean, one.lower, one.upper))
    else:
        mean, low, high = (wording.points(value, digits=1) for value in (one.mean, one.lower, one.upper))
    return f"{mean} [{low}, {high}]"


def comparison_words(comparisons: Sequence[Comparison]) -> str:
    """Which triggers beat a calendar, and which do not.

    A policy that is better in one of the two comparisons only is not called better.
    """
    verdicts = {one.policy: {one.against_periodic.verdict, one.against_random.verdict} for one in comparisons}
    better = [name for name, both in verdicts.items() if both == {"better"}]
    worse = [name for name, both in verdicts.items() if "worse" in both]
    rest = [name for name in verdicts if name not in (*better, *worse)]
    parts = []
    if better:
        parts.append(f"Better than both periodic and random with as many retrains: {', '.join(better)}.")
    else:
        parts.append("No triggered policy beats both periodic and random at the same number of retrains.")
    if worse:
        parts.append(f"Worse than one of them: {', '.join(worse)}.")
    if rest:
        parts.append(f"Not significantly different from at least one of them: {', '.join(rest)}.")
    return " ".join([*parts, "(95 % intervals, paired by block, each comparison by itself.)"])


def prices_text(result: BacktestResult) -> str:
    """Which policy costs least at which price of a retrain, and the policy `cost` at several prices."""
    if not result.winners:
        return ""
    spans, refit = ("; ".join(f"{one.policy} {_span(one.low, one.high)}" for one in some) for some in (result.winners, result.winners_refit))
    told = paragraph(
        "Which policy is cheapest depends on what a retrain costs, in points × blocks (20: a retrain is worth five points over four blocks). "
        f"By price: {spans}. {f'Of those that refit: {refit}. ' if refit and refit != spans else ''}An update counts by its seconds. "
        "It is hindsight, on these blocks."
    )
    if not result.at_prices:
        return told
    figures = of(result)
    rows = [
        (f"{one.price:g}", figures.value(one.kpi, digits=2), f"{one.retrains:,}", f"{one.cost:,.0f}", one.best_other, f"{one.best_other_cost:,.0f}")
        for one in result.at_prices
    ]
    return "\n\n".join([told, table(("price", f"cost:\n{figures.title}", "re-\ntrains", "\ncosts", "cheapest\nother", "\ncosts"), rows, left={4})])


def _span(low: float, high: float) -> str:
    if math.isinf(high):
        return f"from {wording.number(low, digits=1)}" if low else "at any price"
    return f"up to {wording.number(high, digits=1)}" if not low else f"{wording.number(low, digits=1)} to {wording.number(high, digits=1)}"
