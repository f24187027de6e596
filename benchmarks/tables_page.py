"""The page of `benchmarks.tables`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks import full_tables, script
from driftloop.report import wording

Table = Mapping[str, Any]
FIT_S: Final = 30.0  # of 100,000 rows
LARGE: Final = 50_000  # rows from which seconds grow with the rows; smaller tables take smaller steps
BARE: Final = 1.3
REPLACED: Final = {"taxi": 2.869}  # MAE of the model that was written for the taxis, which this learner has replaced


def page(found: Mapping[str, Table]) -> str:
    """The page, from what was measured of each table."""
    tables = list(found.values())
    classes = [one for one in tables if one["task"] == "classification"]
    values = [one for one in tables if one["task"] == "regression"]
    seeds = len(tables[0]["ours"])
    return script.page(
        "Tables: the table learner with its defaults",
        f"Written by `python -m benchmarks.tables --tables FOLDER`. Trained on the oldest rows, tested on the rest; no search, {seeds} seeds: mean "
        "[lowest, highest]. Settings were chosen on the newest tenth of the training rows, never on the test rows. In the same run: scikit-learn's "
        "HistGradientBoosting with its defaults and native categories (a column of more than 255 as numbers), its MLPClassifier or MLPRegressor with their "
        "defaults on scaled numbers and one-hot categories, the majority class or median of the training rows, and, of ELEC, the model that was written for "
        "it.",
        "The first four are the public quick-start tables of NannyML 0.13.1 (car loans, with missing values in car_loan_dq; cards; car prices), "
        f"{full_tables.rows_used({name: one['rows'] for name, one in found.items()})}. Their newest rows have drifted, so that what is reached there is less "
        "than on rows like those of the training.",
        "## Classes: accuracy, %",
        script.table(f"{_titles('majority')} | κ: | κ-temporal:", map(_classes, classes)),
        "## Values: MAE",
        script.table(_titles("median"), map(_reached, values)),
        "## What a fit costs",
        "Seconds of the whole fit by the clock, on a machine that may have been busy; the ratios are of processor time, one thread each. The bare loop takes "
        "the same network, chunks, steps and optimizer without Lightning; scikit-learn's network is a single one with 100 units that stops by itself.",
        script.table(
            "table | rows: | seconds, lowest of the seeds: | s for 100,000 rows: | ratio to the bare loop: | ratio to scikit-learn's network:",
            map(_cost, tables),
        ),
        "## Targets",
        "Gradient boosting is that of the same run, on the same rows.",
        script.targets(targets(found)),
    )


def targets(found: Mapping[str, Table]) -> list[tuple[str, bool]]:
    """Each target in words, and whether it is met."""
    told = []
    for name, one in found.items():
        peers = {"gradient boosting": one["boosting"]["kpi"]} | ({"its own model": _mean(one["own"])} if one["own"] else {})
        peers |= {"the model that it replaced": REPLACED[name]} if name in REPLACED else {}
        ours = _kpi(one, _mean(one["ours"]))
        told += [(f"{one['name']}: not worse than {peer} ({ours} and {_kpi(one, value)})", _not_worse(one, value)) for peer, value in peers.items()]
    large = [one for one in found.values() if one["trained"] >= LARGE]
    if large:
        slowest = max(large, key=_per_100_000)
        told.append((f"a fit of 100,000 rows within {FIT_S:g} s (at most {_per_100_000(slowest):.1f} s, {slowest['name']})", _per_100_000(slowest) <= FIT_S))
    dearest = max(found.values(), key=lambda one: one["bare"])
    told.append((f"at most {BARE:g} times a bare loop (at most {dearest['bare']:.2f}, {dearest['name']})", dearest["bare"] <= BARE))
    return told


def _not_worse(one: Table, than: float) -> bool:
    ours = _mean(one["ours"])
    return ours <= than if one["task"] == "regression" else ours >= than


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


def _titles(constant: str) -> str:
    return f"table | trained on: | tested on: | {constant}: | gradient boosting: | scikit-learn's network: | own model: | **table learner**:"


def _reached(one: Table) -> list[str]:
    peers = [one["constant"], one["boosting"]["kpi"], one["network"]["kpi"]]
    counts = f"{one['trained']:,}", f"{one['tested']:,}"
    return [one["name"], *counts, *(_kpi(one, value) for value in peers), _range(one, one["own"]), _range(one, one["ours"])]


def _classes(one: Table) -> list[str]:
    temporal = f"{_mean(one['ours'], 'kappa_temporal'):.2f}".replace("-", "−")
    return [*_reached(one), f"{_mean(one['ours'], 'kappa'):.2f}", temporal]


def _per_100_000(one: Table) -> float:
    return 1e5 * min(one["seconds"]) / one["trained"]


def _cost(one: Table) -> list[str]:
    scaled = f"{_per_100_000(one):.1f}" if one["trained"] >= LARGE else ""
    return [one["name"], f"{one['trained']:,}", f"{min(one['seconds']):.1f}", scaled, f"{one['bare']:.2f}", f"{one['network_ratio']:.2f}"]
