"""Formats the measures of a window for the report, the history page and the terminal."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from driftloop.drift.answer import KINDS
from driftloop.drift.inputs import shift_words
from driftloop.metrics.kpi_names import KPIS
from driftloop.report import wording
from driftloop.report.kpi_words import Figures
from monitoring.batch.measures.window_measures import BlockMeasure, FeatureMeasure, Measures, SegmentMeasure

if TYPE_CHECKING:
    from monitoring.stream_settings import StreamConfig

HOOK_URL: Final = "http://127.0.0.1:8020"  # of a retrain hook with the usual port
LEAST_SHOWN: Final = 0.0005  # share of the other categories
LOSSES: Final = {"balanced_accuracy": "balanced error", "rmse": "mean squared error"}  # of a row, where it is named otherwise than its KPI
TONES: Final = {"good": "calm", "not proven": "unproven", "drifted": "drift", "no labels": "open"}  # colour of each health


def verdict(measures: Measures) -> str:
    """The kind in a few words; "no drift" only if the KPI is known to be good."""
    answer = measures.answer
    if answer.kind == "none":
        return KINDS["none"] if answer.calm else "drift not proven"
    return "drift of unknown kind" if (answer.health, answer.kind) == ("drifted", "cannot tell") else KINDS[answer.kind]


def found(measures: Measures) -> str:
    """The kind in a few words, and bad data quality."""
    told = verdict(measures)
    return f"{told}, {KINDS['quality']}" if measures.quality.bad and measures.answer.kind != "quality" else told


def headline(measures: Measures) -> str:
    """The verdict in one sentence with its evidence: the KPI against its threshold, the features, and bad data."""
    parts = [_kpi_told(measures), _segments_told(measures), _features_told(measures), "the data quality is bad" if measures.quality.bad else ""]
    name = verdict(measures)
    return f"{name[:1].upper()}{name[1:]} in {measures.window.name}: {'; '.join(part for part in parts if part)}."


def _kpi_told(measures: Measures) -> str:
    figures, value = kpi(measures), measures.kpi.value
    if not math.isfinite(value):
        return f"no row answered by a model has a {'mature ' * (measures.labels.immature > 0)}label" if measures.labels.rows else "there are no rows"
    told = f"the {figures.name} was {figures.with_unit(value)} ({figures.bounds(measures.kpi)}) on {wording.count(measures.kpi.rows, 'labelled row')}"
    limit, worse = figures.with_unit(measures.threshold), (value < measures.threshold) is measures.higher_is_better
    against = f"{'worse' if worse else 'better'} than the threshold of {limit}"
    if measures.verdict.kpi_drift:
        against = f"worse than the threshold of {limit} by more than noise{'' if worse else ' in a part of them'}"
    elif worse and (measures.kpi.lower <= measures.threshold <= measures.kpi.upper):
        against += f", but not by more than noise{enough(measures)}"
    elif worse:
        against += ", but not proven: the errors are autocorrelated, so the interval is too narrow"
    elif measures.answer.health == "not proven":
        against += f", but not by more than noise{enough(measures)}"
    if not math.isfinite(measures.kpi.lower) or not math.isfinite(measures.kpi.upper):
        against = f"too few to compare with the threshold of {limit}"
    old = in_sample(measures)
    seen = ", rows that the model was trained on" if old >= measures.labels.rows else f", {old:,} of which the model was trained on" if old else ""
    return f"{told}{seen}, {against}"


def _segments_told(measures: Measures) -> str:
    worse = [one.name for one in measures.segments if one.drift]
    if not worse:
        return ""
    named = shift_words.listed([*worse[:3], *["…"] * (len(worse) > 3)])
    return f"{wording.count(len(worse), 'segment')} {'is' if len(worse) == 1 else 'are'} worse than in the first rows of the version ({named})"


def enough(measures: Measures) -> str:
    """How many rows would be enough, in brackets; "" if no number would."""
    needed = measures.standing.rows_needed(measures.kpi.rows)
    return f" (about {needed:,} rows at this level would be enough)" if needed else ""


def _features_told(measures: Measures) -> str:
    some = measures.moved
    if some:
        by_feature = by_name(measures)
        named = shift_words.listed([*(_moved_told(by_feature[name]) for name in some[:3]), *["…"] * (len(some) > 3)])
        return f"{len(some)} of {wording.count(len(measures.features), 'feature')} {'has' if len(some) == 1 else 'have'} moved ({named})"
    untold = sum(one.found == "cannot tell" for one in measures.features)
    if untold < len(measures.features):
        but = f", but {untold} of {len(measures.features)} had too little data to tell" if untold else ""
        return f"no feature has moved beyond noise and the usual variation{but}"
    return "the features were not tested" if measures.labels.rows else ""


def _moved_told(feature: FeatureMeasure) -> str:
    return f"{feature.feature}: {feature.words}" if feature.words else feature.feature


def of_all(measures: Sequence[Measures]) -> str:
    """How often each health and kind occurred, in two sentences.

    >>> of_all([])
    'No window has been measured.'
    """
    if not measures:
        return "No window has been measured."
    healths, kinds = Counter(one.answer.health for one in measures), Counter(map(verdict, measures))
    first = ", ".join(f"{name} in {healths[name]:,}" for name in ("drifted", "not proven", "good", "no labels") if healths[name])
    second = ", ".join(f"{name} {number:,}" for name, number in kinds.most_common())
    bad = sum(one.quality.bad for one in measures)
    second += f"; bad data quality in {bad:,}" if bad else ""
    return f"The KPI of {wording.count(len(measures), 'window')}: {first}. Found: {second}."


def tone(measures: Measures) -> str:
    """Colour of the health; the kind is shown by a word or a symbol."""
    return TONES[measures.answer.health]


def segments(measures: Measures) -> str:
    """How many segments are worse, of those that are judged."""
    worse, judged = (sum(segment(one) in verdicts for one in measures.segments) for verdicts in ({"drift"}, {"drift", "no alarm"}))
    are = "are" if worse > 1 else "is"
    return f"{worse or 'None'} of {wording.count(judged, 'judged segment')} {are} proven to be worse than in the first rows of the version."


def segment(one: SegmentMeasure) -> str:
    """The verdict on a segment.

    >>> segment(SegmentMeasure("1", "fuel=gas", 9, 0.5, 0.9, 48.2, 0.02, True, "2024-01-01T00:00:00.000Z"))
    'drift'
    """
    return "drift" if one.drift else "not judged" if math.isnan(one.e_value) else "no alarm"


def retraining(stream: StreamConfig, window: str) -> str:
    """The command that measures a window again and retrains, as stored in documents: without machine-specific flags.

    A stream that names no table retrains through a hook, whose --command names it.
    """
    hook = "" if stream.retrains_alone else f" --hook_url {HOOK_URL}"
    return f"python -m monitoring batch run --window {window} --stream {stream.name} --on_drift retrain{hook}"


def kpi(measures: Measures) -> Figures:
    """Formats the stream's KPI."""
    return Figures(measures.task, measures.unit, measures.kpi_name if measures.kpi_name in KPIS else "")


def heading(figures: Figures) -> str:
    """The KPI at the head of a section.

    >>> heading(Figures("regression")), heading(Figures("classification", kpi="brier"))
    ('MAE', 'Brier score')
    """
    return f"{figures.name[:1].upper()}{figures.name[1:]}"


def changed(figures: Figures) -> tuple[str, str]:
    """What the inputs explain a change of, and with which sign it is worse: the KPI, the mean loss of a row, or the accuracy of a KPI of whole blocks.

    >>> changed(Figures("classification")), changed(Figures("regression", kpi="rmse")), changed(Figures("classification", kpi="f1"))
    (('KPI', 'minus'), ('mean squared error', 'plus'), ('accuracy', 'minus'))
    """
    own = figures.of_kpi.own
    if not figures.of_kpi.per_row:
        return "accuracy", "minus"
    return "KPI" if own else LOSSES.get(figures.of_kpi.name, figures.name), "minus" if own and figures.of_kpi.higher else "plus"


def change(figures: Figures, value: float) -> str:
    """A change of what `changed` names, with its sign and unit.

    >>> change(Figures("classification"), -0.031), change(Figures("regression", "minutes"), 0.31), change(Figures("classification", kpi="brier"), 0.0312)
    ('−3.10 points', '+0.31 minutes', '+0.031')
    """
    if not math.isfinite(value):
        return wording.UNDEFINED
    if not figures.plain or not figures.of_kpi.per_row:
        return f"{wording.points(value)} points"
    unit = figures.step if figures.of_kpi.own else figures.unit if figures.of_kpi.is_mean else ""
    return f"{wording.signed(value, digits=figures.of_kpi.digits)} {unit}".strip()


def in_sample(measures: Measures) -> int:
    """Rows that lie before the end of the training rows of the version that answered them."""
    return sum(version.in_sample for version in measures.versions)


def bins(feature: FeatureMeasure) -> tuple[str, ...]:
    """A name for each bin: the category, or both bounds.

    >>> bins(FeatureMeasure("x", "ks", 0, 0, 0, 0, 0, False, 0, False, (0.0, 0.5, 2.0, math.inf), (), (), ""))
    ('0 to 0.5', '0.5 to 2', 'over 2')
    >>> bins(FeatureMeasure("x", "ks", 0, 0, 0, 0, 0, False, 0, False, (0.0, 0.0, 10.0), (), (), ""))
    ('0', '0 to 10')
    """
    if feature.categorical:
        return feature.names or tuple(f"{category:g}" for category in feature.edges)
    return tuple(_between(low, high) for low, high in itertools.pairwise(feature.edges))


def _between(low: float, high: float) -> str:
    if low == high:
        return f"{low:g}"
    if math.isinf(low):
        return f"under {high:g}"
    return f"over {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"


def shares(feature: FeatureMeasure) -> list[tuple[str, float, float]]:
    """Each bin with its share of the training rows and of the window; for a categorical feature "all others" is last, of named ones if there are any."""
    found = list(itertools.zip_longest(bins(feature), feature.reference, feature.current, fillvalue=math.nan))
    if feature.categorical:
        before, now = (max(0.0, 1 - sum(side)) if any(side) or not feature.names else 0.0 for side in (feature.reference, feature.current))
        if not feature.names:
            found.append(("all others", before, now))
        elif max(before, now) > LEAST_SHOWN:
            found.append(("other", before, now))
    return [(str(name), before, now) for name, before, now in found]


def missing(feature: FeatureMeasure) -> tuple[str, float, float] | None:
    """The share of the training rows and of the window without a value, with its name; None where there are none, or it is unknown."""
    before, now = feature.missing_before, feature.missing_now
    return ("missing", before, now) if max(0.0 if math.isnan(before) else before, 0.0 if math.isnan(now) else now) > 0 else None


def gaps(measures: Measures) -> list[FeatureMeasure]:
    """The features with missing values or values that are new to the model, the most such rows first."""
    found = [one for one in measures.features if missing(one) or one.unseen]
    return sorted(found, key=lambda one: (-one.missing - one.unseen, one.feature))


def takes_gaps(measures: Measures) -> bool:
    """Whether missing values and new texts are a matter of the model's, not a fault of the row."""
    return any(not math.isnan(one.missing_now) for one in measures.features)


def others(feature: FeatureMeasure) -> str:
    """The total share of the categories that are not plotted; "" if all are."""
    if not feature.categorical or not feature.reference or feature.names:
        return ""
    name, before, now = shares(feature)[-1]
    if max(before, now) <= LEAST_SHOWN:
        return ""
    return f"{name}: {wording.with_sign(before, digits=1)} of the reference, {wording.with_sign(now, digits=1)} of the window"


def days(value: float) -> str:
    """Days in a readable unit.

    >>> days(0.02), days(0.3), days(3.5), days(float("nan"))
    ('29 min', '7.2 h', '3.5 days', '–')
    """
    if not math.isfinite(value):
        return wording.UNDEFINED
    if abs(value) >= 1:
        return f"{value:.1f} days"
    return f"{24 * value:.1f} h" if abs(24 * value) >= 1 else f"{24 * 60 * value:.0f} min"


def blocks_until(value: float) -> str:
    """Blocks of a forecast in words.

    >>> blocks_until(3.0), blocks_until(float("inf")), blocks_until(float("nan"))
    ('3', 'not within the horizon', '–')
    """
    if math.isinf(value):
        return "not within the horizon"
    return f"{value:.0f}" if math.isfinite(value) else wording.UNDEFINED


def block(figures: Figures, one: BlockMeasure) -> str:
    """The hover text of a block."""
    told = f"{figures.with_bounds(one.kpi.value, one.kpi)}, {wording.count(one.kpi.rows, 'row')}, version {wording.in_plot(one.version)}"
    return f"{told}, drift" if one.drift else told


def moved(measures: Measures) -> str:
    """Names of the features that have moved; "–" for none."""
    return ", ".join(measures.moved) or wording.UNDEFINED


def by_name(measures: Measures) -> dict[str, FeatureMeasure]:
    """The features by their names."""
    return {one.feature: one for one in measures.features}
