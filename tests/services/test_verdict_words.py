"""Every word about a verdict, over all verdict states and KPI intervals: a KPI that is bad, or not known, is never told as calm."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import batch_fixtures as made
import pytest
from pages import Page
from watch_sample import make_result

from driftloop.drift.answer import HEALTHS, KINDS, TOLD, Answer, Standing
from driftloop.drift.verdict import Verdict
from driftloop.metrics.goal import Goal
from driftloop.metrics.results import BlockScore, WatchResult
from driftloop.metrics.task import CLASSIFICATION, REGRESSION
from driftloop.report import kpi_words, notes, terminal, watch_report, wording
from monitoring import stream_settings
from monitoring.batch import flow, history
from monitoring.batch.measures import measure
from monitoring.batch.measures.window_measures import Interval, Measures
from monitoring.batch.report import index, measure_words, timeline
from monitoring.batch.report import window_report as batch_report
from monitoring.online.judging import Figure
from monitoring.online.state import Known

THRESHOLD = 0.8
STREAMS = stream_settings.load()
ELEC, TAXI = (replace(one, blocks=one.blocks[:2]) for one in (made.elec(), made.taxi(3)))
CALM = re.compile(r"\b[Nn]o drift\b|[Nn]othing to do|\bNothing\.|right as before|errs as before|[Nn]o action|has not drifted|KPI holds|\b[Cc]alm\b")
INTERVALS = {  # of an accuracy: value, lower, upper
    "under": (0.35, 0.28, 0.43),
    "just under": (0.79, 0.78, 0.799),
    "across, low": (0.78, 0.70, 0.85),
    "across, high": (0.82, 0.75, 0.88),
    "above": (0.95, 0.92, 0.97),
    "unbounded": (0.5, math.nan, math.nan),
    "none": (math.nan, math.nan, math.nan),
}
STATES = list(itertools.product(INTERVALS, (False, True), ("none", *TOLD, "quality", "cannot tell", "performance"), (False, True), (False, True)))


@dataclass(frozen=True)
class State:
    """A KPI's interval, whether drift of it is proven, and what else is known."""

    interval: str
    proven: bool
    told: str
    moved: bool
    bad_data: bool

    @property
    def allowed(self) -> bool:
        """Whether it may be said that there is no drift."""
        return self.interval == "above" and not self.proven

    def standing(self, *, higher: bool = True) -> Standing:
        value, lower, upper = (INTERVALS[self.interval]) if higher else _mirrored(INTERVALS[self.interval])
        goal = Goal(CLASSIFICATION, THRESHOLD) if higher else Goal(REGRESSION, 1 - THRESHOLD)
        return Standing(value, lower, upper, goal, drifted=self.proven)


def _mirrored(interval: tuple[float, float, float]) -> tuple[float, float, float]:
    value, lower, upper = interval
    return 1 - value, 1 - upper, 1 - lower


def states() -> Iterator[State]:
    yield from (State(*one) for one in STATES)


def said(text: str, state: State) -> None:
    if not state.allowed:
        assert not CALM.search(text), (state, CALM.search(text), text[:2000])


@pytest.mark.parametrize("higher", [True, False])
def test_both_answers_are_of_the_vocabulary_and_calm_only_where_the_kpi_is_known_to_be_good(higher: bool) -> None:
    for state in states():
        answer = Answer.of(state.standing(higher=higher), told=state.told, moved=state.moved, bad_data=state.bad_data)
        assert answer.health in HEALTHS
        assert answer.kind in KINDS
        assert answer.calm <= state.allowed
        assert (answer.health == "drifted") is state.proven
        if state.proven or state.standing(higher=higher).under or answer.health == "no labels":
            assert answer.kind != "none"
        said(answer.words, state)


def window(state: State, *, higher: bool) -> Measures:
    base = ELEC if higher else TAXI
    standing = state.standing(higher=higher)
    threshold = standing.goal.threshold
    kpi = Interval(standing.value, standing.lower, standing.upper, 0 if math.isnan(standing.value) else 400)
    verdict = replace(
        base.verdict,
        drift=state.proven or state.moved,
        kpi_drift=state.proven,
        data_drift=state.moved,
        kind=state.told,
        sentence="",
        kpi_message="",
        data_message="",
        kind_message="",
    )
    features = tuple(replace(one, moved=state.moved) for one in base.features[:1])
    return replace(
        base,
        threshold=threshold,
        kpi=kpi,
        verdict=replace(verdict, sentence=measure_words.headline(replace(base, kpi=kpi, threshold=threshold, verdict=verdict, features=features))),
        quality=replace(base.quality, bad=state.bad_data),
        features=features,
        blocks=tuple(replace(block, drift=state.proven) for block in base.blocks),
        next_step="",
        notes=(),
        estimate="",
    )


@pytest.mark.parametrize("higher", [True, False])
def test_no_word_of_batch_monitoring_is_calm_where_the_kpi_is_not_good(higher: bool) -> None:
    for state in states():
        one = window(state, higher=higher)
        texts = [
            measure_words.verdict(one),
            measure_words.found(one),
            measure_words.headline(one),
            measure_words.of_all([one]),
            flow.line(one),
            flow.summary(one),
        ]
        texts += [index.table([one], {}), history.text([one]), timeline._look(one).name, timeline._told(one)]
        assert (measure_words.tone(one) == "calm") is state.allowed
        for text in texts:
            said(text, state)


@pytest.mark.parametrize("higher", [True, False])
def test_no_page_of_batch_monitoring_is_calm_where_the_kpi_is_not_good(higher: bool) -> None:
    for state in states():
        if state.told in {"none", "cannot tell"}:
            one = window(state, higher=higher)
            for page in (batch_report.html(one), index.html("x", [one], {})):
                said(Page(page).text, state)


@pytest.mark.parametrize("higher", [True, False])
def test_no_next_step_is_nothing_where_the_kpi_is_not_good(higher: bool) -> None:
    for state in states():
        one = window(state, higher=higher)
        judged = [type("Judged", (), {"version": "7", "drift": state.proven, "rows": range(400), "in_sample": False})]
        seen: Any = type(
            "Seen",
            (),
            {
                "config": STREAMS["elec"],
                "window": one.window,
                "rows": range(1000),
                "labels": type("Labels", (), {"labelled": 1000, "coverage": 1.0, "immature": 0}),
                "tests": one.features,
                "quality": one.quality,
                "judged": judged,
                "verdict": one.verdict,
            },
        )
        said(measure._next_step(seen, one), state)


def known(state: State, *, higher: bool) -> Known:
    stream = replace(STREAMS["elec" if higher else "taxi"], threshold=state.standing(higher=higher).goal.threshold)
    standing = state.standing(higher=higher)
    kpi = Figure(standing.value, standing.lower, standing.upper, 0 if math.isnan(standing.value) else 400)
    told = Verdict(drift=True, kind=state.told, rule="kind", message=f"({state.told})") if state.proven else None  # type: ignore[arg-type]
    flags = {"performance": state.proven, "data": state.moved, "quality": state.bad_data}
    nothing = Figure(math.nan, math.nan, math.nan, 0)
    return Known(stream, "1", "1", flags, None, told, None, "", kpi, {}, 5, "", 1.0, None, None, (), (), nothing, {})


@pytest.mark.parametrize("higher", [True, False])
def test_the_monitor_says_the_same_in_every_key(higher: bool) -> None:
    for state in states():
        found = known(state, higher=higher).as_json()
        said(f"{found['verdict']} {found['kind']} {found['message']} {found['reason']}", state)
        assert found["kinds"]["performance"] is (found["health"] == "drifted")
        assert found["verdict"].startswith(found["health"])
        if found["health"] == "drifted" and found["kind_message"] == "(cannot tell)" and not state.bad_data:
            assert found["kind"] == "cannot tell"


def watch(state: State, *, regression: bool) -> WatchResult:
    base = make_result(4, retrains=0)
    standing = state.standing(higher=not regression)
    changes: dict[str, Any] = {"lower": standing.lower, "upper": standing.upper, "threshold": standing.goal.threshold, "drift": state.proven}
    task = "regression" if regression else "classification"
    kind = Answer.of(standing, told=state.told, bad_data=state.bad_data).kind
    scores: list[BlockScore] = [replace(score, **changes, kpi=standing.value, task=task, kind=kind) for score in base.scores]
    result = replace(base, scores=tuple(scores), threshold=standing.goal.threshold, task=task, kpi=standing.value, notes=(), findings=(), rule="significant")
    return replace(result, notes=notes.of_limits(result, 5), baselines={} if regression else base.baselines)


@pytest.mark.parametrize("regression", [False, True])
def test_no_word_of_a_watch_is_calm_where_the_kpi_is_not_good(regression: bool) -> None:
    for state in states():
        if state.moved:
            continue
        result = watch(state, regression=regression)
        texts = [terminal.summary_text(result), terminal.blocks_text(result.scores), *kpi_words.verdict(result), *result.notes]
        if state.proven:
            texts.append(terminal.advice_text(result, command="x"))
        for text in texts:
            said(text, state)
        for score in result.scores:
            assert (wording.drifted(score) == "yes") is state.proven
            if wording.standing(score).under:
                assert wording.drifted(score) != "no"
            assert score.kind != "none" or not (state.proven or wording.standing(score).under)


@pytest.mark.parametrize("regression", [False, True])
def test_no_report_of_a_watch_is_calm_where_the_kpi_is_not_good(regression: bool) -> None:
    for interval, proven in itertools.product(INTERVALS, (False, True)):
        state = State(interval, proven, "cannot tell", False, False)
        said(Page(watch_report.report_html(watch(state, regression=regression))).text, state)
