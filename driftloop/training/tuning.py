"""Searches hyperparameters with Ax. The caller evaluates a trial; this module proposes, records and ranks."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from driftloop.errors import SettingsError, TrainingError
from driftloop.metrics.task import CLASSIFICATION, Task

# The documented search space. `history` and `window` count rows.
DEFAULT_SPACE: Final[dict[str, Any]] = {
    "history": {"choices": [0, 12, 24, 48, 96]},
    "window": {"choices": [336, 1344, 5376, 21504]},
    "lr": {"range": [0.005, 0.2], "log": True},
    "momentum": {"range": [0.0, 0.95]},
    "weight_decay": {"range": [1e-6, 1e-2], "log": True},
    "nesterov": {"choices": [True, False]},
    "width": {"choices": [16, 32, 64]},
    "depth": {"choices": [0, 1, 2]},
}
SOBOL_TRIALS: Final = 12  # spread over the space before BoTorch takes over; a BoTorch step takes as long as three fits
NOISE: Final = 0.05  # probability, over all trials, that noise alone beats the starting point
Evaluate = Callable[[int, dict[str, Any]], np.ndarray]
# (smallest, largest, whole number) of every parameter that may be searched.
LIMITS: Final[dict[str, tuple[float, float, bool]]] = {
    "history": (0, 10_000, True),
    "window": (0, 10_000_000, True),
    "lr": (1e-8, 10, False),
    "momentum": (0, 0.9999, False),
    "weight_decay": (0, 10, False),
    "width": (1, 4096, True),
    "depth": (0, 16, True),
}


@dataclass(frozen=True)
class Trial:
    """One evaluated set of parameters.

    `losses` are those of the validation rows, (rows,), as in `Task.losses`; empty when the fit failed. `value` is the
    objective, the KPI of the validation rows; nan when the fit failed.
    """

    index: int
    params: dict[str, Any]
    losses: np.ndarray
    value: float


@dataclass(frozen=True)
class Study:
    """All trials of a search, in order, and the best; no trials where there was nothing to choose."""

    trials: tuple[Trial, ...]
    best: Trial


def read_space(path: Path | None) -> dict[str, Any]:
    """Read a search space from YAML, or return the default one.

    The file maps a parameter to `{choices: [...]}` or `{range: [low, high], log: true}`.

    Raises:
        SettingsError: unreadable file, unknown parameter, or invalid domain.
    """
    if path is None:
        return DEFAULT_SPACE
    try:
        space = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as exc:
        where = f"byte {exc.start + 1} is 0x{exc.object[exc.start]:02x}"
        raise SettingsError(f"--search_space {path}: is not UTF-8 text ({where}): save it as UTF-8") from exc
    except (OSError, yaml.YAMLError) as exc:
        raise SettingsError(f"--search_space {path}: cannot be read ({str(exc).splitlines()[0]}): give a YAML file") from exc
    if not isinstance(space, dict) or not space:
        raise SettingsError(f"--search_space {path}: give a mapping of parameters to choices or ranges")
    for name, domain in space.items():
        _check_domain(name, domain, where=f"--search_space {path}: {name}")
    return space


def _check_domain(name: str, domain: Any, *, where: str) -> None:
    if name not in DEFAULT_SPACE:
        raise SettingsError(f"{where} is not a parameter of the model: use {', '.join(DEFAULT_SPACE)}")
    if not isinstance(domain, dict) or set(domain) - {"choices", "range", "log"} or len({"choices", "range"} & set(domain)) != 1:
        raise SettingsError(f"{where}: give either choices: [...] or range: [low, high] with optional log: true")
    values = domain.get("choices", domain.get("range"))
    if not isinstance(values, list) or not values:
        raise SettingsError(f"{where}: give a list of values")
    if name == "nesterov":
        if "range" in domain or not all(isinstance(value, bool) for value in values):
            raise SettingsError(f"{where}: give choices of true and false")
        return
    low, high, whole = LIMITS[name]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not low <= value <= high:
            raise SettingsError(f"{where}: {value!r} is not a {'whole ' if whole else ''}number in {low:g}..{high:g}")
    if "range" in domain and (len(values) != 2 or values[0] >= values[1] or (domain.get("log") and values[0] <= 0)):
        raise SettingsError(f"{where}: give range: [low, high] with low < high, and low > 0 on a log scale")


def _configure(space: Mapping[str, Any], task: Task, *, seed: int) -> Any:
    from ax.api.client import Client
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
    from ax.utils.common.logger import set_ax_logger_levels

    set_ax_logger_levels(logging.ERROR)  # Ax's loggers have their own levels
    client = Client(random_seed=seed)
    parameters: list[ChoiceParameterConfig | RangeParameterConfig] = []
    for name, domain in space.items():
        kind: Any = "bool" if name == "nesterov" else ("int" if LIMITS[name][2] else "float")
        if "range" in domain:
            low, high = domain["range"]
            parameters.append(RangeParameterConfig(name=name, bounds=(low, high), parameter_type=kind, scaling="log" if domain.get("log") else "linear"))
        else:
            # Ordered: a categorical parameter makes each BoTorch step 2 to 9 times as slow.
            parameters.append(ChoiceParameterConfig(name=name, values=domain["choices"], parameter_type=kind, is_ordered=name != "nesterov"))
    client.configure_experiment(parameters=parameters)
    client.configure_optimization(objective=task.objective if task.higher else f"-{task.objective}")
    # Sobol first, then BoTorch; the attached starting point counts as one of the initial trials.
    client.configure_generation_strategy(initialization_budget=SOBOL_TRIALS, initialization_random_seed=seed, initialize_with_center=False)
    return client


def unsearched(*, space: Mapping[str, Any], start: Mapping[str, Any], total_trials: int) -> Study | None:
    """The result of a search that can only have one, with no trial: its parameters are `start`; None where there is something to choose."""
    if _free(space) and total_trials > 1:
        return None
    return Study((), Trial(0, _starting_point(space, start), np.empty(0), math.nan))


def _starting_point(space: Mapping[str, Any], start: Mapping[str, Any]) -> dict[str, Any]:
    return dict(start) | {name: domain["choices"][0] for name, domain in space.items() if len(domain.get("choices", ())) == 1}


def _free(space: Mapping[str, Any]) -> dict[str, Any]:
    return {name: domain for name, domain in space.items() if len(domain.get("choices", (0, 0))) > 1}


def search(
    evaluate: Evaluate,
    *,
    space: Mapping[str, Any],
    start: Mapping[str, Any],
    total_trials: int,
    seed: int,
    task: Task = CLASSIFICATION,
) -> Study:
    """Evaluate `total_trials` sets of parameters; the first is `start`, the documented defaults.

    The best is the trial with the best objective, if its lead over `start` is more than noise: the task's paired
    test on the validation rows (for classes an exact McNemar), corrected for the number of trials (Bonferroni), because the best of many
    noisy figures is too optimistic. Else `start` wins.

    Args:
        evaluate: takes the trial's number and all its parameters, returns the losses of the validation rows
            (`Task.losses`; the same rows in every trial, after the training rows); may raise TrainingError.
        space: domains as in `DEFAULT_SPACE`; a domain of one choice is fixed.
        start: a value for every parameter, including those outside the space.
        total_trials: at least 1.
        seed: makes the search reproducible.
        task: its KPI is the objective.

    Raises:
        TrainingError: no trial produced a model.
        SettingsError: `total_trials` is under 1.
    """
    if total_trials < 1:
        raise SettingsError(f"--total_trials is {total_trials}: a search needs at least 1")
    fixed, free = _starting_point(space, start), _free(space)
    client = _configure(free, task, seed=seed) if free and total_trials > 1 else None
    trials: list[Trial] = []
    failure: TrainingError | None = None
    for index in range(total_trials):
        if index == 0:
            params, number = fixed, _attach(client, free, fixed)
        else:
            if client is None:
                break  # no free parameter: every further trial would be the same
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "A not p.d., added jitter": BoTorch handles it itself
                number, chosen = next(iter(client.get_next_trials(max_trials=1).items()))
            params = fixed | chosen
        try:
            losses = evaluate(index, params)
        except TrainingError as exc:
            losses, failure = np.empty(0), exc
        trials.append(Trial(index, params, losses, task.value(losses)))
        if client is not None and number is not None:
            _tell(client, number, {task.objective: trials[-1].value})
    finished = [trial for trial in trials if not math.isnan(trial.value)]
    if not finished:
        raise TrainingError(f"none of {len(trials)} trials produced a model; the last one: {failure}")
    best = (max if task.higher else min)(finished, key=lambda trial: trial.value)
    return Study(tuple(trials), best if _leads(best, trials[0], task, of=len(finished)) else trials[0])


def _leads(trial: Trial, start: Trial, task: Task, *, of: int) -> bool:
    """True when a trial is better than the starting point by more than noise, corrected for the number of trials."""
    if trial is start or not start.losses.size:
        return True
    return task.p_value(start.losses, trial.losses) <= NOISE / (of - 1)


def _attach(client: Any, free: Mapping[str, Any], params: Mapping[str, Any]) -> int | None:
    """Give Ax the starting point if it is inside the space; outside, Ax would reject it."""
    if client is None or not all(_inside(params[name], domain) for name, domain in free.items()):
        return None
    return client.attach_trial({name: params[name] for name in free})


def _inside(value: Any, domain: Mapping[str, Any]) -> bool:
    if "choices" in domain:
        return value in domain["choices"]
    low, high = domain["range"]
    return low <= value <= high


def _tell(client: Any, number: int, objective: dict[str, float]) -> None:
    if not any(map(math.isnan, objective.values())):
        # A tuple would be taken as mean and standard error.
        client.complete_trial(number, objective)
    else:
        client.mark_trial_failed(number)
