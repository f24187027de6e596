"""Splits a change of the KPI into the part that the inputs explain (P(X) moved) and the rest (P(Y|X) moved).

The first is the KPI on the current inputs if correctness still depended on them as before: the reference KPI weighted by
the density ratio, plus a regression of correctness on the inputs that corrects the weights (doubly robust:
it holds when either the weights or the regression is right). The second is the difference to the current KPI.

Whether the rest is more than noise is a separate test (`conditional`), on the inputs that both periods share: it also finds
changes of opposite sign in different regions, and does not depend on a few rows of large weight.

Shimodaira: Improving predictive inference under covariate shift. J. Statistical Planning and Inference 90, 2000 (weights).
Cai, Namkoong, Yadlowsky: Diagnosing model performance under distribution shift. 2023 (the two parts).
Zhang, Singh, Ghassemi, Joshi: "Why did the model fail?" ICML 2023. Robins, Rotnitzky, Zhao: JASA 89, 1994 (doubly robust).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftloop.data.schema.schema import Column
from driftloop.drift.inputs import dependence
from driftloop.drift.inputs.domain import Domain, classify
from driftloop.drift.kind import conditional, trees

LEAST_ROWS: Final = 30  # rows of each side, and effective rows, needed to separate the two parts
LEAST_REACHED: Final = 0.5  # share of the current inputs that reference rows must cover
_BOOTSTRAPS: Final = 999
_MOST_BLOCKS: Final = 400  # in the bootstrap


@dataclass(frozen=True)
class KpiPart:
    """A change of the KPI, in -1..1, with the bounds of its interval."""

    change: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.change:+.3f} ({self.lower:+.3f} to {self.upper:+.3f})"


UNKNOWN: Final = KpiPart(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Decomposition:
    """total = data + concept; nan where undetermined."""

    reference_kpi: float
    current_kpi: float
    total: KpiPart
    data: KpiPart  # explained by P(X)
    concept: KpiPart  # the rest
    p_value: float  # of "correctness depends on the inputs as before"
    effective_rows: float  # effective sample size of the weighted reference rows
    message: str


def decompose(
    reference_rows: np.ndarray,
    reference_correct: np.ndarray,
    current_rows: np.ndarray,
    current_correct: np.ndarray,
    *,
    columns: Sequence[Column] = (),
    domain: Domain | None = None,
    alpha: float = 0.05,
    seed: int = 7,
    losses: bool = False,
) -> Decomposition:
    """Split the change of the accuracy, or of the mean loss.

    Args:
        reference_rows: (N, F) finite numbers in time order, rows that the model was not fitted on.
        reference_correct: (N,) 1 or True where the model was right.
        current_rows: (M, F) likewise.
        current_correct: (M,) likewise.
        columns: (F,) what they hold. By default numbers; otherwise categories are taken as such, and nan is a missing value.
        domain: the domain classifier of these rows, if already computed.
        alpha: the intervals hold with 1 - alpha, in (0, 1).
        seed: of the resampling.
        losses: the `correct` arguments hold losses instead of 0 and 1: any finite numbers, capped so that none dominates.

    Returns:
        the parts. They are nan with too few rows or blocks, or so little overlap that the weighted reference rows have an effective
        sample size under `LEAST_ROWS` or cover less than `LEAST_REACHED` of the current inputs.

    Raises:
        ValueError: shapes that do not fit, values that are not finite or not 0 and 1, or alpha outside (0, 1).

    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.standard_normal((1000, 2)), rng.standard_normal((1000, 2)) + [0.8, 0]
    >>> right = [rng.random(1000) < np.where(rows[:, 0] > 0.5, 0.6, 0.9) for rows in (old, new)]
    >>> found = decompose(old, right[0], new, right[1])  # the same on equal inputs, but the inputs moved
    >>> found.data.upper < 0, found.concept.lower < 0 < found.concept.upper, found.p_value > 0.05
    (True, True, True)
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha:g}: it must lie in (0, 1)")
    before, now = (
        _checked(told, rows, side, losses=losses)
        for told, rows, side in ((reference_correct, reference_rows, "reference"), (current_correct, current_rows, "current"))
    )
    domain = domain or classify(reference_rows, current_rows, columns=columns, seed=seed)
    was, is_now = (float(one.mean()) if len(one) else math.nan for one in (before, now))
    why = _too_little(len(before), len(now), domain)
    if why:
        total = KpiPart(is_now - was, math.nan, math.nan)
        return Decomposition(was, is_now, total, UNKNOWN, UNKNOWN, math.nan, domain.effective_rows, f"cannot tell the parts: {why}")
    rows, correct = trees.of(np.concatenate([reference_rows, current_rows]), columns), np.concatenate([before, now])
    as_before = conditional.expected(rows, correct, domain, of=np.arange(len(correct)) < len(before))
    total, data, concept = _parts(before, now, as_before, domain, alpha=alpha, seed=seed)
    p = conditional.p_value(rows, correct, domain)
    what = "errors depend" if losses else "correctness depends"
    message = (
        f"KPI {was:.3f} to {is_now:.3f}: inputs explain {data}, the rest is {concept}; {what} on the inputs "
        f"as before with {dependence.told(p)}; effective sample size of the {len(before)} reference rows under the current inputs: {domain.effective_rows:.0f}"
    )
    return Decomposition(was, is_now, total, data, concept, p, domain.effective_rows, message)


def _checked(correct: np.ndarray, rows: np.ndarray, side: str, *, losses: bool) -> np.ndarray:
    values = np.asarray(correct)
    if values.shape != np.shape(rows)[:1]:
        raise ValueError(f"{side}_correct has shape {values.shape}: one value is needed for each of the {np.shape(rows)[0]} rows")
    if values.dtype.kind not in "biuf" or not (np.isfinite(values) if losses else np.isin(values, (0, 1))).all():
        raise ValueError(f"{side}_correct must hold {'finite losses' if losses else '0 and 1 only'}")
    return values.astype(np.float64)


def _too_little(before: int, now: int, domain: Domain) -> str:
    """Why the parts are undetermined; "" when they are not."""
    if min(before, now) < LEAST_ROWS:
        return f"{before} reference and {now} current rows; needs at least {LEAST_ROWS} rows of each"
    if math.isnan(domain.p_value):
        return domain.message
    if domain.effective_rows < LEAST_ROWS or domain.reached < LEAST_REACHED:
        return (
            f"old and new inputs hardly overlap (effective sample size of the {before} reference rows {math.floor(domain.effective_rows)}, "
            f"{domain.reached:.0%} of the current inputs covered; needs at least {LEAST_ROWS} and {LEAST_REACHED:.0%})"
        )
    return ""


def _parts(before: np.ndarray, now: np.ndarray, as_before: np.ndarray, domain: Domain, *, alpha: float, seed: int) -> tuple[KpiPart, KpiPart, KpiPart]:
    """Total, data and concept with block-bootstrap intervals; the models are not refitted."""
    rng, reference = np.random.default_rng(seed), len(before)
    length = max(domain.folds.block_rows, dependence.memory([before, now]).length, len(as_before) // _MOST_BLOCKS)
    old = _resampled(rng, np.stack([np.ones(reference), before, domain.weights, domain.weights * (before - as_before[:reference])], 1), length)
    new = _resampled(rng, np.stack([np.ones(len(now)), now, as_before[reference:]], 1), length)
    was, is_now = old[:, 1] / old[:, 0], new[:, 1] / new[:, 0]
    would = new[:, 2] / new[:, 0] + old[:, 3] / old[:, 2]
    changes = is_now - was, would - was, is_now - would
    bounds = [np.quantile(change[1:], [alpha / 2, 1 - alpha / 2]) for change in changes]
    total, data, concept = (KpiPart(float(change[0]), float(low), float(high)) for change, (low, high) in zip(changes, bounds, strict=True))
    return total, data, concept


def _resampled(rng: np.random.Generator, values: np.ndarray, length: int) -> np.ndarray:
    """Sums of the columns: observed, then with blocks resampled with replacement, shape (1 + _BOOTSTRAPS, columns)."""
    sums = np.add.reduceat(values, dependence.cuts(len(values), length)[:-1], axis=0)
    times = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), _BOOTSTRAPS)
    return np.vstack([sums.sum(axis=0), times @ sums])
