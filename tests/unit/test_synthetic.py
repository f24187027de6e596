"""Streams of known truth: what drifts, what stays, and when."""

import numpy as np
import pytest
from river.datasets import synth
from scipy import stats

from driftloop.data import synthetic
from driftloop.data.streams import load
from driftloop.data.synthetic import Change, make, shuffled
from driftloop.errors import SettingsError

every_generator = pytest.mark.parametrize("generator", synthetic.GENERATORS)
ROWS = 6000


def lag_1(values: np.ndarray) -> float:
    return float(np.corrcoef(values[:-1], values[1:])[0, 1])


@pytest.mark.parametrize(
    ("generator", "concept", "source"),
    [
        *[("sea", concept, synth.SEA(variant=variant, seed=1)) for concept, variant in enumerate((3, 2, 1, 0))],
        *[("stagger", concept, synth.STAGGER(concept, seed=1)) for concept in range(3)],
        *[("agrawal", concept, synth.Agrawal(concept, seed=1)) for concept in range(3)],
    ],
)
def test_labels_are_those_of_rivers_generator(generator, concept, source):
    rows, labels = zip(*[(list(x.values()), int(y)) for x, y in source.take(500)], strict=True)
    assert synthetic.label(generator, np.array(rows), concept).tolist() == list(labels)


def test_hyperplane_begins_as_rivers_with_equal_weights_and_turns_by_a_sixth_a_concept():
    rows = np.random.default_rng(1).random((20_000, 10))
    first, second, opposite = (synthetic.label("hyperplane", rows, concept) for concept in (0, 1, 3))
    assert (first == (rows.sum(axis=1) >= 5)).all()
    assert (first == 1 - opposite).all()
    assert np.mean(first != second) == pytest.approx(1 / 3, abs=0.02)  # 60 of 180 degrees


@every_generator
def test_rows_have_rivers_ranges(generator):
    rows = make(generator, rows=ROWS, seed=1).stream.rows
    source = {"sea": synth.SEA(seed=1), "stagger": synth.STAGGER(seed=1), "agrawal": synth.Agrawal(seed=1), "hyperplane": synth.Hyperplane(seed=1)}[generator]
    theirs = np.array([list(x.values()) for x, _ in source.take(ROWS)])
    for own, other in zip(rows.T, theirs.T, strict=True):
        assert stats.ks_2samp(own, other).statistic < 0.04


@every_generator
@pytest.mark.parametrize("drift", ["none", "abrupt", "gradual", "recurring"])
def test_features_keep_their_distribution_under_concept_drift(generator, drift):
    true = make(generator, rows=ROWS, seed=2, drift=drift, width=1000 if drift == "gradual" else 0)
    for column in true.stream.rows.T:
        assert stats.ks_2samp(column[: ROWS // 2], column[ROWS // 2 :]).statistic < 0.05


@every_generator
def test_data_drift_moves_the_rows_and_no_label_rule(generator):
    true = make(generator, rows=ROWS, seed=3, drift="data", noise=0)
    rows, labels = true.stream.rows, true.stream.labels
    assert (labels == synthetic.label(generator, rows, 0)).all()
    assert max(stats.ks_2samp(column[: ROWS // 2], column[ROWS // 2 :]).statistic for column in rows.T) > 0.2
    assert true.changes == (Change(ROWS // 2, ROWS // 2, "data"),)


def test_after_data_drift_the_rows_still_overlap_with_the_old_ones():
    rows = make("sea", rows=ROWS, seed=3, drift="data").stream.rows
    old, new = rows[: ROWS // 2, 0], rows[ROWS // 2 :, 0]
    for low, high in [(0, 2.5), (2.5, 5), (5, 7.5), (7.5, 10)]:
        assert min(np.mean((low <= part) & (part < high)) for part in (old, new)) > 0.05


@every_generator
def test_abrupt_drift_changes_labels_from_its_first_row_on(generator):
    true = make(generator, rows=ROWS, seed=4, drift="abrupt", at=2000, noise=0)
    rows, labels = true.stream.rows, true.stream.labels
    assert (labels[:2000] == synthetic.label(generator, rows[:2000], 0)).all()
    assert (labels[2000:] == synthetic.label(generator, rows[2000:], 1)).all()
    assert np.mean(labels[2000:] != synthetic.label(generator, rows[2000:], 0)) > 0.15


@every_generator
@pytest.mark.parametrize("drift", ["abrupt", "data"])
def test_rows_before_the_change_are_those_of_the_stream_without_it(generator, drift):
    still, moved = make(generator, rows=ROWS, seed=5).stream, make(generator, rows=ROWS, seed=5, drift=drift).stream
    assert (still.rows[: ROWS // 2] == moved.rows[: ROWS // 2]).all()
    assert (still.labels[: ROWS // 2] == moved.labels[: ROWS // 2]).all()


def test_gradual_drift_takes_over_row_by_row_within_its_width():
    true = make("stagger", rows=ROWS, seed=6, drift="gradual", at=2000, width=3000, noise=0)
    assert true.changes == (Change(2000, 5000, "concept"),)
    rows, labels = true.stream.rows, true.stream.labels
    old, new = (synthetic.label("stagger", rows, concept) for concept in (0, 1))
    assert (labels[:2000] == old[:2000]).all()
    assert (labels[5000:] == new[5000:]).all()
    taken = [np.mean(labels[a : a + 1000][(old != new)[a : a + 1000]] == new[a : a + 1000][(old != new)[a : a + 1000]]) for a in (2000, 3000, 4000)]
    assert taken == pytest.approx([1 / 6, 3 / 6, 5 / 6], abs=0.07)


def test_recurring_drift_comes_back_to_the_first_concept():
    true = make("sea", rows=4000, seed=7, drift="recurring", noise=0)
    assert [change.start for change in true.changes] == [1000, 2000, 3000]
    for start, concept in [(0, 0), (1000, 1), (2000, 0), (3000, 1)]:
        part = slice(start, start + 1000)
        assert (true.stream.labels[part] == synthetic.label("sea", true.stream.rows[part], concept)).all()


def test_seasonal_drift_is_back_after_one_turn():
    stream = make("hyperplane", rows=6000, seed=8, drift="seasonal", width=4000, noise=0).stream
    wrong = stream.labels != synthetic.label("hyperplane", stream.rows, 0)
    assert [np.mean(wrong[a : a + 100]) for a in (0, 950, 1950, 2950, 3950)] == pytest.approx([0, 0.5, 1, 0.5, 0], abs=0.12)


@pytest.mark.parametrize("wanted", [0.0, 0.5, 0.9])
def test_autocorrelation_of_features_and_flips_is_as_asked(wanted):
    stream = make("hyperplane", rows=100_000, seed=9, noise=0.2, autocorrelation=wanted).stream
    flips = (stream.labels != synthetic.label("hyperplane", stream.rows, 0)).astype(float)
    assert flips.mean() == pytest.approx(0.2, abs=0.02)
    assert lag_1(flips) == pytest.approx(wanted, abs=0.03)
    assert lag_1(stats.norm.ppf(stream.rows[:, 0].astype(float))) == pytest.approx(wanted, abs=0.03)


@every_generator
def test_same_seed_gives_the_same_stream_and_another_seed_another(generator):
    one, again, other = (make(generator, rows=500, seed=seed, drift="gradual", width=100, autocorrelation=0.3).stream for seed in (1, 1, 2))
    assert (one.rows == again.rows).all()
    assert (one.labels == again.labels).all()
    assert one.sha256 == again.sha256 != other.sha256


def test_a_stream_is_of_half_hours():
    stream = make("agrawal", rows=100, seed=1).stream
    assert (np.diff(stream.times) == np.timedelta64(30, "m")).all()
    assert (stream.period, stream.rows.dtype, stream.labels.dtype, stream.rows.flags.c_contiguous) == (48, np.float32, np.int64, True)


def test_shuffled_rows_keep_their_labels_and_lose_their_order():
    elec = load()
    true = shuffled(elec, seed=1)
    assert true.changes == ()
    assert (true.stream.times == elec.times).all()
    before, after = (sorted(zip(stream.rows.tolist(), stream.labels.tolist(), strict=True)) for stream in (elec, true.stream))
    assert before == after
    assert lag_1(elec.labels.astype(float)) > 0.5
    assert abs(lag_1(true.stream.labels.astype(float))) < 0.03


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"generator": "led"}, "generator is 'led'"),
        ({"drift": "sudden"}, "drift is 'sudden'"),
        ({"rows": 0}, "rows is 0"),
        ({"noise": 0.6}, "noise is 0.6"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"autocorrelation": 1.0}, "autocorrelation is 1"),
        ({"drift": "gradual"}, "width is 0"),
        ({"drift": "abrupt", "width": 10}, "width is 10"),
        ({"drift": "seasonal", "width": 10}, "only the hyperplane"),
        ({"drift": "abrupt", "at": 101}, "at is 101"),
        ({"drift": "abrupt", "at": (50, 20)}, "at is (50, 20)"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(wrong, told):
    with pytest.raises(SettingsError) as caught:
        make(**({"generator": "sea", "rows": 100, "seed": 1} | wrong))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
