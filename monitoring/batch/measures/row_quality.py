"""The data quality of a window: bad values, missing or unknown columns, and means shifted by impossible values."""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy import stats

from driftloop.metrics.data_quality import JUMP, told_impossible, told_means
from driftloop.training.reference import Reference
from monitoring.batch.measures.window_measures import QualityMeasure, Window
from monitoring.batch.measures.window_rows import FAULTS, Refused, WindowRows
from monitoring.online.watcher import QUALITY_ALPHA, TOLERATED
from monitoring.stream_settings import StreamConfig


def measure(rows: WindowRows, refused: Refused, config: StreamConfig, window: Window, reference: Reference | None) -> QualityMeasure:
    """The quality of the incoming rows, answered or not.

    The quality is bad when the share of bad rows significantly (binomial test) exceeds both `TOLERATED` and that of the worst stretch of the
    training rows as long as the window.
    """
    reasons = Counter(refused.reasons)
    for at, name in enumerate(config.feature_names):
        codes, counts = np.unique(rows.faults[:, at], return_counts=True)
        reasons.update({f"{name} {FAULTS[code]}": int(count) for code, count in zip(codes, counts, strict=True) if code})
    bad, whole = refused.rows + int((rows.faults > 0).any(axis=1).sum()), len(rows) + refused.rows
    tolerated = _tolerated(reference, window)
    many = bool(whole and stats.binom.sf(bad - 1, whole, tolerated) <= QUALITY_ALPHA)
    missing = tuple(name for at, name in enumerate(config.feature_names) if len(rows) and np.isnan(rows.features[:, at]).all())
    jumps = tuple(text for at in range(len(config.features)) if (text := _jump(rows, refused, config, at)))
    unknown = tuple(sorted(rows.unknown))
    compared = f"{'more' if many else 'no more'} than chance explains at {tolerated:.2%} tolerated"
    told = [f"{bad:,} of {whole:,} rows are bad ({bad / whole:.2%}), {compared}"] if whole else []
    told += [f"no row has a value for {', '.join(missing)}"] if missing else []
    told += [f"rows have unknown columns: {', '.join(unknown)}"] if unknown else []
    required = {feature.name for feature in config.features if feature.required}
    return QualityMeasure(
        rows=len(rows),
        refused=refused.rows,
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        missing_columns=missing,
        unknown_columns=unknown,
        jumps=jumps,
        bad=many or bool(jumps) or bool(required & set(missing)),
        message="; ".join([*jumps, *told]) + "." if told or jumps else "There are no rows.",
    )


def _tolerated(reference: Reference | None, window: Window) -> float:
    known = reference.spans if reference else None
    if known is None or not known.columns:
        return TOLERATED
    first = known.columns[0]
    good = first.counts.sum(axis=1) + (0 if first.missing is None else first.missing)
    shares = []
    for stretch in known.stretches(max(1, round(window.days)), known.outside(*window.bounds)):
        whole = int(good[stretch].sum() + known.bad[stretch].sum())
        shares += [float(known.bad[stretch].sum()) / whole] if whole else []
    return max([TOLERATED, *shares])


def _jump(rows: WindowRows, refused: Refused, config: StreamConfig, at: int) -> str:
    """A sentence if impossible values shift the mean far; else ""."""
    feature = config.features[at]
    if feature.coded:  # a mean of codes is meaningless
        return ""
    given = np.concatenate([rows.features[:, at], refused.features[:, at]])
    given = given[~np.isnan(given)]
    lowest, highest = feature.limits
    usable = given[(given >= lowest) & (given <= highest)]
    if not len(usable) or len(usable) == len(given):
        return ""
    with np.errstate(over="ignore", invalid="ignore"):  # values up to 1e308 may overflow to inf
        mean, spread, with_all = float(usable.mean()), float(usable.std()), float(given.mean())
    if not abs(with_all - mean) > JUMP * spread > 0:
        return ""
    farthest = given[np.abs(given - mean).argmax()]
    return f"{told_means(feature.name, with_all, len(given), usable=mean, usable_rows=len(usable))}: {told_impossible(farthest)}"
