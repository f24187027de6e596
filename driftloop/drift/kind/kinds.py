"""Which kind of drift: did the inputs move (data), did the labels' relation to them (concept), both, or neither?

Two questions are asked of the same rows. Did P(X) move: the tests of single features and the domain classifier, Bonferroni over the
two. Did the KPI change beyond what P(X) explains: the decomposition. Each is asked at half of alpha, so that the chance of any
false alarm in one comparison stays under alpha. Right or wrong is all that is seen of the labels: with two classes P(Y|X) cannot
move without it, with more a change among the wrong classes stays unseen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from scipy import stats

from driftloop.drift import answer
from driftloop.drift.inputs import distribution, domain
from driftloop.drift.inputs.dependence import told
from driftloop.drift.inputs.distribution import FeatureTest
from driftloop.drift.inputs.domain import Domain
from driftloop.drift.kind.decomposition import Decomposition, decompose
from driftloop.drift.verdict import Kind, Verdict

RULE: Final = "kind"
_KINDS: Final[dict[tuple[bool, bool], Kind]] = {(False, False): "none", (True, False): "data", (False, True): "concept", (True, True): "both"}
_UNTOLD: Final = "Cannot tell the kind of drift"
_HALF: Final = "Data drift; whether the concept has changed as well is unknown"
_HEADS: Final[dict[Kind, str]] = {
    "none": "No drift",
    "cannot tell": _UNTOLD,
    "data": "Data drift",
    "concept": "Concept drift",
    "both": "Data and concept drift",
}
MOST_WANTED: Final = 20  # times the rows there were: what would take more to prove is as good as nothing
_NAMED = 3  # features told in the message


def tell(
    reference_rows: np.ndarray,
    reference_correct: np.ndarray,
    current_rows: np.ndarray,
    current_correct: np.ndarray,
    *,
    names: Sequence[str],
    alpha: float = 0.05,
    seed: int = 7,
    losses: bool = False,
    fallen: bool = False,
    edges: int = 1,
) -> Verdict:
    """Compare current rows with reference rows that the model was not fitted on either.

    A concept drift may raise the KPI or leave it as it is; it is one all the same.

    Args:
        reference_rows: (N, F) finite numbers in time order.
        reference_correct: (N,) 1 or True where the model was right.
        current_rows: (M, F) likewise.
        current_correct: (M,) likewise.
        names: (F,) the features' names.
        alpha: chance, in (0, 1), that a comparison without drift is called drift of any kind.
        seed: of shuffles and resampling.
        losses: as in `decompose`, for a regression: the KPI is then the mean loss.
        fallen: a drift rule has proven already that the KPI is worse than its threshold. Then "none" is no answer.
        edges: among how many places to part reference from current this one was chosen by the errors; their test is corrected for it.

    Returns:
        the verdict of rule "kind". `statistic` is the part of the KPI's change that P(X) does not explain, with the bounds of
        its interval, `p_value` the smaller of the two questions' after correction, `features` those that moved, the farthest
        (KS) first. "cannot tell" when there are too few rows, or when P(X) moved so far that the old rows say nothing of
        the new ones; then `drift` is still True if P(X) moved. So it is called, too, when P(X) stayed and the test of the rest does not find
        enough, but the KPI has plainly changed: its fall is proven, or an interval excludes 0, be it one that takes rows as independent. Rows that
        err in long runs leave few independent stretches: not proven is not "not so".

    Raises:
        ValueError: shapes that do not fit, values that are not finite or not 0 and 1, or alpha outside (0, 1).

    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.random((1000, 2)), rng.random((1000, 2))
    >>> right = rng.random(1000) < 0.9, rng.random(1000) < np.where(new[:, 0] > 0.7, 0.4, 0.9)
    >>> verdict = tell(old, right[0], new, right[1], names=("a", "b"))
    >>> verdict.drift, verdict.kind, verdict.features
    (True, 'concept', ())
    """
    tests = distribution.compare(reference_rows, current_rows, names=names, alpha=alpha / 4, seed=seed)
    joint = domain.classify(reference_rows, current_rows, permutations=max(299, math.ceil(8 / alpha)), seed=seed)
    parts = decompose(reference_rows, reference_correct, current_rows, current_correct, domain=joint, alpha=alpha, seed=seed, losses=losses)
    parts = replace(parts, p_value=min(1.0, edges * parts.p_value) if edges > 1 else parts.p_value)
    data_p = _bonferroni([*(test.corrected for test in tests), joint.p_value], questions=2)
    moved, changed = data_p <= alpha / 2, parts.p_value <= alpha / 2
    # A question without an answer is no "no": P(X) may be told from fewer rows than the rest.
    known = not math.isnan(parts.p_value) and not math.isnan(data_p)
    kind = _KINDS[moved, changed] if known or (changed and moved) else "cannot tell"
    # The KPI may have changed plainly where the test, which asks for more, finds nothing: that is no proof, but no "as before" either.
    plain = not parts.concept.lower <= 0 <= parts.concept.upper or fallen or (not moved and _plainly_apart(reference_correct, current_correct))
    unsure = known and not changed and plain
    if unsure and not moved:
        kind = "cannot tell"
    features = _moved(tests, alpha / 2) if moved else []
    inputs = f"{_inputs(features, joint) if moved else _still(tests)} ({told(data_p)})"
    if kind != "cannot tell" or unsure:
        wanted = _rows_wanted(parts.p_value, min(len(reference_rows), len(current_rows)), level=alpha / 2) if unsure else None
        message = _whole(kind, parts, inputs, unsure=unsure, wanted=wanted, moved=moved, losses=losses)
    else:
        message = _untold(parts, inputs, data_p=data_p, losses=losses)
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
    """The answer to why a KPI that is proven to be bad is bad: a kind that was told, else "data" where the inputs have moved, else "cannot tell".

    Its words and its kind say the same.
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
    return sorted((test for test in tests if test.corrected <= alpha), key=lambda test: -test.distance)


def _kpi(parts: Decomposition, *, losses: bool) -> str:
    name = f"the {'mean absolute error' if losses else 'KPI'}"
    known = [f"{kpi:.3f} on the {side}" for side, kpi in (("reference", parts.reference_kpi), ("current", parts.current_kpi)) if not math.isnan(kpi)]
    if len(known) < 2:  # a side without rows has none
        return f"{name} is {known[0]} rows, and the other side has none" if known else f"{name} is unknown on either side"
    return f"{name} went from {parts.reference_kpi:.3f} to {parts.current_kpi:.3f}"


def _untold(parts: Decomposition, inputs: str, *, data_p: float, losses: bool) -> str:
    """What can be said when a question has no answer."""
    kpi, tail = _kpi(parts, losses=losses), "" if math.isnan(data_p) else f"; {inputs}"
    return f"{_UNTOLD}: {parts.message.removeprefix('cannot tell the parts: ')}. {kpi[0].upper()}{kpi[1:]}{tail}."


def _whole(kind: Kind, parts: Decomposition, inputs: str, *, unsure: bool, wanted: int | None, moved: bool, losses: bool) -> str:
    worth = f", with the reference rows worth {parts.effective_rows:.0f}" if moved else ""
    found = f"({told(parts.p_value)}{worth})"
    if unsure:
        more = f"about {wanted:,} rows on each side would do" if wanted else f"it would take more than {MOST_WANTED} times as many rows"
        equal = (
            f"Whether the model errs as it did on equal inputs is not proven either way {found}: errors in long runs leave few independent stretches; {more}"
        )
    elif kind in ("concept", "both"):
        equal = f"On equal inputs the model {'does not err' if losses else 'is not right and wrong'} as before {found}"
    else:
        equal = f"The rest is within noise {found}"
    return (
        f"{_HEADS[kind]}: {_kpi(parts, losses=losses)}, of which the inputs explain {parts.data.change:+.3f}; the rest is {parts.concept}. {equal}; {inputs}."
    )


def _plainly_apart(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether the two means differ by more than two standard errors, rows taken as independent."""
    before, now = (np.asarray(side, np.float64) for side in (before, now))
    if min(len(before), len(now)) < 2:
        return False
    error = math.sqrt(before.var(ddof=1) / len(before) + now.var(ddof=1) / len(now))
    return abs(float(now.mean() - before.mean())) > 2 * error


def _rows_wanted(p: float, rows: int, *, level: float) -> int | None:
    """About how many rows on each side would prove the change, if it stays as it is; None where that is no number.

    >>> _rows_wanted(0.3, 150, level=0.025), _rows_wanted(0.99, 150, level=0.025)
    (702, None)
    """
    times = (stats.norm.isf(level / 2) / max(stats.norm.isf(min(p, 1.0) / 2), 1e-9)) ** 2
    return math.ceil(times * rows) if times <= MOST_WANTED else None


def _still(tests: Sequence[FeatureTest]) -> str:
    untold = sum(math.isnan(test.p_value) for test in tests)
    but = f", but {untold} of {len(tests)} features had too little data" if untold else ""
    return f"the inputs have not moved beyond noise{but}"


def _inputs(features: Sequence[FeatureTest], joint: Domain) -> str:
    if not features:
        return f"no single feature has moved, but all together have: a classifier tells new rows from old with AUC {joint.auc:.2f}"
    farthest = ", ".join(f"{test.feature} by KS {test.distance:.2f}" for test in features[:_NAMED])
    more = f" and {len(features) - _NAMED} more" if len(features) > _NAMED else ""
    return f"the inputs have moved, {farthest}{more}"
