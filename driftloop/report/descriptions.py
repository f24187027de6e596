"""The descriptions in MLflow of experiments, runs, models and versions: Markdown for readers without context.

Lists instead of tables: MLflow draws tables without lines. A description starts with plain text, because MLflow's lists show its source.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from driftloop.report import segment_report, wording
from driftloop.report.kpi_words import Figures, of, verdict

if TYPE_CHECKING:
    from driftloop.metrics.results import RetrainRecord, WatchResult

LONGEST: Final = 4900  # characters; the registry accepts 5,000
MOST_RETRAINS: Final = 12  # items in a description; the child runs have them all
COMPARED: Final = "### Compared on the same rows"
WATCHED: Final = "### Watch"
WHY: Final = "### Why this version"
MADE: Final = "### Training"
ORDER: Final = (WHY, WATCHED, COMPARED, MADE)

EXPERIMENT: Final = """Models that were trained, served, watched for drift and retrained by driftloop.

- A run at the top is a base model, or a whole lifecycle. Unfold it to see its children: the trials of its search, each deployment (a watch, block by block), \
each retrain with its trials and its challenger.
- `test_…`: the model on rows that neither it nor the models it is compared with were fitted on, with the baselines of the same rows. Models are \
comparable where `test_rows` is the same.
- `watch_…`: what was served, over a whole watch. `block/…`: the same block by block; the step is the block.
- `val_…`: the rows that chose between trials. They flatter: the best of many.
- `judge_…`: champion and challenger on the newest rows before a retrain.
"""


def code(name: object) -> str:
    """A name as Markdown code, unformatted.

    >>> code("my_file*.csv"), code("a`b")
    ('`my_file*.csv`', "`a'b`")
    """
    return "`" + " ".join(str(name).split()).replace("`", "'") + "`"


def short(text: str) -> str:
    """A text that fits."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def with_section(text: str, title: str, words: str) -> str:
    """A description with one section added or replaced; the rest stays, our sections first and in `ORDER`.

    >>> with_section("It is.\\n\\n### Mine\\nkept\\n\\n### Watch\\nold", WATCHED, "new")
    'It is.\\n\\n### Watch\\nnew\\n\\n### Mine\\nkept'
    """
    head, *parts = f"\n{text}".split("\n### ")
    sections = {f"### {part.partition(chr(10))[0].strip()}": part.partition("\n")[2].strip() for part in parts} | {title: words}
    ordered = sorted(sections, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return "\n\n".join(part for part in (head.strip(), *(f"{name}\n{sections[name]}" for name in ordered)) if part)


def rows(first: int, stop: int, times: Any = None) -> str:
    """A span of rows, with its times.

    >>> rows(0, 31718)
    'rows 0 to 31,717 (31,718 rows)'
    """
    when = f", {wording.moment(str(times[first]))} to {wording.moment(str(times[stop - 1]))}" if times is not None and stop > first else ""
    return f"rows {first:,} to {stop - 1:,} ({wording.count(stop - first, 'row')}{when})"


def settings(params: Mapping[str, Any]) -> str:
    """Parameters on one line.

    >>> settings({"history": 0, "lr": 0.05})
    'history 0, lr 0.05'
    """
    return ", ".join(f"{name} {wording.value(value)}" for name, value in params.items())


def kpis(write: Figures, figures: Mapping[str, Any], *, model: str, others: Mapping[str, float]) -> list[str]:
    """A model's KPI with other models and the baselines on the same rows, as lines of a list.

    Args:
        write: the format of the KPI.
        figures: of `scoring.summary`.
        model: the model's name.
        others: the KPI of other models by name.
    """
    reached = figures[write.of_kpi.name]
    lines = [f"- **{model}: {write.name} {write.with_unit(reached)}**" + ("" if write.regression else f" (κ {wording.number(figures['kappa'])})")]
    free = {wording.BASELINE_NAMES.get(key, key): kpi for key, kpi in figures["baselines"].items()}
    return lines + [
        f"- {name}: {write.with_unit(kpi)} ({write.gain(reached, kpi)} {write.step})" for name, kpi in {**others, **free}.items() if math.isfinite(kpi)
    ]


def base(*, stream: str, source: str, features: int, labels: Iterable[object]) -> str:
    """The head of a base model's description; the rest are sections. MLflow shows four lines before "more": the figures are first."""
    classes = ", ".join(code(label) for label in labels)
    target = f"the label ({classes})" if classes else "a value"
    return f"Base model of {code(stream)}, from {code(source)}: predicts {target} from {wording.count(features, 'column')}."


def made(*, features: Iterable[str], params: Mapping[str, Any], trained: str, trials: int) -> str:
    """The section on a base model's data and parameters."""
    search = f"the best of {wording.count(trials, 'trial')}" if trials > 1 else "the documented defaults"
    history = f"It reads the {params['history']} rows before each row: not comparable with models that see one row." if params.get("history") else ""
    lines = [
        f"Columns: {', '.join(code(name) for name in features)}.",
        f"Trained on {trained}.",
        f"Parameters ({search}): {settings(params)}.",
        history,
    ]
    return "\n".join(f"- {line}" for line in lines if line)


def compared(lines: Iterable[str], *, where: str, unseen: str) -> str:
    """The section on a model's KPI on rows shared with other models."""
    return "\n".join([f"On {where}, {unseen}; in brackets the model's lead:", "", *lines])


def watched(result: WatchResult, *, report: str = "") -> str:
    """The section on a watch: its verdict, the baselines, the retrains, the report."""
    write = of(result)
    first, done = verdict(result)
    free = [f"- {name}: {write.with_unit(kpi)}" for name, kpi in write.baselines(result).items() if math.isfinite(kpi)]
    shown = result.retrains[:MOST_RETRAINS]
    made = [f"- {'after block ' + str(one.block) if one.block >= 0 else 'on request'}: {one.decision}" for one in shown]
    if len(result.retrains) > len(shown):
        made.append(f"- and {len(result.retrains) - len(shown)} more: see the child runs")
    times = f", {wording.moment((result.judged or result.scores)[0].timestamp)} to {wording.moment(result.scores[-1].until)}" if result.scores else ""
    parts = [
        f"{first} {done} Watched in {wording.blocks_of(result)}{times}.",
        segment_report.sentence(result),
        "\n".join(["Baselines on the same rows:", "", *free]) if free else "",
        "\n".join(["Retrains:", "", *made]) if made else "",
        f"[The report]({report}) shows every block." if report else "",
    ]
    return "\n\n".join(part for part in parts if part)


def retrained(record: RetrainRecord, *, trained: str, judged: str) -> str:
    """A retrain: its judgement, its reason, its changes."""
    changes = ", ".join(f"{name} {old} → {new}" for name, old, new in wording.changed(record.champion_params, record.params))
    fitted = "The model of this run was then trained" if record.promoted else "The challenger was trained"
    search = wording.count(record.trials, "trial") if record.trials else "without a search"
    lines = [
        f"Reason: {record.reason}.",
        f"Judged on {judged}.",
        f"{fitted} on {trained}.",
        f"Against the champion's parameters ({search}): {changes or 'none changed'}.",
    ]
    return "\n".join([wording.sentence(record.decision), "", *(f"- {line}" for line in lines)])


def deployment(*, model: str, rows: str) -> str:
    """A deployment whose watch is running."""
    return f"Deployment of {code(model)}: its predictions for {rows}, scored block by block."


def judged(*, table: str, source: str, prediction: str, target: str) -> str:
    """A table of predictions that another system made."""
    return f"Predictions of {code(table)}, from {code(source)}: column {code(prediction)} against the labels {code(target)}, judged block by block."


def challenger(*, trained: str) -> str:
    """A challenger, which a retrain judges."""
    return f"The challenger of its parent retrain: the best trial, refitted on {trained}, without the judge rows."


def model(*, stream: str, task: str, features: Iterable[str], labels: Iterable[object]) -> str:
    """A registered model."""
    classes = ", ".join(code(label) for label in labels)
    return "\n".join(
        [
            f"Model of {code(stream)} ({task}{': ' + classes if classes else ''}), served and kept up to date by driftloop.",
            "",
            f"- Input: {', '.join(code(name) for name in features)}, rows in time order; `mlflow.pyfunc.load_model` predicts a table with these columns.",
            "- `champion` is the version in service, `previous` the one before it, `challenger` one that is being put into service.",
            "- Each version's description states why it was promoted, with its figures and the baselines.",
        ]
    )


def why(reason: str, *, run: str, said: str) -> str:
    """The section on why a version was put into service; `said` is the description so far, which may include it."""
    if reason == "deployed":
        reason = "put into service by a deployment, without a comparison with another version"
    told = "See the judgement above." if wording.sentence(reason) in said else wording.sentence(reason)
    return f"{told} [The run that trained it]({run}) has its parameters, files and figures."
