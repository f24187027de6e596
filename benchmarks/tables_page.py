"""The page of `benchmarks.tables`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from driftloop.report import wording

Table = Mapping[str, Any]
FIT_S: Final = 30.0  # of 100,000 rows
LARGE: Final = 50_000  # rows from which seconds grow with the rows; smaller tables take smaller steps
BARE: Final = 1.3
# Our least accuracy, or largest MAE: what a default gradient boosting reached when the targets were set, and of the taxis the model that was
# written for them, which this learner has replaced.
TARGETS: Final = {"car_loan": 0.918, "car_loan_dq": 0.906, "cards": 0.62, "car_price": 722.0, "taxi": 2.869}


def page(found: Mapping[str, Table]) -> str:
    """The page, from what was measured of each table."""
    tables = list(found.values())
    classes = [one for one in tables if one["task"] == "classification"]
    values = [one for one in tables if one["task"] == "regression"]
    seeds = len(tables[0]["ours"])
    lines = [
        "# Tables: the table learner with its defaults",
        "",
        f"Written by `python -m benchmarks.tables`. Trained on the oldest rows, tested on the rest; no search, {seeds} seeds: mean [lowest, highest]. "
        "Settings were chosen on the newest tenth of the training rows, never on the test rows. In the same run: scikit-learn's HistGradientBoosting with its "
        "defaults and native categories (a column of more than 255 as numbers), its MLPClassifier or MLPRegressor with their defaults on scaled numbers and "
        "one-hot categories, the majority class or median of the training rows, and, of ELEC, the model that was written for it.",
        "",
        "The first four are the public quick-start tables of NannyML (car loans, with missing values in car_loan_dq; cards; car prices). Their newest rows "
        "have drifted, so that what is reached there is less than on rows like those of the training.",
        "",
        "## Classes: accuracy, %",
        "| table | trained on | tested on | majority | gradient boosting | scikit-learn's network | own model | **table learner** | κ | κ-temporal |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_classes(one) for one in classes),
        "",
        "## Values: MAE",
        "| table | trained on | tested on | median | gradient boosting | scikit-learn's network | own model | **table learner** |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(_values(one) for one in values),
        "",
        "## What a fit costs",
        "Seconds of the whole fit by the clock, on a machine that may have been busy; the ratios are of processor time, one thread each. The bare "
        "loop takes "
        "the same network, chunks, steps and optimizer without Lightning; scikit-learn's network is a single one with 100 units that stops by itself.",
        "",
        "| table | rows | seconds, lowest of the seeds | s for 100,000 rows | ratio to the bare loop | ratio to scikit-learn's network |",
        "|---|---:|---:|---:|---:|---:|",
        *(_cost(one) for one in tables),
        "",
        "## Targets",
        *(f"- {'met' if met else '**missed**'}: {words}" for words, met in targets(found)),
    ]
    return "\n".join(lines) + "\n"


def targets(found: Mapping[str, Table]) -> list[tuple[str, bool]]:
    """Each target in words, and whether it is met."""
    told = []
    for name, target in TARGETS.items():
        one = found[name]
        regression = one["task"] == "regression"
        mean = _mean(one["ours"])
        words = f"MAE {mean:.4g}, at most {target:g}" if regression else f"{wording.percent(mean, digits=2)} %, at least {wording.percent(target)} %"
        told.append((f"{name}: {words}", mean <= target if regression else mean >= target))
    for one in found.values():
        if one["own"]:
            regression = one["task"] == "regression"
            ours, own = _mean(one["ours"]), _mean(one["own"])
            told.append((f"{one['name']}: not worse than its own model ({_kpi(one, ours)} and {_kpi(one, own)})", ours <= own if regression else ours >= own))
    slowest = max((one for one in found.values() if one["trained"] >= LARGE), key=_per_100_000)
    told.append((f"a fit of 100,000 rows within {FIT_S:g} s (at most {_per_100_000(slowest):.1f} s, {slowest['name']})", _per_100_000(slowest) <= FIT_S))
    dearest = max(found.values(), key=lambda one: one["bare"])
    told.append((f"at most {BARE:g} times a bare loop (at most {dearest['bare']:.2f}, {dearest['name']})", dearest["bare"] <= BARE))
    return told


def _mean(scores: Sequence[Mapping[str, float]], key: str = "kpi") -> float:
    return sum(score[key] for score in scores) / len(scores)


def _kpi(one: Table, value: float) -> str:
    if one["task"] == "classification":
        return wording.percent(value, digits=2)
    return f"{value:,.0f}" if one["constant"] > 100 else f"{value:.3f}"


def _range(one: Table, scores: Sequence[Mapping[str, float]]) -> str:
    if not scores:
        return ""
    each = [score["kpi"] for score in scores]
    return f"{_kpi(one, _mean(scores))} [{_kpi(one, min(each))}, {_kpi(one, max(each))}]"


def _reached(one: Table) -> str:
    peers = [one["constant"], one["boosting"]["kpi"], one["network"]["kpi"]]
    cells = [
        one["name"],
        f"{one['trained']:,}",
        f"{one['tested']:,}",
        *(_kpi(one, value) for value in peers),
        _range(one, one["own"]),
        _range(one, one["ours"]),
    ]
    return f"| {' | '.join(cells)} |"


def _classes(one: Table) -> str:
    return f"{_reached(one)} {_mean(one['ours'], 'kappa'):.2f} | {_signed(_mean(one['ours'], 'kappa_temporal'))} |"


def _values(one: Table) -> str:
    return _reached(one)


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _per_100_000(one: Table) -> float:
    return 1e5 * min(one["seconds"]) / one["trained"]


def _cost(one: Table) -> str:
    scaled = f"{_per_100_000(one):.1f}" if one["trained"] >= LARGE else ""
    return f"| {one['name']} | {one['trained']:,} | {min(one['seconds']):.1f} | {scaled} | {one['bare']:.2f} | {one['network_ratio']:.2f} |"
