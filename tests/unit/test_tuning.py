"""The search: what it tries first, when it leaves the starting point, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftloop.errors import SettingsError, TrainingError
from driftloop.metrics.task import CLASSIFICATION, REGRESSION
from driftloop.settings import DEFAULT_PARAMS
from driftloop.training import tuning

ROWS = 336


def wrong(share: float) -> np.ndarray:
    """Losses of validation rows of which all but the first `share` are predicted wrongly."""
    return np.arange(ROWS) >= share * ROWS


def better_with_history(_: int, params: dict[str, Any]) -> np.ndarray:
    return wrong(0.95 if params["history"] >= 48 else 0.6)


def search(evaluate: tuning.Evaluate, *, total_trials: int = 6, seed: int = 7, space: dict[str, Any] | None = None) -> tuning.Study:
    return tuning.search(evaluate, space=space or tuning.DEFAULT_SPACE, start=DEFAULT_PARAMS, total_trials=total_trials, seed=seed)


def test_the_first_trial_is_the_starting_point() -> None:
    assert search(better_with_history).trials[0].params == DEFAULT_PARAMS


def test_a_lead_that_is_more_than_noise_wins() -> None:
    assert search(better_with_history).best.params["history"] >= 48


def test_a_lead_within_noise_leaves_the_starting_point() -> None:
    generator = np.random.default_rng(5)
    study = search(lambda _, __: generator.random(ROWS) >= 0.7, total_trials=12)
    assert max(trial.value for trial in study.trials) > study.trials[0].value
    assert study.best is study.trials[0]


def test_noise_moves_the_choice_in_no_more_searches_than_stated() -> None:
    generator = np.random.default_rng(1)
    moved = 0
    for _ in range(200):
        losses = [generator.random(ROWS) >= 0.7 for _ in range(6)]
        trials = [tuning.Trial(index, {}, wrong, CLASSIFICATION.value(wrong)) for index, wrong in enumerate(losses)]
        highest = max(trials, key=lambda trial: trial.value)
        moved += highest is not trials[0] and tuning._leads(highest, trials[0], CLASSIFICATION, of=len(trials))
    assert moved <= 2 * tuning.NOISE * 200


def test_the_smallest_mean_error_of_a_regression_wins() -> None:
    errors = np.random.default_rng(2).exponential(1.0, ROWS)
    study = tuning.search(
        lambda _, params: errors * (0.3 if params["history"] >= 48 else 1.0),
        space={"history": {"choices": [0, 48]}, "lr": {"range": [0.005, 0.2], "log": True}},
        start=DEFAULT_PARAMS,
        total_trials=6,
        seed=7,
        task=REGRESSION,
    )
    assert study.best.params["history"] == 48
    assert study.best.value == min(trial.value for trial in study.trials)


def test_the_same_seed_searches_the_same_sets() -> None:
    first, second = (search(better_with_history, seed=3) for _ in range(2))
    assert [trial.params for trial in first.trials] == [trial.params for trial in second.trials]
    assert [trial.params for trial in search(better_with_history, seed=4).trials[1:]] != [trial.params for trial in first.trials[1:]]


def test_a_single_choice_is_fixed_in_every_trial() -> None:
    study = search(better_with_history, space={**tuning.DEFAULT_SPACE, "history": {"choices": [12]}})
    assert {trial.params["history"] for trial in study.trials} == {12}


def test_a_space_without_choice_is_tried_once() -> None:
    assert len(search(better_with_history, space={"history": {"choices": [24]}}).trials) == 1


def test_a_failed_trial_is_passed_over() -> None:
    def evaluate(index: int, params: dict[str, Any]) -> np.ndarray:
        if index == 0:
            raise TrainingError("diverged")
        return better_with_history(index, params)

    study = search(evaluate)
    assert np.isnan(study.trials[0].value)
    assert study.best.value > 0


def test_when_every_trial_fails_the_last_reason_is_told() -> None:
    def evaluate(*_: object) -> np.ndarray:
        raise TrainingError("one label only")

    with pytest.raises(TrainingError, match="none of 6 trials produced a model; the last one: one label only"):
        search(evaluate)


def test_botorch_takes_over_after_the_sobol_trials() -> None:
    study = search(better_with_history, total_trials=tuning.SOBOL_TRIALS + 1)
    assert len(study.trials) == tuning.SOBOL_TRIALS + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("speed: {choices: [1]}", "not a parameter of the model"),
        ("lr: {range: [0.1, 0.01]}", "low < high"),
        ("weight_decay: {range: [0, 0.1], log: true}", "low > 0 on a log scale"),
        ("width: {choices: [1.5]}", "not a whole number"),
        ("history: {choices: [-1]}", "not a whole number in 0..10000"),
        ("nesterov: {choices: [1]}", "choices of true and false"),
        ("lr: [0.1]", "either choices"),
        ("lr: {choices: []}", "a list of values"),
        ("- lr", "a mapping of parameters"),
        ("lr: [", "cannot be read"),
    ],
)
def test_a_bad_search_space_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        tuning.read_space(path)


def test_a_good_search_space_is_read(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("history: {choices: [0, 24]}\nlr: {range: [0.01, 0.1], log: true}\n", encoding="utf-8")
    assert tuning.read_space(path)["history"] == {"choices": [0, 24]}


@pytest.mark.parametrize("free", [{}, {"history": {"choices": [0, 8]}}])
def test_where_one_set_of_parameters_can_be_tried_no_trial_is_needed(free: dict[str, Any]) -> None:
    space = {"lr": {"choices": [0.5]}} | free
    study = tuning.unsearched(space=space, start=DEFAULT_PARAMS, total_trials=1)
    assert study is not None
    assert (study.trials, study.best.params) == ((), DEFAULT_PARAMS | {"lr": 0.5})
    assert (tuning.unsearched(space=space, start=DEFAULT_PARAMS, total_trials=2) is None) == bool(free)
