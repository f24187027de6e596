"""The benchmarks of the rules: streams are what they are said to be, alarms are scored rightly, the committed tables are in the written form."""

import itertools
from functools import partial

import numpy as np
import pytest

from benchmarks import detection, detection_page, error_streams, false_alarms, fleet, online_segments, script, segments
from benchmarks.error_streams import NEVER, Noise
from driftloop.drift.rules import catalogue
from driftloop.drift.rules.trivial import Random


def rows(table: str) -> list[str]:
    """The heads of a page's tables."""
    lines = table.splitlines()
    return [line for line, below in itertools.pairwise(lines) if below.startswith("|---")]


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_steady_errors_have_the_accuracy_and_the_correlation_asked_for(correlation: float) -> None:
    noise = Noise("", correlation=correlation)
    errors = error_streams.steady(np.random.default_rng(0), watches=20, block=48, accuracy=0.8, noise=noise).errors.astype(float)
    assert errors.mean() == pytest.approx(0.2, abs=0.01)
    assert np.corrcoef(errors[:, 1:].ravel(), errors[:, :-1].ravel())[0, 1] == pytest.approx(correlation, abs=0.02)


def test_a_wandering_accuracy_keeps_its_mean_and_moves_by_what_is_said() -> None:
    drawn = error_streams.steady(np.random.default_rng(0), watches=20, block=480, accuracy=0.8, noise=Noise("", wander=0.05))
    by_block = drawn.errors.reshape(20, -1, 480).mean(axis=2)
    assert by_block.mean() == pytest.approx(0.2, abs=0.01)
    assert by_block.std() == pytest.approx(np.sqrt(0.05**2 + 0.16 / 480), rel=0.1)


@pytest.mark.parametrize("gradual", [False, True])
def test_a_change_begins_where_it_is_said_to(gradual: bool) -> None:
    drawn = error_streams.drifting(np.random.default_rng(0), watches=30, block=400, before=0.9, after=0.3, gradual=gradual, noise=Noise(""))
    for watch, change in enumerate(drawn.changes):
        share = drawn.blocks(watch).mean(axis=1)
        assert share[:change].max() < 0.17
        assert share[change + error_streams.WIDTH :].min() > 0.6
        assert (share[change] > 0.5) != gradual


def test_alarms_are_right_only_from_the_change_on() -> None:
    changes = np.array([50, 50, 50, 50, 50])
    made = detection.score(np.array([49, 50, 55, 79, NEVER]), changes, false_alarms=1)
    assert (made.found, made.early, made.watches, made.false_alarms, made.delay) == (3, 1, 5, 1, 29)
    assert made.f1 == pytest.approx(2 * 3 / (2 * 3 + 2 + 2))  # 1 early and 1 without drift, 2 missed
    assert detection.score(changes, changes, false_alarms=0).f1 == 1


def test_the_most_sensitive_value_that_keeps_the_rate_is_taken() -> None:
    contender = detection.Contender("random", "rate", (0.1, 0.01, 1e-4, 0.0), lambda value, _: Random(value, seed=1))
    sample = detection._errors(Noise(""), 2, None, 40, 0)
    assert detection.tune(contender, sample, 2) == 1e-4
    assert not detection.keeps(partial(contender.make, 0.01), sample, 2)


def test_a_watch_is_heard_no_longer_than_the_horizon() -> None:
    sample = detection._errors(Noise(""), 20, "abrupt, to .50", 5, 0)
    late = [
        detection.first_alarm(catalogue.make("every", threshold=0.8, every=int(change) + detection.HORIZON + 1), sample.watches.blocks(watch))
        for watch, change in enumerate(sample.watches.changes)
    ]
    assert all(first == change + detection.HORIZON for first, change in zip(late, sample.watches.changes, strict=True))
    every = iter(sample.watches.changes + detection.HORIZON + 1)
    assert (detection.first_alarms(lambda threshold: catalogue.make("every", threshold=threshold, every=int(next(every))), sample) == NEVER).all()


def test_the_committed_table_of_false_alarms_is_as_the_script_writes_it() -> None:
    settings = list(false_alarms.kinds())
    rates = dict.fromkeys(false_alarms.NAMES, false_alarms.Rate(0, 400))
    text = false_alarms.page([(setting, rates) for setting in settings], command="python -m benchmarks.false_alarms")
    committed = script.page_of(false_alarms.__file__).read_text(encoding="utf-8")
    assert rows(committed) == rows(text)
    assert [line.split("|")[1:5] for line in committed.splitlines() if line.startswith("| ")] == [
        line.split("|")[1:5] for line in text.splitlines() if line.startswith("| ")
    ]


@pytest.mark.skipif(not script.page_of(detection.__file__).exists(), reason="benchmarks/detection.md is not written yet")
def test_the_committed_table_of_detection_is_as_the_script_writes_it() -> None:
    one = detection.Score(1, 0, 200, 0, 1.0)
    names = [contender.name for contender in detection.CONTENDERS]
    results = [
        detection.Result(setting, dict.fromkeys(names, 0.05), {change: dict.fromkeys(names, one) for change in setting.changes})
        for setting in detection.kinds()
    ]
    text = detection_page.page(results, detection.CONTENDERS, command="python -m benchmarks.detection", same_rate=False)
    committed = script.page_of(detection.__file__).read_text(encoding="utf-8")
    assert rows(committed) == rows(text)
    assert [line.split("|")[1:3] for line in committed.splitlines() if line.startswith("| ")] == [
        line.split("|")[1:3] for line in text.splitlines() if line.startswith("| ")
    ]


def test_the_committed_tables_of_the_fleet_are_as_the_script_writes_them() -> None:
    text = fleet.page([[kind.name, *"123456"] for kind in fleet.KINDS], [], watches=200, command="python -m benchmarks.fleet")
    committed = script.page_of(fleet.__file__).read_text(encoding="utf-8")
    assert rows(committed) == rows(text)
    assert [line.split("|")[1] for line in committed.splitlines() if line.startswith("| ")][: len(fleet.KINDS) + 1] == [
        line.split("|")[1] for line in text.splitlines() if line.startswith("| ")
    ][: len(fleet.KINDS) + 1]


def test_the_committed_table_of_the_monitors_segments_is_as_the_script_writes_it_and_keeps_the_rate() -> None:
    committed = script.page_of(online_segments.__file__).read_text(encoding="utf-8")
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in committed.splitlines() if line.startswith("| ")][1:]
    assert committed == online_segments.page(table, watches=200, command="python -m benchmarks.online_segments")
    assert [(one[0], int(one[1].split()[0])) for one in table] == [(kind.name, number) for kind in online_segments.KINDS for number in segments.SIZES]
    assert all(float(cell.split()[0]) <= 100 * online_segments.ALPHA for one in table for cell in (one[3], one[6]))


def test_equal_streams_of_a_fleet_alarm_together_and_a_fall_is_found_later_in_a_fleet() -> None:
    copies = fleet.FleetKind("", Noise("", wander=0.3), copies=50)
    *_, most, _ = fleet.false_alarms(copies, watches=2)
    assert int(most) in {0, 50, 100}
    _, _, alone, found, late, found_late = fleet.delays(fleet.KINDS[0], after=0.3, watches=3)
    assert float(alone) < float(late) and (found, found_late) == ("100", "100")
