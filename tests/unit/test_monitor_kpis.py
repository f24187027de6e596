"""The monitor judges by every KPI as the watch does: the same figures, verdicts and words on the same rows."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import kpi_streams
import numpy as np
import pytest
from kpi_streams import ROWS, Answered

from driftloop.errors import SettingsError
from driftloop.metrics.kpi_names import KPIS
from monitoring import prometheus
from monitoring.online import judging
from monitoring.online.watcher import Watcher
from monitoring.records import events
from monitoring.stream_settings import StreamConfig

CASES = [(name, classes) for name, kpi in KPIS.items() for classes in ((2, 3) if kpi.task == "classification" else (0,))]
GOOD, BAD = 8, 60  # blocks


def watcher(config: StreamConfig) -> Watcher:
    return Watcher(config, find_reference=lambda version: kpi_streams.reference(config))


def feed(made: Watcher, records: list[dict[str, Any]]) -> None:
    read = [events.from_json(record) for record in records]
    for record in read:
        made.check(record)
    made.take(read)


def worsening(classes: int) -> Answered:
    good, bad = kpi_streams.answered(GOOD * ROWS, classes=classes, seed=1), kpi_streams.answered(BAD * ROWS, classes=classes, worse=0.9, seed=2)
    return Answered(np.concatenate([good.labels, bad.labels]), np.concatenate([good.outputs, bad.outputs]))


@pytest.mark.parametrize(("kpi", "classes"), CASES)
def test_blocks_verdicts_and_words_are_those_of_the_watch(kpi: str, classes: int) -> None:
    config, rows = kpi_streams.stream(kpi, classes), worsening(classes)
    made, rule, measured = watcher(config), kpi_streams.rule(kpi, classes), kpi_streams.doing(kpi, classes)
    alarms: list[int] = []
    for block in range(GOOD + BAD):
        some = rows.part(slice(block * ROWS, (block + 1) * ROWS))
        expected = rule.update(kpi_streams.losses(kpi, some, classes))
        feed(made, kpi_streams.records(config, some, first=block * ROWS))
        if not block:
            assert made.intake.versions["1"].blocks == 0  # none is judged before the reference is there
            made._look_for_references()
        version = made.intake.versions["1"]
        found = version.verdict
        assert found is not None and version.blocks == block + 1
        np.testing.assert_allclose(version.scores[-1].kpi, measured.value(kpi_streams.losses(kpi, some, classes)), rtol=0, atol=1e-9)
        told = asdict(expected)
        figures = {name: value for name, value in told.items() if isinstance(value, float)}
        np.testing.assert_allclose([getattr(found, name) for name in figures], list(figures.values()), rtol=1e-9)
        assert (found.drift, found.kind, found.rule, found.message) == tuple(told[name] for name in ("drift", "kind", "rule", "message"))
        alarms += [block] * found.drift
    assert alarms and min(alarms) >= GOOD, "the rule has alarmed, and only after the change"


@pytest.mark.parametrize(("kpi", "classes"), CASES)
def test_the_kpi_of_the_newest_rows_and_its_interval_are_the_watchs(kpi: str, classes: int) -> None:
    config, rows = kpi_streams.stream(kpi, classes), kpi_streams.answered(3 * ROWS, classes=classes, seed=3)
    made, measured = watcher(config), kpi_streams.doing(kpi, classes)
    feed(made, kpi_streams.records(config, rows))
    given = kpi_streams.losses(kpi, rows, classes)
    figure = made.known().kpi
    np.testing.assert_allclose((figure.value, figure.lower, figure.upper), (measured.value(given), *measured.interval(given)), rtol=0, atol=1e-9)
    samples = {sample.name: sample for sample in made.known().samples()}
    assert {prometheus.METRICS[name].kind for name in samples} == {"gauge"}
    assert samples["driftloop_kpi"].labels == (config.name, "1", kpi) and samples["driftloop_kpi"].value == figure.value
    assert samples["driftloop_kpi_threshold"].labels == (config.name, kpi)
    assert made.known().as_json()["kpi"]["name"] == kpi


@pytest.mark.parametrize(("kpi", "classes"), [case for case in CASES if not KPIS[case[0]].own])
def test_a_chosen_kpi_is_shown_beside_the_best_constant_answer(kpi: str, classes: int) -> None:
    config, rows = kpi_streams.stream(kpi, classes), kpi_streams.answered(3 * ROWS, classes=classes, seed=3)
    made, measured = watcher(config), kpi_streams.doing(kpi, classes)
    feed(made, kpi_streams.records(config, rows))
    name, outputs = measured.baseline(len(rows))  # type: ignore[attr-defined]
    found = made.known().baselines
    np.testing.assert_allclose(found[name].value, measured.value(measured.losses_of(rows.labels, outputs)), rtol=0, atol=1e-9)
    assert "fallback" in found and ("no_change" in found) == (kpi in {"cost", "balanced_accuracy", "f1"})


@pytest.mark.parametrize(("kpi", "classes"), [(kpi, classes) for kpi, classes in CASES if KPIS[kpi].per_row or classes == 2])
def test_a_new_version_after_a_drift_is_on_probation_and_passes_it(kpi: str, classes: int) -> None:
    config, rows = kpi_streams.stream(kpi, classes, threshold=_easy(kpi, classes), alpha=0.4), worsening(classes)
    made = watcher(config)
    feed(made, kpi_streams.records(config, rows))
    made._look_for_references()
    first = made.intake.versions["1"]
    assert first.proven and made.known().answer.health == "drifted"
    feed(made, kpi_streams.records(config, kpi_streams.answered(150 * ROWS, classes=classes, seed=5), first=len(rows), version="2"))
    made._look_for_references()
    second = made.intake.versions["2"]
    assert second.blocks == 150 and not second.proven and judging.probation_of(second.rule).blocks == 0, second.verdict


def _easy(kpi: str, classes: int) -> float:
    """A threshold that the good model clearly reaches and the bad one clearly misses."""
    measured = kpi_streams.doing(kpi, classes)
    good, bad = (
        measured.value(kpi_streams.losses(kpi, rows, classes)) for rows in (kpi_streams.BEFORE[classes], worsening(classes).part(slice(GOOD * ROWS, None)))
    )
    return float((good + bad) / 2)


@pytest.mark.parametrize("kpi", ["brier", "log_loss", "roc_auc", "average_precision"])
def test_rows_without_the_probabilities_that_a_kpi_needs_are_left_out_and_counted(kpi: str) -> None:
    config, rows = kpi_streams.stream(kpi, 2), kpi_streams.answered(4 * ROWS, classes=2, seed=3)
    made = watcher(config)
    half = 2 * ROWS
    feed(made, kpi_streams.records(config, rows.part(slice(half))) + kpi_streams.records(config, rows.part(slice(half, None)), first=half, sure=False))
    made._look_for_references()
    known = made.known()
    assert known.kpi.rows == half and not math.isnan(known.kpi.value)
    assert known.note == f"{half:,} of the newest {2 * half:,} labelled rows have no probabilities, which the KPI {kpi} needs: they are left out"
    version = made.intake.versions["1"]
    assert version.blocks == 4 and version.verdict is not None and version.verdict.message == "no rows to judge"
    assert not version.drift and version.evidence is not None and not math.isnan(version.evidence)


@pytest.mark.parametrize("kpi", ["cost", "balanced_accuracy", "f1", "accuracy"])
def test_a_kpi_of_decisions_needs_no_probabilities(kpi: str) -> None:
    config, rows = kpi_streams.stream(kpi, 3), kpi_streams.answered(2 * ROWS, classes=3, seed=3)
    made = watcher(config)
    feed(made, kpi_streams.records(config, rows, sure=False))
    measured = kpi_streams.doing(kpi, 3)
    assert made.known().kpi.value == pytest.approx(measured.value(kpi_streams.losses(kpi, rows, 3)), abs=1e-9)
    assert made.known().note == ""


@pytest.mark.parametrize("kpi", ["cost", "balanced_accuracy", "f1", "accuracy", "brier"])
def test_an_answer_that_is_no_label_counts_as_wrong(kpi: str) -> None:
    config = kpi_streams.stream(kpi, 3)
    scoring = judging.Scoring(config)
    labels, certain = scoring.codes(["a", "b", "c"]), np.full(3, 3.0)
    assert scoring.codes(["unknown"]).tolist() == [3.0]
    losses = scoring.by_row(scoring.losses(labels, certain))
    if kpi == "cost":
        assert losses.tolist() == [2.0, 1.5, 4.0]  # the most expensive
    else:
        assert (losses > 0).all()


@pytest.mark.parametrize("kpi", ["f1", "roc_auc", "average_precision"])
def test_blocks_of_one_class_prove_nothing_and_end_nothing(kpi: str) -> None:
    config = kpi_streams.stream(kpi, 2, threshold=_easy(kpi, 2), alpha=0.4)
    made, rows = watcher(config), worsening(2)
    feed(made, kpi_streams.records(config, rows))
    made._look_for_references()
    assert made.intake.versions["1"].drift
    only = kpi_streams.answered(20 * ROWS, classes=2, seed=8)
    common = int(np.argmax(config.shares))
    some = Answered(only.labels[only.labels == common], only.outputs[only.labels == common])
    feed(made, kpi_streams.records(config, some, first=len(rows)))
    assert made.intake.versions["1"].drift and made.known().answer.health == "drifted"


def test_a_kpi_of_the_class_shares_is_refused_where_they_are_unknown() -> None:
    for kpi in ("balanced_accuracy", "f1", "roc_auc", "average_precision"):
        with pytest.raises(SettingsError, match="depends on the class shares of the model's training rows"):
            judging.Scoring(replace(kpi_streams.stream(kpi, 2), shares=()))


def test_the_state_of_every_kpi_is_the_same_after_the_log_is_read_again() -> None:
    for kpi, classes in CASES:
        config, rows = kpi_streams.stream(kpi, classes), worsening(classes).part(slice(12 * ROWS))
        records = kpi_streams.records(config, rows)
        states = []
        for _ in range(2):
            made = watcher(config)
            feed(made, records)
            made._look_for_references()
            states.append(made.known().as_json())
        assert states[0] == states[1]


def test_a_reference_of_an_earlier_version_leaves_the_autocorrelation_unknown() -> None:
    config, rows = kpi_streams.stream("brier", 3), kpi_streams.answered(2 * ROWS, classes=3, seed=3)
    made = Watcher(config, find_reference=lambda version: replace(kpi_streams.reference(config), outputs=None))
    feed(made, kpi_streams.records(config, rows))
    made._look_for_references()
    known = made.known()
    assert known.note.startswith("the training reference of version 1 lacks the probabilities of all classes, which the KPI brier needs")
    assert made.intake.versions["1"].blocks == 2 and "effective sample size is rows / 20.0" in known.as_json()["message"]
