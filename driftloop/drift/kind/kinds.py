"""Diagnoses the kind of drift: the inputs moved (data), the labels' dependence on them changed (concept), both, or neither.

Two tests on the same rows. Did P(X) move: the tests of single features and the domain classifier, Bonferroni over the two.
Did the KPI change beyond what P(X) explains: the decomposition. Each has half of alpha, so that the false-alarm probability of one
comparison stays under alpha. Of the labels only correctness is used: with two classes it shows every move of P(Y|X), with more
classes a change among the wrong classes is not detected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from scipy import stats

from driftloop.data.schema.schema import Column
from driftloop.drift import answer
from driftloop.drift.inputs import distribution, domain, shift_words
from driftloop.drift.inputs.dependence import told
from driftloop.drift.inputs.distribution import FeatureTest
from driftloop.drift.inputs.domain import Domain
from driftloop.drift.kind.decomposition import Decomposition, decompose
from driftloop.drift.verdict import Kind, Verdict

RULE: Final = "kind"
_KINDS: Final[dict[tuple[bool, bool], Kind]] = {(False, False): "none", (True, False): "data", (False, True): "concept", (True, True): "both"}
_UNTOLD: Final = "Cannot tell the kind of drift"
_HALF: Final = "Data drift; unknown whether the concept changed too"
MOST_WANTED: Final = 20  # times the rows there were: a change that needs more to prove is negligible
_NAMED = 3  # features named in the message


def tell(
    reference_rows: np.ndarray,
    reference_correct: np.ndarray,
    current_rows: np.ndarray,
    current_correct: np.ndarray,
    *,
    names: Sequence[str],
    columns: Sequence[Column] = (),
    known: Sequence[int] = (),
    alpha: float = 0.05,
    seed: int = 7,
    losses: bool = False,
    loss_words: str = "mean absolute error",
    fallen: bool = False,
    edges: int = 1,
) -> Verdict:
    """Compare current rows with reference rows; the model was fitted on neither.

    A concept drift may also raise the KPI or leave it unchanged.

    Args:
        reference_rows, reference_correct, current_rows, current_correct, losses: as in `decompose`.
        names: (F,) the features' names.
        loss_words: the mean of `losses` within a sentence.
        columns: (F,) what they hold. By default numbers; otherwise categories are taken as such, and nan is a missing value.
        known: (F,) as in `distribution.compare`.
        alpha: false-alarm probability of a comparison, in (0, 1), any kind counted.
        seed: of permutations and resampling.
        fallen: a drift rule has already proven that the KPI is worse than its threshold; the kind is then never "none".
        edges: number of candidate split points between reference and current from which the errors chose this one; their test is corrected for it.

    Returns:
        the verdict of rule "kind". `statistic` is the part of the KPI's change that P(X) does not explain, with the bounds of its interval,
        `p_value` the smaller of the two tests' after correction, `features` those that moved, the farthest (KS, total variation, or
        difference of shares) first. "cannot tell" with too few rows, or when P(X) moved so far that the old rows carry no information on
        the new ones; then `drift` is still True if P(X) moved. Also "cannot tell" when P(X) stayed and the test of the rest finds too
        little evidence although the KPI has clearly changed: its fall is proven, or an interval excludes 0, even one that assumes
        independent rows. Errors in long runs leave few independent stretches, so "not proven" does not mean "no change".

    Raises:
        ValueError: shapes that do not fit, values that are not finite or not 0 and 1, or alpha outside (0, 1).

    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.random((1000, 2)), rng.random((1000, 2))
    >>> right = rng.random(1000) < 0.9, rng.random(1000) < np.where(new[:, 0] > 0.7, 0.4, 0.9)
    >>> verdict = tell(old, right[0], new, right[1], names=("a", "b"))
    >>> verdict.drift, verdict.kind, verdict.features
    (True, 'concept', ())
    """
    tests = distribution.compare(reference_rows, current_rows, names=names, columns=columns, known=known, alpha=alpha / 4, seed=seed)
    joint = domain.classify(reference_rows, current_rows, columns=columns, permutations=max(299, math.ceil(8 / alpha)), seed=seed)
    sides = reference_rows, reference_correct, current_rows, current_correct
    parts = decompose(*sides, columns=columns, domain=joint, alpha=alpha, seed=seed, losses=losses)
    parts = replace(parts, p_value=_bonferroni([parts.p_value], questions=edges))
    data_p = _bonferroni([*(test.corrected for test in tests), joint.p_value], questions=2)
    moved, changed = data_p <= alpha / 2, parts.p_value <= alpha / 2
    # An undecided test is not a "no": P(X) can be tested with fewer rows than the rest.
    decided = not math.isnan(parts.p_value) and not math.isnan(data_p)
    kind = _KINDS[moved, changed] if decided or (changed and moved) else "cannot tell"
    # The KPI may have clearly changed where the stricter test finds nothing: neither proof nor "as before".
    plain = not parts.concept.lower <= 0 <= parts.concept.upper or fallen or (not moved and _plainly_apart(reference_correct, current_correct))
    unsure = decided and not changed and plain
    if unsure and not moved:
        kind = "cannot tell"
    features, kpi = _moved(tests, alpha / 2) if moved else [], _kpi(parts, loss_words if losses else "KPI")
    inputs = f"{_inputs(features, joint) if moved else _still(tests)} ({told(data_p)})"
    if kind != "cannot tell" or unsure:
        wanted = _rows_wanted(parts.p_value, min(len(reference_rows), len(current_rows)), level=alpha / 2) if unsure else None
        message = _whole(kind, parts, inputs, unsure=unsure, wanted=wanted, moved=moved, kpi=kpi)
    else:
        message = _unknown(parts, inputs, data_p=data_p, kpi=kpi)
    return Verdict(
        drift=moved or changed,
        kind=kind,
        rule=RULE,
        message=message,
        statistic=parts.concept.change,
        threshold=0.0,
        lower=parts.concept.lower,
        upper=parts.concept.upper,
        p_value=_bonferroni([data_p, parts.p_value], questions=2),
        false_alarm_rate=alpha,
        features=tuple(test.feature for test in features),
    )


def settled(told: Verdict) -> Verdict:
    """The kind for a KPI that is proven to be bad: the one found, else "data" where the inputs have moved, else "cannot tell".

    Message and kind agree.
    """
    if told.kind in answer.TOLD:
        return told
    if told.drift:
        return replace(told, kind="data", message=told.message.replace(_UNTOLD, _HALF, 1))
    return replace(told, kind="cannot tell")


def _bonferroni(p_values: Sequence[float], *, questions: int) -> float:
    known = [p for p in p_values if not math.isnan(p)]
    return min(1.0, questions * min(known)) if known else math.nan


def _moved(tests: Sequence[FeatureTest], alpha: float) -> list[FeatureTest]:
    return sorted((test for test in tests if test.corrected <= alpha), key=lambda test: -test.farthest)


def _kpi(parts: Decomposition, name: str) -> str:
    name = f"the {name}"
    known = [f"{kpi:.3f} on the {side}" for side, kpi in (("reference", parts.reference_kpi), ("current", parts.current_kpi)) if not math.isnan(kpi)]
    if len(known) < 2:  # a side without rows has no KPI
        return f"{name} is {known[0]} rows and unknown on the other side" if known else f"{name} is unknown on either side"
    return f"{name} went from {parts.reference_kpi:.3f} to {parts.current_kpi:.3f}"


def _unknown(parts: Decomposition, inputs: str, *, data_p: float, kpi: str) -> str:
    """The message when a test is undecided; `kpi` is how it changed."""
    tail = "" if math.isnan(data_p) else f"; {inputs}"
    return f"{_UNTOLD}: {parts.message.removeprefix('cannot tell the parts: ')}. {kpi[0].upper()}{kpi[1:]}{tail}."


def _whole(kind: Kind, parts: Decomposition, inputs: str, *, unsure: bool, wanted: int | None, moved: bool, kpi: str) -> str:
    worth = f", effective sample size of the reference rows {parts.effective_rows:.0f}" if moved else ""
    found = f"({told(parts.p_value)}{worth})"
    if unsure:
        more = f"about {wanted:,} rows on each side would settle it" if wanted else f"more than {MOST_WANTED} times as many rows would be needed"
        equal = f"Not proven whether the errors on equal inputs have changed {found}: errors in long runs leave few independent samples; {more}"
    elif kind in ("concept", "both"):
        equal = f"On equal inputs the model's errors have changed {found}"
    else:
        equal = f"The rest is within noise {found}"
    head = _UNTOLD if kind == "cannot tell" else answer.KINDS[kind].capitalize()
    return f"{head}: {kpi}, of which the inputs explain {parts.data.change:+.3f}; the rest is {parts.concept}. {equal}; {inputs}."


def _plainly_apart(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether the two means differ by more than two standard errors, assuming independent rows."""
    before, now = (np.asarray(side, np.float64) for side in (before, now))
    if min(len(before), len(now)) < 2:
        return False
    error = math.sqrt(before.var(ddof=1) / len(before) + now.var(ddof=1) / len(now))
    return abs(float(now.mean() - before.mean())) > 2 * error


def _rows_wanted(p: float, rows: int, *, level: float) -> int | None:
    """Approximate rows on each side that would prove the change if it persists; None if undefined.

    >>> _rows_wanted(0.3, 150, level=0.025), _rows_wanted(0.99, 150, level=0.025)
    (702, None)
    """
    times = (stats.norm.isf(level / 2) / max(stats.norm.isf(min(p, 1.0) / 2), 1e-9)) ** 2
    return math.ceil(times * rows) if times <= MOST_WANTED else None


def _still(tests: Sequence[FeatureTest]) -> str:
    untold = sum(test.untold for test in tests)
    but = f", but {untold} of {len(tests)} features had too little data" if untold else ""
    return f"the inputs have not moved beyond noise{but}"


def _inputs(features: Sequence[FeatureTest], joint: Domain) -> str:
    if not features:
        return f"no single feature has moved, but the joint distribution has: a classifier separates new rows from old with AUC {joint.auc:.2f}"
    farthest = shift_words.listed(test.words for test in features[:_NAMED])
    more = f" and {len(features) - _NAMED} more" if len(features) > _NAMED else ""
    return f"the inputs have moved, {farthest}{more}"
