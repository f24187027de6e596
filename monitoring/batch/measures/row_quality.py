"""The data quality of a window: bad values, missing or new columns, and means moved by impossible values."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from scipy import stats

from driftloop.metrics.data_quality import JUMP, told_impossible, told_means
from driftloop.training.reference import Reference
from monitoring.batch.measures.window_measures import QualityMeasure, Window
from monitoring.batch.measures.window_rows import FAULTS, Refused, WindowRows
from monitoring.online.watcher import QUALITY_ALPHA, TOLERATED
from monitoring.stream_settings import StreamConfig

_DAY: Final = np.timedelta64(1, "D")


def measure(rows: WindowRows, refused: Refused, config: StreamConfig, window: Window, reference: Reference | None) -> QualityMeasure:
    """The quality of the rows that came, answered or not.

    A share of bad rows is news when it is more than tolerated beyond chance (binomial): more than `TOLERATED`, or than the worst stretch of the
    training rows as long as the window, whose bad rows were set aside.
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
    compared = f"{'more' if many else 'no more'} than chance explains where {tolerated:.2%} is tolerated"
    told = [f"{bad:,} of {whole:,} rows are bad ({bad / whole:.2%}), {compared}"] if whole else []
    told += [f"no row has a value of {', '.join(missing)}"] if missing else []
    told += [f"rows have columns that the stream has not: {', '.join(unknown)}"] if unknown else []
    required = {feature.name for feature in config.features if feature.required}
    return QualityMeasure(
        rows=len(rows),
        refused=refused.rows,
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        missing_columns=missing,
        unknown_columns=unknown,
        jumps=jumps,
        bad=many or bool(jumps) or bool(required & set(missing)),
        message="; ".join([*jumps, *told]) + "." if told or jumps else "No rows came.",
    )


def _tolerated(reference: Reference | None, window: Window) -> float:
    known = reference.spans if reference else None
    if known is None or not known.columns:
        return TOLERATED
    start, stop = (np.datetime64(time.removesuffix("Z"), "ms") for time in (window.start, window.stop))
    good = known.columns[0].counts.sum(axis=1)
    shares = []
    for stretch in known.stretches(max(1, round((stop - start) / _DAY)), known.outside(start, stop)):
        whole = int(good[stretch].sum() + known.bad[stretch].sum())
        shares += [float(known.bad[stretch].sum()) / whole] if whole else []
    return max([TOLERATED, *shares])


def _jump(rows: WindowRows, refused: Refused, config: StreamConfig, at: int) -> str:
    """A sentence where the mean with impossible values lies far from that without; "" where it does not."""
    feature = config.features[at]
    if feature.categorical:  # the mean of zone numbers says nothing
        return ""
    given = np.concatenate([rows.features[:, at], refused.features[:, at]])
    given = given[~np.isnan(given)]
    lowest, highest = feature.limits
    usable = given[(given >= lowest) & (given <= highest)]
    if not len(usable) or len(usable) == len(given):
        return ""
    with np.errstate(over="ignore", invalid="ignore"):  # values up to 1e308 may overflow: inf is told then
        mean, spread, with_all = float(usable.mean()), float(usable.std()), float(given.mean())
    if not abs(with_all - mean) > JUMP * spread > 0:
        return ""
    farthest = given[np.abs(given - mean).argmax()]
    return f"{told_means(feature.name, with_all, len(given), usable=mean, usable_rows=len(usable))}: {told_impossible(farthest)}"
