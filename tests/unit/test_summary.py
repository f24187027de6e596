"""The terminal summary: what it says and that it fits the terminal."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from watch_sample import make_result, without_figures

from driftloop.report import wording
from driftloop.report.notes import of_limits
from driftloop.report.terminal import COLUMNS, RETRAINS_IN_FULL, blocks_text, summary_text

HOSTILE = "\x1b[2J\x07 <script> " + "long" * 60


@pytest.fixture(scope="module")
def result():
    return make_result()


def widest(text: str) -> int:
    return max(map(len, text.splitlines()))


def test_every_accuracy_stands_beside_its_baselines(result):
    text = summary_text(result)
    assert f"right on {100 * result.kpi:.2f} % of 13,594 rows" in text
    for name, share in [("base model, unretrained", result.kpi_without_retraining), ("no change, row by row", result.baselines["no_change"])]:
        line = next(line for line in text.splitlines() if line.startswith(name))
        assert line.split()[-2:] == [f"{100 * share:.2f}", wording.points(result.kpi - share)]


def test_versions_and_retrains_are_listed(result):
    text = summary_text(result)
    assert "4 (served)" in text
    assert text.count("61.3 → 72.9") == 3
    assert "version 4" in text
    assert "Changed: lr 0.05 → 0.02, train_days 270 → 28." in text
    assert result.notes[0] in text


def test_retrains_that_follow_up_are_counted_apart(result):
    first, *others = result.retrains
    followed = replace(result, retrains=(first, *(replace(record, follow_up=True) for record in others)))
    assert "4 retrains, 3 of them to follow up, led to 3 promotions." in " ".join(summary_text(followed).split())
    assert "follow up" not in summary_text(result)


@pytest.mark.parametrize(
    "result",
    [
        make_result(1, retrains=0),
        make_result(5, retrains=0),
        without_figures(make_result(30, retrains=2)),
        replace(make_result(5, retrains=1), scores=(), versions=(), retrains=(), rows=0),
        make_result(5000, retrains=60),
    ],
    ids=["one block", "few blocks", "nothing defined", "no block", "many blocks"],
)
def test_any_result_fits_the_terminal_and_says_no_nan(result):
    text = summary_text(result)
    assert widest(text) <= COLUMNS
    assert "nan" not in text
    if result.scores:
        assert widest(blocks_text(result.scores)) <= COLUMNS


def test_columns_are_aligned(result):
    lines = blocks_text(result.scores[:20]).splitlines()
    assert lines[2].startswith("─")
    assert len({len(line) for line in lines[1:]}) == 1


def test_a_block_line_holds_all_its_figures(result):
    score = replace(
        result.scores[0],
        kpi=0.75,
        lower=0.612,
        upper=0.851,
        kappa=0.5,
        kappa_temporal=-1.0,
        baselines={**result.scores[0].baselines, "no_change": 0.875},
        threshold=0.6,
        drift=True,
    )
    line = blocks_text([score]).splitlines()[-1]
    assert line.split()[0] == "0"
    for figure in ("1998-02-15 00:00", "48", "75.0 [61.2, 85.1]", "0.50", "−1.00", "87.5", "–", "60.0", "yes"):
        assert figure in line


def test_a_short_block_is_marked(result):
    assert "10*" in blocks_text(result.scores)
    assert blocks_text(result.scores).endswith("* short block")
    assert "*" not in blocks_text(result.scores[:-1])


def test_names_cannot_steer_the_terminal_nor_widen_it(result):
    hostile = replace(
        result,
        stream=HOSTILE,
        notes=(HOSTILE,),
        served_version=HOSTILE,
        versions=(replace(result.versions[0], version=HOSTILE),),
        retrains=(replace(result.retrains[0], reason=HOSTILE, decision=HOSTILE, params={HOSTILE: HOSTILE}, version=HOSTILE, timestamp=HOSTILE),),
    )
    text = summary_text(hostile)
    assert text.replace("\n", "").isprintable()
    assert widest(text) <= COLUMNS


def test_a_version_promoted_after_the_last_block_has_no_blocks_yet(result):
    unused = replace(result.versions[-1], version="5", first_block=-1, last_block=-1, rows=0, kpi=math.nan, kpi_unretrained=math.nan)
    line = next(line for line in summary_text(replace(result, versions=(*result.versions, unused))).splitlines() if line.startswith("5 "))
    assert line.split()[:3] == ["5", "–", "0"]


def test_many_retrains_are_listed_without_their_words():
    text = summary_text(make_result(200, retrains=RETRAINS_IN_FULL + 1))
    assert text.count(" → ") == RETRAINS_IN_FULL + 2  # the header has one
    assert "Changed:" not in text


def test_low_blocks_by_chance_are_as_many_as_the_binomial_says(result):
    coin = replace(result.scores[0], rows=2, kpi=0.5, threshold=0.5)
    sure = replace(coin, version="2", kpi=1.0)
    assert wording.low_blocks_by_chance([coin] * 8) == pytest.approx((2, 1 - 0.75**8))  # none right of two: 1 in 4; one right is the threshold itself
    assert wording.low_blocks_by_chance([*[coin] * 8, *[sure] * 8]) == pytest.approx((2, 1 - 0.75**8))
    assert wording.low_blocks_by_chance([replace(coin, kpi=math.nan)]) == (0, 0)
    assert wording.low_blocks_by_chance([]) == (0, 0)


def test_a_limit_that_left_drift_unanswered_is_said(result):
    last = result.retrains[-1].block
    scores = tuple(replace(score, drift=score.block in {last, last + 1, last + 3}) for score in result.scores)
    limited = replace(result, scores=scores)
    assert of_limits(limited, 4) == ("--max_retrains 4 was reached: 2 drifted blocks after the last retrain were scored without a retrain.",)
    assert of_limits(limited, 5) == ()
    assert of_limits(replace(limited, retrains=()), 0) == ()


def test_a_kpi_under_the_threshold_without_proof_is_said(result):
    calm = replace(result, scores=tuple(replace(score, drift=False) for score in result.scores), rule="significant", threshold=0.99)
    (note,) = of_limits(calm, 1000)
    assert "the accuracy is worse than the threshold 0.99, but drift is not proven" in note
    assert of_limits(replace(calm, threshold=0.1), 1000) == of_limits(replace(calm, rule="never"), 1000) == ()
