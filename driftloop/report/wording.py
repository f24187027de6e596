"""Formats figures for the terminal summary and the HTML report.

An undefined figure (nan) is written "–", never "nan"; a share is written in percent, a
difference of two shares in points.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binom

from driftloop.drift.answer import Standing
from driftloop.metrics import task
from driftloop.metrics.goal import Goal
from driftloop.metrics.kpi_names import KPIS, OWN
from driftloop.metrics.results import NO_BLOCK, WAITING, BlockScore, RetrainRecord, VersionRecord, WatchResult

UNDEFINED = "–"
BASELINE_NAMES = {"no_change": "no change, row by row", "same_time_yesterday": "same time yesterday", "majority": "majority class"}


def percent(share: float, *, digits: int = 1) -> str:
    """A share of 0..1 in percent, without the sign; with more digits where rounding would give a false 100.

    >>> percent(0.7512), percent(float("nan")), percent(0.99993), percent(1.0)
    ('75.1', '–', '99.99', '100.0')
    """
    if not math.isfinite(share):
        return UNDEFINED
    while share < 1 and digits < 6 and round(100 * share, digits) == 100:
        digits += 1
    return f"{100 * share:.{digits}f}"


def with_sign(share: float, *, digits: int = 2) -> str:
    """As `percent`, with its sign, for sentences.

    >>> with_sign(0.7512), with_sign(float("nan"))
    ('75.12 %', '–')
    """
    return f"{percent(share, digits=digits)} %" if math.isfinite(share) else UNDEFINED


def points(difference: float, *, digits: int = 2) -> str:
    """The difference of two shares in points, always signed.

    >>> points(0.0613), points(-0.02), points(0.0), points(float("nan"))
    ('+6.13', '−2.00', '±0.00', '–')
    """
    return signed(100 * difference, digits=digits)


def signed(value: float, *, digits: int = 2) -> str:
    """A plain difference, always signed.

    >>> signed(0.6), signed(-0.004), signed(float("nan"))
    ('+0.60', '±0.00', '–')
    """
    if not math.isfinite(value):
        return UNDEFINED
    size = f"{abs(value):.{digits}f}"
    return f"±{size}" if float(size) == 0 else f"{'+' if value > 0 else '−'}{size}"


def number(value: float, *, digits: int = 2) -> str:
    """A plain number such as κ, with a true minus sign.

    >>> number(-1.203), number(float("nan"))
    ('−1.20', '–')
    """
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else UNDEFINED


def count(amount: int, noun: str) -> str:
    """A count with its noun.

    >>> count(1, "block"), count(13594, "row"), count(0, "retrain")
    ('1 block', '13,594 rows', '0 retrains')
    """
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def baseline(name: str) -> str:
    """A baseline's name.

    >>> baseline("no_change"), baseline("reference_median")
    ('no change, row by row', 'reference median')
    """
    return BASELINE_NAMES.get(name, name.replace("_", " "))


def in_plot(name: str, *, most: int = 60) -> str:
    """A name as plain text in a plot, cut after so many characters: plotly.js interprets some tags and entities, and a long name takes the plot's space.

    >>> in_plot("<b>a & b</b>")
    '&lt;b&gt;a &amp; b&lt;/b&gt;'
    """
    short = name if len(name) <= most else f"{name[:most]}…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def version(name: str) -> str:
    """A version, short form.

    >>> version("12"), version("base")
    ('v12', 'base')
    """
    return f"v{name}" if name.isdecimal() else name


def p_value(value: float) -> str:
    """A p-value, bounded where its digits would be meaningless.

    >>> p_value(0.0312), p_value(1e-9), p_value(float("nan"))
    ('0.031', '< 0.001', '–')
    """
    if not math.isfinite(value):
        return UNDEFINED
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float) -> str:
    """A duration in a natural unit.

    >>> duration(3.21), duration(125), duration(7384), duration(float("nan"))
    ('3.2 s', '2 min 5 s', '2 h 3 min', '–')
    """
    if not math.isfinite(seconds):
        return UNDEFINED
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(timestamp: str) -> str:
    """An ISO time to the minute.

    >>> moment("1998-02-10T00:30:00"), moment("")
    ('1998-02-10 00:30', '–')
    """
    return timestamp.replace("T", " ")[:16] or UNDEFINED


def sentence(words: str) -> str:
    """Words as a separate sentence.

    >>> sentence("promoted: better by more than noise"), sentence("Kept.")
    ('Promoted: better by more than noise.', 'Kept.')
    """
    return f"{words[:1].upper()}{words[1:].removesuffix('.')}." if words else ""


def begun_at(record: RetrainRecord) -> str:
    """A retrain's label: the block after which it began, or the time of its newest row."""
    return f"block {record.block}" if record.block != NO_BLOCK else f"rows up to {moment(record.timestamp)}"


def served_blocks(version: VersionRecord) -> str:
    """The first and last block that a version served; a version promoted after the last block has none."""
    return f"{version.first_block}–{version.last_block}" if version.rows else UNDEFINED


def value(setting: Any) -> str:
    """A parameter's value as text.

    >>> value(0.05000001), value(True), value(None), value(96), value("sgd")
    ('0.05', 'yes', '–', '96', 'sgd')
    """
    if setting is None:
        return UNDEFINED
    if isinstance(setting, bool):
        return "yes" if setting else "no"
    return f"{setting:.4g}" if isinstance(setting, float) else str(setting)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The parameters whose text differs: (name, old, new), sorted by name.

    >>> changed({"lr": 0.05, "depth": 1}, {"lr": 0.1, "depth": 1, "history": 48})
    [('history', '–', '48'), ('lr', '0.05', '0.1')]
    """
    written = ((name, value(old.get(name)), value(new.get(name))) for name in sorted({*old, *new}))
    return [(name, before, after) for name, before, after in written if before != after]


def standing(score: BlockScore) -> Standing:
    """A block's KPI against its threshold."""
    kind = KPIS[score.kpi_name or OWN[score.task]]
    way: task.Task = task.CLASSIFICATION if kind.higher else task.REGRESSION  # which way is better is all that is needed of it
    return Standing(score.kpi, score.lower, score.upper, Goal(way, score.threshold), drifted=score.drift)


def drifted(score: BlockScore) -> str:
    """Whether a block has drifted: "no" only if its interval reaches the threshold or is better.

    A block's whole interval may be under the threshold while the rule, which accounts for autocorrelation, has no proof yet.
    """
    if score.kind == WAITING:
        return WAITING
    return "yes" if score.drift else "not proven" if standing(score).under else "no"


def what_was_done(result: WatchResult) -> str:
    """Summary of the loop's actions."""
    drifts = sum(score.drift for score in result.scores)
    unproven = sum(drifted(score) == "not proven" for score in result.judged)
    open_ones = f", {unproven:,} more {'is' if unproven == 1 else 'are'} worse than the threshold without proof of drift" if unproven else ""
    if result.reference:
        first = next((f", the first is block {score.block} of {moment(score.timestamp)}" for score in result.judged if score.drift), "")
        unlabelled = sum(math.isnan(score.kpi) for score in result.judged)
        unknown = f", {count(unlabelled, 'block')} cannot be judged yet" if unlabelled else ""
        return f"{count(drifts, 'block')} of {len(result.judged):,} drifted{first}{open_ones}{unknown}. Total time: {duration(result.seconds)}."
    promotions, follow_ups = sum(retrain.promoted for retrain in result.retrains), sum(retrain.follow_up for retrain in result.retrains)
    among = f", {follow_ups} of them to follow up," if follow_ups else ""
    return (
        f"{count(drifts, 'block')} of {len(result.scores):,} drifted{open_ones}; {count(len(result.retrains), 'retrain')}{among} led to "
        f"{count(promotions, 'promotion')}. Total time: {duration(result.seconds)}."
    )


def blocks_of(result: WatchResult) -> str:
    """The number and size of the blocks."""
    blocks = count(len(result.judged), "block")
    return f"{blocks} of {result.block_size:,}" if result.block_by == "rows" else f"{blocks}, one per calendar {result.block_by}"


def low_blocks_by_chance(scores: Sequence[BlockScore]) -> tuple[float, float]:
    """Expected number of blocks under their threshold by chance alone, and the probability of at least one.

    "By chance" assumes a constant accuracy for each version, and independent rows within a block; autocorrelated errors, as in
    most streams, make it more frequent. Blocks with undefined figures do not count.
    """
    defined = [score for score in scores if math.isfinite(score.kpi + score.threshold)]
    right: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for score in defined:
        right[score.version] += round(score.kpi * score.rows)
        rows[score.version] += score.rows
    # The small step back keeps a product such as 0.55 × 20 = 11.000000000000002 from counting one row too many.
    fewest = np.array([math.ceil(score.threshold * score.rows - 1e-9) for score in defined])
    steady = np.array([right[score.version] / rows[score.version] for score in defined])
    chances = binom.cdf(fewest - 1, [score.rows for score in defined], steady)
    return float(chances.sum()), float(1 - np.prod(1 - chances))


def half_width(scores: Sequence[BlockScore]) -> float:
    """Half the width of a block's 95 % interval, averaged over the full blocks; nan without any."""
    widths = [score.upper - score.lower for score in scores if not score.short and math.isfinite(score.upper - score.lower)]
    return sum(widths) / len(widths) / 2 if widths else math.nan


def reading_notes(result: WatchResult) -> list[str]:
    """How to read this result's figures, then the lifecycle's notes."""
    half = percent(half_width(result.scores))
    return [
        f"A block is small: at {result.block_size:,} rows its accuracy is known to ±{half} points on average here (Wilson, 95 %). "
        "Read a single block by its interval, not its point estimate.",
        *([] if result.reference else [_by_chance(result.scores)]),
        "No change copies the previous row's label, so it needs every label at once. The model gets its labels only when a "
        "block ends: the two are not comparable. No change is shown as a measure of the labels' autocorrelation.",
        "κ is the agreement beyond chance, given the class shares; κ-temporal the same against no change: "
        "0 is as good as copying the last label, below 0 is worse.",
        *result.notes,
    ]


def _by_chance(scores: Sequence[BlockScore]) -> str:
    (chance, any_chance), low = low_blocks_by_chance(scores), sum(score.kpi < score.threshold for score in scores)
    return (
        f"One block under the threshold is weak evidence of drift: if each version's accuracy were constant, {number(chance, digits=1)} of the "
        f"{count(len(scores), 'block')} would be under it by chance alone, at least one in {with_sign(any_chance, digits=0)} of such watches "
        f"(with independent rows; more where errors are autocorrelated). {low:,} did."
    )
