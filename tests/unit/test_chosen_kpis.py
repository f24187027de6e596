"""Every KPI that --kpi offers is right on examples computed by hand, keeps its false-alarm rate, and is refused where it makes no sense."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from watch_sample import make_result

from benchmarks.kpi_streams import KPIS as WATCHED
from benchmarks.kpi_streams import first_alarm
from driftloop.data.streams import Stream
from driftloop.drift.rules import catalogue
from driftloop.errors import SettingsError
from driftloop.metrics import cost_table, promotion, scoring
from driftloop.metrics.block_kpis import AveragePrecisionKpi, F1Kpi, RocAucKpi, WholeBlockKpi
from driftloop.metrics.cost_table import read_costs
from driftloop.metrics.goal import Goal
from driftloop.metrics.kpi_names import KPIS, LOG_LOSS_BOUND, of_task
from driftloop.metrics.results import WatchResult
from driftloop.metrics.row_kpis import BalancedAccuracyKpi, BrierKpi, ChosenKpi, ClassKpi, CostKpi, LogLossKpi, RmseKpi
from driftloop.metrics.task import CLASSIFICATION
from driftloop.report import terminal, watch_report
from driftloop.report.kpi_words import Figures
from driftloop.watch import kpi_choice

HALVES, SHARES = np.array([0.5, 0.5]), np.array([0.8, 0.2])
COSTS = np.array([[0.0, 1.0], [5.0, 0.0]])
LABELS = np.array([0, 0, 1, 1])
OUTPUTS = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])  # right, wrong, wrong, right
SEEDS = 200


def stream(labels: list[int] | list[float], names: tuple[str, ...] = ("bad", "good")) -> Stream:
    """As much of a stream as the KPIs read."""
    task = "classification" if names else "regression"
    times = np.datetime64("2024-01-01") + np.arange(len(labels)) * np.timedelta64(1, "h")
    made: Any = SimpleNamespace(labels=np.array(labels), label_names=names, task=task, times=times, period=None)
    return made


def flags(*argv: str, **values: Any) -> Any:
    defaults = {"kpi": "", "cost": "", "threshold": 0.0, "threshold_accuracy": 0.8, "threshold_mae": 0.0}
    return SimpleNamespace(**(defaults | values), call=SimpleNamespace(argv=argv))


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (BrierKpi(HALVES), (0.01 + 0.36 + 0.49 + 0.04) / 4),
        (LogLossKpi(HALVES), -(math.log(0.9) + math.log(0.4) + math.log(0.3) + math.log(0.8)) / 4),
        (CostKpi(HALVES, COSTS), (1 + 5) / 4),
        (BalancedAccuracyKpi(HALVES), 0.5),
        (BalancedAccuracyKpi(SHARES), 1 - (1 / 1.6 + 1 / 0.4) / 4),
        (F1Kpi(SHARES), 2 * 1 / (2 * 1 + 1 + 1)),
        (RocAucKpi(SHARES), 3 / 4),  # of the four pairs of a 1 and a 0 only 0.3 against 0.6 is in the wrong order
        (AveragePrecisionKpi(SHARES), (1 + 2 / 3) / 2),
    ],
    ids=lambda one: getattr(one, "kpi", ""),
)
def test_four_rows_computed_by_hand(measured: ClassKpi, expected: float) -> None:
    assert measured.value(measured.losses_of(LABELS, OUTPUTS)) == pytest.approx(expected)


def test_the_brier_score_of_three_classes_is_scaled_to_0_and_1() -> None:
    measured = BrierKpi(np.full(3, 1 / 3))
    worst, even = measured.losses_of(np.array([0, 0]), np.array([[0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]]))
    assert (worst, even) == (1.0, pytest.approx(((2 / 3) ** 2 + 2 * (1 / 3) ** 2) / 2))


def test_a_log_loss_is_clipped_where_the_true_class_was_thought_impossible() -> None:
    measured = LogLossKpi(HALVES)
    assert measured.losses_of(np.array([1]), np.array([[1.0, 0.0]], np.float32)).tolist() == [LOG_LOSS_BOUND]
    assert str(int(LOG_LOSS_BOUND)) in measured.loss_words


def test_the_root_of_the_mean_squared_error() -> None:
    measured = RmseKpi(2.0)
    losses = measured.losses_of(np.array([0.0, 0.0]), np.array([3.0, 4.0]))
    assert measured.value(losses) == pytest.approx(math.sqrt(12.5))
    assert measured.limit(2.0) == 4.0 and measured.better(1.0, 2.0)
    assert measured.value(np.zeros(0)) != measured.value(np.zeros(0))  # undefined without rows


@pytest.mark.parametrize("kpi", ["roc_auc", "average_precision", "f1"])
def test_a_block_of_one_class_has_no_roc_auc_and_the_rule_cannot_tell(kpi: str) -> None:
    measured, rows = WATCHED[kpi], np.column_stack([np.zeros(30), np.full(30, 0.9), np.full(30, 0.1)])
    assert math.isnan(measured.value(rows))
    assert catalogue.for_goal("significant", Goal(measured, 0.6)).update(rows).kind == "cannot tell"


@pytest.mark.parametrize("measured", [RocAucKpi, AveragePrecisionKpi, F1Kpi])
def test_of_three_classes_a_block_kpi_is_the_mean_over_those_that_are_there(measured: type[WholeBlockKpi]) -> None:
    made = measured(np.full(3, 1 / 3))
    labels = np.array([0, 1, 0, 1])
    assert made.value(made.losses_of(labels, np.eye(3)[labels])) == 1.0


@pytest.mark.parametrize("measured", [*WATCHED.values(), RmseKpi(0.0)], ids=lambda one: one.kpi)
def test_the_kpi_of_a_block_lies_in_its_interval_and_in_its_range(measured: ChosenKpi) -> None:
    rng = np.random.default_rng(3)
    if measured.name == "regression":
        rows = measured.losses_of(rng.normal(size=300), rng.normal(size=300))
    else:
        chance = rng.random(300)
        rows = measured.losses_of((rng.random(300) < chance).astype(int), np.column_stack([1 - chance, chance]))
    lower, upper = measured.interval(rows)
    assert 0 <= lower < measured.value(rows) < upper


@pytest.mark.parametrize("kpi", WATCHED)
def test_a_model_exactly_at_the_threshold_is_alarmed_about_in_at_most_alpha_of_the_watches(kpi: str) -> None:
    rows, blocks = (50, 12) if KPIS[kpi].per_row else (100, 60)  # the others are tested block by block, which takes more blocks
    alarms = sum(first_alarm(kpi, seed=seed, rows=rows, blocks=blocks, alpha=0.05) is not None for seed in range(SEEDS))
    assert alarms <= 0.05 * SEEDS


@pytest.mark.parametrize("kpi", [kpi for kpi in WATCHED if KPIS[kpi].per_row])
def test_a_loss_twice_as_large_is_found_in_a_few_blocks(kpi: str) -> None:
    assert all((found := first_alarm(kpi, seed=seed, rows=200, worse=1.0)) is not None and found < 15 for seed in range(5))


@pytest.mark.parametrize("kpi", [kpi for kpi in WATCHED if not KPIS[kpi].per_row])
def test_a_worse_kpi_of_whole_blocks_is_found_as_well(kpi: str) -> None:
    assert all(first_alarm(kpi, seed=seed, rows=100, worse=2.0, blocks=200) is not None for seed in range(5))


def test_no_loss_is_larger_than_the_bound_that_the_rule_divides_by() -> None:
    for measured in WATCHED.values():
        if KPIS[measured.kpi].per_row:
            outputs = np.array([[1.0, 0.0], [0.0, 1.0]])
            assert measured.losses_of(np.array([1, 0]), outputs).max() <= measured.bound, measured.kpi


@pytest.mark.parametrize("measured", [*WATCHED.values(), RmseKpi(0.0)], ids=lambda one: one.kpi)
def test_a_better_challenger_is_promoted_by_the_chosen_kpi_and_the_same_model_is_not(measured: ChosenKpi) -> None:
    rng = np.random.default_rng(5)
    if measured.name == "regression":
        labels = rng.normal(size=800)
        good, bad = labels + 0.5 * rng.normal(size=800), labels + rng.normal(size=800)
    else:
        seen = rng.random(800)
        labels, better, worse = (rng.random(800) < seen).astype(int), seen, 0.5 * seen + 0.5 * rng.random(800)
        good, bad = (np.column_stack([1 - one, one]) for one in (better, worse))
    champion, challenger = measured.losses_of(labels, bad), measured.losses_of(labels, good)
    judged = promotion.judge(measured, champion, challenger, start=0, alpha=0.1)
    assert judged.better and KPIS[measured.kpi].words in judged.words
    assert not promotion.judge(measured, champion, champion, start=0, alpha=0.1).better


@pytest.mark.parametrize(
    ("kpi", "name", "value"),
    [
        (BrierKpi(SHARES), "class shares of the training rows", 0.5 * (0.04 + 0.64)),
        (LogLossKpi(SHARES), "class shares of the training rows", -0.5 * (math.log(0.8) + math.log(0.2))),
        (CostKpi(SHARES, COSTS), "cheapest constant decision", 0.5),  # 0.8 times 1 for always 1, against 0.2 times 5 for always 0
        (BalancedAccuracyKpi(HALVES), "majority class", 0.5),
        (RocAucKpi(SHARES), "class shares of the training rows", 0.5),
        (AveragePrecisionKpi(SHARES), "class shares of the training rows", 0.5),
        (F1Kpi(SHARES), "always the rarer class", 2 / 3),
    ],
    ids=lambda one: getattr(one, "kpi", None),
)
def test_each_kpi_has_the_labels_own_baseline(kpi: ClassKpi, name: str, value: float) -> None:
    whole = scoring.summary(stream([0, 0, 1, 1]), 0, OUTPUTS.argmax(axis=1), majority=0, doing=kpi, outputs=OUTPUTS)
    assert whole["baselines"][name] == pytest.approx(value)
    assert whole[kpi.kpi] == pytest.approx(kpi.value(kpi.losses_of(LABELS, OUTPUTS))) and whole["accuracy"] == 0.5


def test_the_baseline_of_the_rmse_is_the_mean() -> None:
    whole = scoring.summary(stream([1.0, 3.0], ()), 0, np.array([1.0, 3.0]), majority=2.0, doing=RmseKpi(2.0), outputs=np.array([1.0, 3.0]))
    assert whole["baselines"] == {"mean of the training rows": 1.0} and whole["rmse"] == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "needs --cost"),
        (" ", "needs --cost"),
        ("good:bad", "is not true:predicted=cost"),
        ("good:ugly=5", r"labels of this table \(bad, good\)"),
        ("good=5", "is not true:predicted=cost"),
        ("good:bad=-1", "finite number of at least 0"),
        ("good:bad=inf", "finite number of at least 0"),
        ("good:bad=nan", "finite number of at least 0"),
        ("good:bad=", "finite number of at least 0"),
        ("good:bad=much", "finite number of at least 0"),
        ("good:bad=1,good:bad=2", "is given twice"),
        ("good:bad=0", "no wrong prediction costs more"),
        ("good:good=2,good:bad=1", "no wrong prediction costs more"),
    ],
)
def test_a_table_of_costs_that_makes_no_sense_is_one_line(text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        read_costs(text, ("bad", "good"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "labels"),
    [('"a, b:c=2"', ("a, b", "c")), ("10:20:c=2", ("10:20", "c")), (" 1.0 : 0.0 = 2 ", ("1.0", "0.0")), ("a=b:c=2", ("a=b", "c")), ("0.0:1.0=2", ("0", "1"))],
)
def test_labels_with_commas_colons_spaces_and_equals_signs(text: str, labels: tuple[str, str]) -> None:
    assert read_costs(text, labels).tolist() == [[0.0, 2.0], [0.0, 0.0]]


def test_a_table_of_costs_is_read_as_it_was_written_whatever_the_labels() -> None:
    labels, costs = ["a, b", 'c"d', "e:f", "7"], np.arange(16.0).reshape(4, 4) / 3
    np.fill_diagonal(costs, 0)
    text = cost_table.written(costs, labels)
    assert np.array_equal(read_costs(text, labels), costs) and np.array_equal(read_costs(cost_table.ordered(text), labels), costs)
    given = flags(kpi="cost", cost=text)
    doing = CostKpi(np.full(4, 0.25), costs)
    name, _, logged = kpi_choice.described(given, doing).partition(" ")
    assert name == "cost" and np.array_equal(read_costs(logged, labels), costs)


def test_an_f1_that_is_better_beyond_doubt_has_a_p_value_that_a_search_of_many_trials_accepts() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(2000) < 0.3).astype(int)
    good, bad = (np.column_stack([1 - p, p]) for p in (np.where(labels, 0.9, 0.1), rng.random(2000)))
    measured = F1Kpi(np.array([0.7, 0.3]))
    found = measured.p_value(measured.losses_of(labels, bad), measured.losses_of(labels, good))
    assert found < 1e-6 and measured.p_value(measured.losses_of(labels, good), measured.losses_of(labels, bad)) > 0.99


@pytest.mark.parametrize("measured", [F1Kpi(SHARES), RocAucKpi(SHARES), AveragePrecisionKpi(SHARES)], ids=lambda measured: measured.kpi)
def test_a_perfect_challenger_of_a_champion_that_knows_nothing_is_promoted_though_no_sample_differs(measured: WholeBlockKpi) -> None:
    labels = np.tile([0, 0, 0, 1], 100)
    constant, perfect = np.tile([0.9, 0.1], (400, 1)), np.eye(2)[labels]
    lead = measured.losses_of(labels, constant), measured.losses_of(labels, perfect)
    assert measured.p_value(*lead) < 0.01 and measured.p_value(*reversed(lead)) == 1.0


def test_an_rmse_with_a_missing_label_has_an_interval() -> None:
    losses = np.array([1.0, math.nan, 4.0, 9.0, 1.0, 4.0])
    low, high = RmseKpi(0.0).interval(losses)
    assert 1 <= low <= math.sqrt(3.8) <= high <= 3


@pytest.mark.parametrize(
    ("values", "argv", "told"),
    [
        ({"kpi": "mae"}, (), "--kpi mae does not fit a classification: its KPIs are accuracy, balanced_accuracy"),
        ({"kpi": "brier", "cost": "good:bad=1"}, (), "--cost is given, but the KPI is brier"),
        ({"kpi": "brier", "threshold": 1.0}, (), "the Brier score has to lie between 0 and 1"),
        ({"kpi": "brier", "threshold": 7.0}, (), "the Brier score has to lie between 0 and 1"),
        ({"kpi": "log_loss", "threshold": 10.0}, (), "the log loss has to lie between 0 and 10"),
        ({"cost": "good:bad=5", "threshold": 5.0}, (), "the cost per row has to lie between 0 and 5"),
        ({"kpi": "roc_auc", "threshold": 1.2}, (), "the ROC AUC has to lie between 0 and 1"),
        ({"threshold": 1.5}, (), "the accuracy has to lie between 0 and 1"),
        ({"threshold": 0.7, "threshold_accuracy": 0.6}, ("--threshold", "0.7", "--threshold_accuracy", "0.6"), "are given: give one of them"),
        ({"kpi": "brier", "threshold_accuracy": 0.6}, ("--threshold_accuracy=0.6",), "the KPI is brier: give --threshold"),
    ],
)
def test_flags_that_do_not_fit_each_other_are_one_line(values: dict[str, Any], argv: tuple[str, ...], told: str) -> None:
    given, rows = flags(*argv, **values), stream([0, 0, 1, 1])
    with pytest.raises(SettingsError, match=told):
        kpi_choice.threshold(given, kpi_choice.chosen(rows, given, trained=(0, 4)) or CLASSIFICATION)


def test_a_kpi_of_classes_does_not_fit_values() -> None:
    with pytest.raises(SettingsError, match="does not fit a regression: its KPIs are mae, rmse"):
        kpi_choice.chosen(stream([1.0, 2.0], ()), flags(kpi="brier"), trained=(0, 2))


def test_the_older_flag_and_the_default_still_set_the_threshold() -> None:
    own = CLASSIFICATION
    assert kpi_choice.threshold(flags(), own) == 0.8
    assert kpi_choice.threshold(flags("--threshold_accuracy", "0.6", threshold_accuracy=0.6), own) == 0.6
    assert kpi_choice.threshold(flags("--threshold", "0.7", threshold=0.7), own) == 0.7


def test_mlflow_run_passes_every_flag_and_none_of_them_counts_as_typed() -> None:
    argv = ("--threshold", "0.1", "--threshold_accuracy", "0.8", "--threshold_mae", "0.0", "--kpi", "brier")
    assert kpi_choice.threshold(flags(*argv, threshold=0.1), BrierKpi(HALVES)) == 0.1


@pytest.mark.parametrize("name", [name for name in KPIS if not KPIS[name].own])
def test_every_kpi_is_made_from_its_flag_and_has_a_usable_threshold_without_one(name: str) -> None:
    rows = stream([1.0, 2.0, 3.0], ()) if name in of_task("regression") else stream([0, 0, 0, 1])
    made = kpi_choice.chosen(rows, flags(kpi=name, cost="good:bad=5" if name == "cost" else ""), trained=(0, 3))
    assert made is not None and made.kpi == name and Figures(made.name, kpi=name).name == KPIS[name].words
    for measured in (math.nan, 0.0, 0.02, 0.5, 0.98, 1.0):
        catalogue.for_goal("significant", Goal(made, made.with_slack(measured, share=0.1)), probation=True)


def test_ten_percent_more_loss_than_measured() -> None:
    assert BrierKpi(HALVES).with_slack(0.1, share=0.1) == pytest.approx(0.11)
    assert RocAucKpi(HALVES).with_slack(0.9, share=0.1) == pytest.approx(0.89)
    assert RmseKpi(0.0).with_slack(2.0, share=0.1) == pytest.approx(2.2)


def test_a_detector_of_right_and_wrong_refuses_a_loss() -> None:
    with pytest.raises(SettingsError, match="takes 0/1 errors only, not the Brier score"):
        catalogue.for_goal("ddm", Goal(BrierKpi(HALVES), 0.1))


@pytest.mark.parametrize("kpi", WATCHED)
@pytest.mark.parametrize("rule", ["threshold", "adwin", "never"])
def test_the_other_rules_take_every_kpi(kpi: str, rule: str) -> None:
    measured = WATCHED[kpi]
    made = catalogue.for_goal(rule, Goal(measured, measured.limit(0.3) if measured.higher else 0.3))
    verdict = made.update(measured.losses_of(LABELS, OUTPUTS))
    assert verdict.rule == rule and "nan" not in verdict.message


def in_brier(result: WatchResult) -> WatchResult:
    """A sample of a watch whose KPI is the Brier score, with its baseline."""
    free = {"class shares of the training rows": 0.24}
    told = {"kpi_name": "brier", "baselines": free}
    scores = tuple(
        replace(score, **told, task_kpi=score.kpi, kpi=0.1234, lower=0.11, upper=0.14, kpi_unretrained=0.15, threshold=0.12) for score in result.scores
    )
    retrains = tuple(replace(record, kpi_name="brier", before=0.2, after=0.1) for record in result.retrains)
    versions = tuple(replace(record, kpi_name="brier", kpi=0.1234, kpi_unretrained=0.15) for record in result.versions)
    whole = {"kpi": 0.1234, "task_kpi": 0.81, "kpi_without_retraining": 0.15, "threshold": 0.12}
    return replace(result, **told, **whole, scores=scores, retrains=retrains, versions=versions)


@pytest.mark.parametrize("name", ["f1", "cost"])
def test_a_watch_in_which_every_figure_is_0_is_reported(name: str) -> None:
    result = in_brier(make_result())
    zero = {"kpi_name": name, "baselines": dict.fromkeys(result.baselines, 0.0), "kpi": 0.0}
    scores = tuple(replace(score, **zero, kpi_unretrained=0.0, lower=0.0, upper=0.0) for score in result.scores)
    assert "<html" in watch_report.report_html(replace(result, **zero, kpi_without_retraining=0.0, scores=scores))


def test_a_block_without_a_row_of_the_rarer_class_has_no_f1() -> None:
    measured = F1Kpi(SHARES)
    assert math.isnan(measured.value(measured.losses_of(np.zeros(3, int), OUTPUTS[:3])))


def test_the_report_says_of_the_rule_that_watched_only_that_it_weighs_autocorrelation() -> None:
    told = "the drift rule accounts for autocorrelated rows"
    reports = {rule: watch_report.report_html(replace(in_brier(make_result()), rule=rule)) for rule in ("significant", "threshold")}
    assert told in reports["significant"] and told not in reports["threshold"]


def test_the_chosen_kpi_is_named_in_the_summary_the_blocks_and_the_report() -> None:
    result = in_brier(make_result())
    texts = [terminal.summary_text(result), terminal.blocks_text(result.scores)]
    assert all(max(map(len, text.splitlines())) <= terminal.COLUMNS for text in texts)
    assert "Brier score of the served model" in texts[0] and "(accuracy 81.00 %)" in texts[0] and "0.123 [0.110, 0.140]" in texts[1]
    page = watch_report.report_html(result)
    assert "Brier score by block, lower is better" in page and "MAE" not in texts[0] + texts[1]


@pytest.mark.parametrize("aside", [0, 12])
@pytest.mark.parametrize("rivals", [1, 2, 4])
@pytest.mark.parametrize("size", [0.0, 0.5, 9.999, 12.3, 123.4, 1234.5, 98765.4, 3.2e9])
@pytest.mark.parametrize(("name", "task"), [("cost", "classification"), ("f1", "classification"), ("rmse", "regression"), ("", "regression")])
def test_the_blocks_fit_the_terminal_whatever_the_size_of_their_figures(name: str, task: str, size: float, rivals: int, aside: int) -> None:
    free = {f"rival {number}": 1.2 * size for number in range(1, rivals + 1)}
    figures = {"kpi": size, "lower": 0.9 * size, "upper": 1.1 * size, "kpi_unretrained": 1.3 * size, "threshold": 0.8 * size, "bias": -size, "baselines": free}
    scores = [replace(score, task=task, kpi_name=name, task_kpi=0.81, rows=1000, set_aside=aside, **figures) for score in make_result().scores]
    table, _, legend = (text := terminal.blocks_text(scores)).partition("\n[1] ")
    assert max(map(len, text.splitlines())) <= terminal.COLUMNS
    assert "rival 1" in legend and "…" not in text and all(f"rival {number}" in legend for number in range(1, rivals + 1))
    assert ("thresh-" in table or "\nthreshold " in legend) and ("set" in table) is bool(aside) and ("bias" in table) is (task == "regression")


def test_decimals_stay_where_the_blocks_fit_and_the_zeros_of_rows_that_no_block_set_aside_take_no_column() -> None:
    told = terminal.blocks_text(in_brier(make_result()).scores)
    assert "0.123 [0.110, 0.140]" in told and "unre-" in told and "aside" not in told


def test_the_json_has_the_chosen_kpi_under_its_name_and_the_tasks_own_beside_it() -> None:
    told = in_brier(make_result()).as_json()
    assert told["kpi"] == {"name": "brier", "value": 0.1234, "higher_is_better": False}
    assert (told["brier"], told["accuracy"], told["brier_without_retraining"]) == (0.1234, 0.81, 0.15) and math.isnan(told["mae"])
    assert told["versions"][0]["brier"] == 0.1234 and told["retrains"][0]["brier_before"] == 0.2
    block = in_brier(make_result()).scores[0].as_json()
    assert block["brier"] == 0.1234 and block["accuracy"] == make_result().scores[0].kpi and "kpi_name" not in block
    assert "brier" not in make_result().as_json()
