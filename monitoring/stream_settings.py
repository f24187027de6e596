"""The settings of the services' streams: features and ranges, the KPI, and its threshold.

They are in streams.yaml next to this file, or in your own file:

    elec:
      task: classification            # or regression
      kpi: accuracy                   # or balanced_accuracy, brier, log_loss, cost, f1, roc_auc, average_precision; of a regression mae, rmse
      cost: "1:0=5,0:1=1"             # of kpi cost: true:predicted=cost
      model: drift_model              # the registered model
      labels: [0, 1]                  # classification only
      block_size: 48                  # labelled rows judged together
      threshold: 0.8                  # the worst KPI that is good enough
      unit: minutes                   # of an error or a cost, when it has one
      alpha: 0.05                     # false-alarm rate of each verdict
      label_delay: 7d                 # how long labels take after their row: no row is judged before; or 12h, 2w; none by default
      segments: [period, fuel]        # features whose values, or ranges of them, are judged each by itself; none by default
      fallback_by: [period]           # features that select the fallback's answer
      features:
        period: {low: 0, high: 1}                          # values outside are refused
        zone: {low: 1, high: 265, categorical: true}       # whole numbers only
        wind: {low: 0, high: 90, required: false}          # may be null
        fuel: {texts: [diesel, gas]}                       # texts, in the order of the model's codes; others are unseen, not refused
        new: {boolean: true}
      learner: learner:ELEC           # serves and retrains the model: MODULE:NAME, as for --learner
      served: here                    # or elsewhere: another system predicts, and logs it by POST /log of the prediction service
      retrain: python train.py        # of a model that is not ours: the command that an alert starts, in this file's folder (`monitoring.own_retrain`)
      model_uri: models:/churn@champion  # an MLflow model of any flavour, which the prediction service asks in its own process, not one of ours
      fallback: 0                     # of model_uri: what is answered where that model cannot
      data: elec.csv                  # the table that a retrain reads, from this file's folder; empty: what the learner's defaults name

Without `features` they are the model's own, with its task, labels and unit, and are read from the registry's champion
when a service starts (`monitoring.described`), as are the class shares that some KPIs depend on. A stream that is served elsewhere has no other
features than its own, or none; its model's name is the stream's if it gives no other, and it has no fallback.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import timedelta
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import yaml

from driftloop.data.schema import strict_yaml
from driftloop.data.schema.schema import Column
from driftloop.errors import SettingsError
from driftloop.metrics.kpi_names import KPIS
from driftloop.predictions.later import label_delay
from driftloop.settings import ELEC_LEARNER, TABLE_LEARNER
from driftloop.watch import learners
from monitoring import foreign_models, kpi_settings, own_retrain
from monitoring.features import Feature
from monitoring.records.checks import LABEL, LONGEST_TEXT, can_be_answer

if TYPE_CHECKING:
    from driftloop.metrics.goal import Goal
    from driftloop.metrics.task import Task

BUNDLED: Final = Path(__file__).with_name("streams.yaml")
STREAM_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
FEATURE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
SERVED: Final = ("here", "elsewhere")
MOST_CATEGORIES: Final = 100_000
MOST_BLOCK_ROWS: Final = 10_000
LONGEST_UNIT: Final = 30


@dataclass(frozen=True)
class StreamConfig:
    """One stream, as in the module's example; `threshold` is a lower bound of an accuracy, an upper bound of an error or a loss."""

    name: str
    task: Literal["classification", "regression"]
    kpi: str  # a key of `kpi_names.KPIS`
    model: str
    features: tuple[Feature, ...]  # none: the model's, not read yet
    block_size: int
    threshold: float
    fallback_by: tuple[str, ...]
    alpha: float = 0.05
    unit: str = ""  # of an error or a cost
    cost: str = ""  # of the KPI "cost", as `cost_table.read_costs` takes it
    shares: tuple[float, ...] = ()  # of its base model's training rows, as `Labels.shares`; read when a service starts that judges, not given in the file
    shared_alpha: float | None = None  # its part of the monitor's --fleet_alpha; set when a monitor starts with one, not given in the file
    labels: tuple[int | str, ...] = ()  # of classification, in the order of the probabilities
    learner: str = ELEC_LEARNER  # for serving, retraining and replaying
    served: Literal["here", "elsewhere"] = "here"
    label_delay: timedelta = timedelta(0)  # from a row's time until its label can be relied on
    segments: tuple[str, ...] = ()  # features, see `monitoring.online.segments`
    data: str = ""  # absolute path of the table, see `monitoring.stream_table`; "": that of the learner's defaults
    retrain: tuple[str, ...] = ()  # the words of the command that retrains a model that is not ours
    folder: str = ""  # of the file, absolute
    model_uri: str = ""  # as `foreign_models.read_uri` takes it
    fallback: Any = None  # of model_uri, a label or a number; None: without an answer where the model has none

    def __hash__(self) -> int:
        return hash(self.name)  # validators are cached by stream: its features may be thousands of texts

    @property
    def elsewhere(self) -> bool:
        """Whether another system serves the model, and logs what it predicted."""
        return self.served == "elsewhere"

    @property
    def by_model(self) -> bool:
        """Whether the features are the model's, not read yet."""
        return not self.features and self.ours

    @property
    def asks_model(self) -> bool:
        """Whether a service that judges reads something of the stream from its model: the features, or the class shares."""
        return self.ours and (not self.features or self.kpi in kpi_settings.OF_SHARES)

    @property
    def ours(self) -> bool:
        """Whether our scripts train and serve the model."""
        return not self.elsewhere and not self.model_uri

    @property
    def retrain_script(self) -> str:
        """Our retrain script with its first flags."""
        chosen = "" if KPIS[self.kpi].own else f" --kpi {self.kpi}" + (f" --cost {shlex.quote(self.cost)}" if self.cost else "")
        return f"retrain_model.py --learner {self.learner}{chosen}"

    @property
    def retrains_alone(self) -> bool:
        """Whether the settings alone say how its model is retrained: by which command, or on which table."""
        return bool(self.data) or self.learner != TABLE_LEARNER if self.ours else bool(self.retrain)

    def retrain_alone(self, *, instead: str = "") -> str:
        """`retrain_script` for a program that knows no table but the stream's own.

        Args:
            instead: what else helps there, such as a flag.

        Raises:
            SettingsError: the stream has none, or its model is not ours.
        """
        if not self.ours:
            raise SettingsError(
                f"stream {self.name}: its model is not ours to retrain: give `retrain: COMMAND` in the streams file (docs/any_model.md){instead}"
            )
        if not self.retrains_alone:
            raise SettingsError(
                f"stream {self.name}: nothing says which table its model is served from and retrained on: in the streams file, give `data`, the table's "
                f"path, or a learner whose defaults have data_path and target (docs/own_data.md){instead}"
            )
        return self.retrain_script

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features' names, in the model's order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def described(self) -> bool:
        """Whether the features are as a model describes them that takes values as they are."""
        return any(feature.described for feature in self.features)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The features as the drift functions take them; none where all are numbers in limits."""
        return tuple(feature.column for feature in self.features) if self.described else ()

    @property
    def goal(self) -> Goal:
        """The goal of the stream's model; a SettingsError as for `measured_by`."""
        from driftloop.metrics import goal

        return goal.Goal(self.measured_by, self.threshold, self.alpha, self.unit)

    @cached_property
    def measured_by(self) -> Task:
        """What measures the KPI; raises a SettingsError as `kpi_settings.measuring`."""
        return kpi_settings.measuring(f"stream {self.name}", self.kpi, cost=self.cost, labels=self.labels, shares=self.shares)

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger KPI is better."""
        return KPIS[self.kpi].higher

    def labels_fault(self, of_model: Sequence[object]) -> str:
        """How the labels differ from the model's, which are in the order of its probabilities; "" if they are equal."""
        if tuple(of_model) == self.labels:
            return ""
        written = repr if list(map(str, of_model)) == list(map(str, self.labels)) else str  # '0' is not 0
        mine, its = (", ".join(map(written, labels)) or "none" for labels in (self.labels, of_model))
        return f"stream {self.name!r} has labels {mine}, its model has {its}, in this order: use the model's in the streams file"


def load(path: str | PathLike[str] | None = None) -> dict[str, StreamConfig]:
    """The streams of a YAML file, by name; the bundled elec and taxi without one.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown, missing or invalid; the message names it.

    >>> streams = load()
    >>> streams["elec"].feature_names[:2], streams["taxi"].higher_is_better
    (('period', 'nswprice'), False)
    """
    source = Path(path or BUNDLED)
    try:
        found = strict_yaml.load(source.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"streams {source}: {exc.strerror}: give a YAML file like {BUNDLED.name}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"streams {source}: is not UTF-8 text (byte {exc.start + 1} is 0x{exc.object[exc.start]:02x}): save it as UTF-8") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        if isinstance(exc, yaml.constructor.ConstructorError) and exc.problem:
            raise SettingsError(f"streams {source}: {exc.problem}{where}: correct it there") from exc
        raise SettingsError(f"streams {source}: is not YAML{where}: give a file like {BUNDLED.name}") from exc
    if not isinstance(found, dict) or not found:
        raise SettingsError(f"streams {source}: has no streams: give a YAML file like {BUNDLED.name}")
    try:
        return {name: _stream(name, settings, folder=source.absolute().parent) for name, settings in found.items()}
    except SettingsError as exc:
        raise SettingsError(f"streams {source}: {exc}") from exc


def pick(name: str, path: str | PathLike[str] | None = None) -> StreamConfig:
    """One stream of a YAML file, as for `load`.

    Raises:
        SettingsError: as for `load`, or the file has no such stream.
    """
    streams = load(path)
    _demand(name in streams, f"there is no stream {name!a:.50}; available: {', '.join(streams)}")
    return streams[name]


def _stream(name: Any, settings: Any, *, folder: Path) -> StreamConfig:
    _demand(isinstance(name, str) and STREAM_NAME.fullmatch(name), f"stream {name!r}: a name is lower-case letters, digits and _, at most 40")
    where = f"stream {name}"
    served = settings.get("served", SERVED[0]) if isinstance(settings, Mapping) else SERVED[0]
    _demand(served in SERVED, f"{where}: served must be {' or '.join(SERVED)}, not {served!a:.50}")
    given = _known(_completed(settings, name, where), StreamConfig, where)
    features = _features(given["features"], where) if "features" in settings else ()
    names = {feature.name for feature in features}
    kpi, task = given["kpi"], given["task"]
    kpi_settings.check_name(where, kpi, task)
    _demand(isinstance(given["model"], str) and given["model"], f"{where}: model must name a registered model")
    _demand(type(given["block_size"]) is int and 1 <= given["block_size"] <= MOST_BLOCK_ROWS, f"{where}: block_size must be 1 to {MOST_BLOCK_ROWS}")
    _demand(0 < _number(given["alpha"], f"{where}: alpha") < 1, f"{where}: alpha must be between 0 and 1")
    _demand(_number(given["threshold"], f"{where}: threshold") > 0, f"{where}: threshold must be above 0")
    fallback_by, labels = _plain(given["fallback_by"], f"{where}: fallback_by"), _plain(given["labels"], f"{where}: labels")
    _demand(not features or set(fallback_by) <= names, f"{where}: fallback_by must list features of the stream")
    _demand(isinstance(given["unit"], str) and len(given["unit"]) <= LONGEST_UNIT, f"{where}: unit must be a text of at most {LONGEST_UNIT} characters")
    learner = given["learner"]
    _demand(isinstance(learner, str) and learners.FORM.fullmatch(learner), f"{where}: learner {learner!r}: give MODULE:NAME, such as {ELEC_LEARNER}")
    data, delay = given["data"], _delay(given["label_delay"], where)
    _demand(isinstance(data, str) and "\0" not in data, f"{where}: data {data!a:.80}: give the path of the table that its model is retrained on")
    unfit = [label for label in labels if not can_be_answer(label)]
    _demand(not unfit, f"{where}: labels has {unfit[:1]!a:.80}, which cannot be recorded: each must be {LABEL}")
    enough = len(labels) >= 2 if task == "classification" else not labels
    _demand(
        enough or not (features or labels or served == "elsewhere" or given["model_uri"]),
        f"{where}: labels must be two or more different values for classification, none for regression",
    )
    segments = tuple(_plain(given["segments"], f"{where}: segments"))
    retrain = own_retrain.read(settings.get("retrain"), where) if "retrain" in settings else ()
    _demand(
        not retrain or served == "elsewhere" or given["model_uri"],
        f"{where}: retrain is the command for a model with served: elsewhere or model_uri; one of ours has a learner",
    )
    _check_uri(given, where)
    kpi_settings.check_values(where, kpi, cost=given["cost"], threshold=given["threshold"], labels=labels)
    read = {
        "name": name,
        "features": features,
        "fallback_by": tuple(fallback_by),
        "labels": tuple(labels),
        "label_delay": delay,
        "retrain": retrain,
        "segments": segments,
    }
    made = StreamConfig(**{**given, **read, "data": data and str(folder / data), "folder": str(folder)})
    if not made.by_model:
        check_segments(made)
    return made


def check_segments(config: StreamConfig) -> None:
    """Refuse segments that are no features of the stream, whose features are known.

    Raises:
        SettingsError: as said.
    """
    unknown = [name for name in config.segments if name not in config.feature_names]
    known = ", ".join(config.feature_names) or "none"
    _demand(not unknown, f"stream {config.name}: segments has {unknown[:1]!a:.80}, which is no feature of the stream; known are {known:.500}")


def _completed(settings: Any, name: str, where: str) -> Any:
    """The settings of a stream whose features are its model's or whose model is elsewhere, with the task of its KPI and the learner of such models."""
    foreign = isinstance(settings, Mapping) and (settings.get("served") == "elsewhere" or "model_uri" in settings)
    if not isinstance(settings, Mapping) or ("features" in settings and not foreign):
        return settings
    if foreign:
        named = foreign_models.read_uri(settings["model_uri"], where).name if "model_uri" in settings else name
        settings = {"model": named, "fallback_by": [], **settings}
    task = {"task": kpi_settings.task_of(where, settings["kpi"])} if "kpi" in settings else {}
    return {**task, "learner": TABLE_LEARNER, "features": {}, **settings}


def _check_uri(given: Mapping[str, Any], where: str) -> None:
    fallback = given["fallback"]
    if not given["model_uri"]:
        _demand(fallback is None, f"{where}: fallback is for a model_uri; one of ours has its training rows' table")
        return
    name = foreign_models.read_uri(given["model_uri"], where).name
    _demand(given["served"] == "here", f"{where}: model_uri with served: elsewhere: leave one out; the prediction service asks the model of a model_uri")
    _demand(given["model"] == name, f"{where}: model {given['model']!a:.80} is not that of model_uri, {name!a:.80}: leave model out")
    _demand(not given["fallback_by"], f"{where}: fallback_by is for a model of ours: give fallback, one answer, or leave it out")
    if fallback is not None and given["task"] == "classification":
        _demand(type(fallback) in {int, str} and fallback in given["labels"], f"{where}: fallback {fallback!a:.80} is not one of the labels")
    elif fallback is not None:
        _number(fallback, f"{where}: fallback")


def _features(given: Any, where: str) -> tuple[Feature, ...]:
    _demand(isinstance(given, dict) and given, f"{where}: features must map each name to its range; leave them out where they are the model's")
    return tuple(_feature(feature, limits, where) for feature, limits in given.items())


def _feature(name: Any, limits: Any, where: str) -> Feature:
    _demand(isinstance(name, str) and FEATURE_NAME.fullmatch(name), f"{where}: feature {name!r}: a name is letters, digits and _, at most 60")
    where = f"{where}: feature {name}"
    given = _known(limits, Feature, where)
    _demand(
        all(isinstance(given[key], bool) for key in ("categorical", "required", "boolean")), f"{where}: categorical, required and boolean must be true or false"
    )
    texts = tuple(_plain(given["texts"], f"{where}: texts"))
    _demand(
        all(isinstance(text, str) and len(text) <= LONGEST_TEXT for text in texts),
        f"{where}: texts must be a list of texts of at most {LONGEST_TEXT} characters",
    )
    if texts or given["boolean"]:
        _demand(not given["categorical"] and not {"low", "high"} & set(limits), f"{where}: low, high and categorical are a number's: leave them out")
        return Feature(name, required=given["required"], texts=texts, boolean=given["boolean"])
    absent = [key for key in ("low", "high") if key not in limits]
    _demand(not absent, f"{where}: {', '.join(absent)} is missing; a category has texts, a boolean is boolean: true")
    low, high = _number(given["low"], f"{where}: low"), _number(given["high"], f"{where}: high")
    _demand(low < high, f"{where}: low {low:g} must be below high {high:g}")
    if given["categorical"]:
        _demand(low == int(low) and high == int(high) and high - low < MOST_CATEGORIES, f"{where}: categories are whole numbers, at most {MOST_CATEGORIES}")
    return Feature(name, low, high, categorical=given["categorical"], required=given["required"])


def _known(settings: Any, cls: type, where: str) -> dict[str, Any]:
    """The settings, completed with the class's defaults."""
    _demand(isinstance(settings, Mapping), f"{where}: settings are missing")
    wanted = {field.name: field.default for field in fields(cls) if field.name not in {"name", "example", "shares", "shared_alpha", "folder"}}
    unknown, missing = set(settings) - set(wanted), {key for key, default in wanted.items() if default is MISSING} - set(settings)
    _demand(not unknown, f"{where}: unknown setting {', '.join(sorted(map(str, unknown)))}; known are {', '.join(sorted(wanted))}")
    _demand(not missing, f"{where}: {', '.join(sorted(missing))} is missing")
    return {**wanted, **settings}


def _delay(given: object, where: str) -> timedelta:
    try:
        return label_delay.read_time(given)
    except SettingsError as exc:
        raise SettingsError(f"{where}: {exc}") from exc


def _plain(values: Any, what: str) -> list[Any]:
    """A list of unique texts, or of unique whole numbers."""
    kinds = {type(value) for value in values} if isinstance(values, list | tuple) else {list}
    unquoted = "; YAML reads yes, no, on, off, true, false and null without quotes as other values: put them in quotes" if kinds & {bool, type(None)} else ""
    _demand(len(kinds) <= 1 and kinds <= {int, str}, f"{what} must be a list of whole numbers, or of texts{unquoted}")
    _demand(len(set(values)) == len(values), f"{what} has a value twice")
    return list(values)


def _number(value: Any, what: str) -> float:
    _demand(type(value) in {int, float} and math.isfinite(value), f"{what} must be a number, not {value!r}")
    return float(value)


def _demand(met: Any, message: str) -> None:
    if not met:
        raise SettingsError(message)
