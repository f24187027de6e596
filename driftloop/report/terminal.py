"""Prints the result of a watch as plain text for a terminal of 100 columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from driftloop.metrics.results import NO_BLOCK, REGRESSION, BlockScore, RetrainRecord, WatchResult
from driftloop.report import kpi_words, segment_report, why_report, wording

COLUMNS = 100
RETRAINS_IN_FULL = 12  # more would scroll the verdict off the screen; the report has them all
CELL = 24  # widest cell of a table; longer text is truncated
FIGURE = 7  # characters of a number in the table of blocks


def summary_text(result: WatchResult) -> str:
    """The whole result: verdict, baselines, versions, retrains, notes; no line over 100 columns.

    The text ends without a newline. Terminal control characters are replaced.
    """
    parts = [
        paragraph(f"{result.stream}: {wording.count(result.rows, 'row')} in {wording.blocks_of(result)}"),
        paragraph(" ".join(kpi_words.verdict(result))),
        _kpis(result),
        _segments(result),
        paragraph(why_report.sentence(result.explained, result)) if result.explained else "",
        "" if result.reference else _versions(result),
        "" if result.reference else _retrains(result.retrains, unit=result.unit),
        "\n".join(paragraph(words, first="- ") for words in (*result.findings, *result.notes)),
    ]
    return "\n\n".join(part for part in parts if part)


def _segments(result: WatchResult) -> str:
    """The worst segments, those with drift first."""
    found = result.by_segment
    if not found:
        return ""
    header, rows, more = segment_report.short_table(found, result)
    rest = f"\n{wording.count(more, 'more segment')} in the report" if more else ""
    return f"{paragraph(segment_report.sentence(result))}\n{table(header, rows, left={0, 1})}{rest}"


def blocks_text(scores: Iterable[BlockScore]) -> str:
    """One line per block under a header; accuracies in percent, MAEs in the label's unit, in brackets the 95 % interval."""
    scores = list(scores)
    if scores and (scores[0].kpi_name or scores[0].task == REGRESSION):
        return _numbers_text(scores)
    header = ("block", "time", "rows", "accuracy %", "κ", "κ-\ntemp.", "no\nchange", "yester-\nday", "thresh-\nold", "drift")
    told = table(header, [_block_cells(score) for score in scores], left={1})
    return f"{told}\n* short block" if any(score.short for score in scores) else told


def base_text(
    params: Mapping[str, Any], found: Mapping[str, Any], *, trained: tuple[int, int], run_id: str, experiment: str, unit: str = "", kpi: str = ""
) -> str:
    """A base model: its training rows, and its KPI on later rows with the baselines."""
    write = kpi_words.Figures("classification" if "accuracy" in found else REGRESSION, unit, kpi)
    reached = found[write.of_kpi.name]
    rows = [("base model", write.value(reached, digits=2), "")]
    for key, value in found["baselines"].items():
        rows.append((wording.BASELINE_NAMES.get(key, key), write.value(value, digits=2), write.gain(reached, value)))
    beyond = "" if write.regression else f" (κ {wording.number(found['kappa'])}, κ-temporal {wording.number(found['kappa_temporal'])})"
    lines = [
        f"base model: run {run_id} in experiment {experiment!r}",
        f"trained on rows {trained[0]:,}–{trained[1]:,}: " + ", ".join(f"{name} {wording.value(value)}" for name, value in params.items()),
        f"measured on the {found['rows']:,} rows after them{beyond}",
    ]
    if params["history"]:
        lines.append(f"It reads the {params['history']} rows before each row it predicts: not comparable with models that see one row.")
    text = "\n".join(paragraph(line) for line in lines)
    return f"{text}\n\n{table(('on the same rows', write.title, write.lead_title), rows, left={0}, widest=44)}"


def advice_text(result: WatchResult, *, command: str) -> str:
    """The command to run after unanswered drift, on one line, to be pasted."""
    drifted = next(score for score in result.scores if score.drift)
    drifts = sum(score.drift for score in result.scores)
    write = kpi_words.of(result)
    percent = "" if write.plain else " %"
    words = (
        f"Block {drifted.block} has drifted by the rule {result.rule}: its {write.name} is {write.value(drifted.kpi)}{percent}, "
        f"the threshold {write.value(drifted.threshold)}{percent}. {wording.count(drifts, 'block')} of {len(result.scores)} drifted."
    )
    if not write.plain:
        words += _by_chance(result)
    if result.rule == "threshold":
        words += " --drift_rule significant alarms only beyond noise."
    return f"{paragraph(words)}\nTo retrain: {command}"


def _by_chance(result: WatchResult) -> str:
    chance, any_chance = wording.low_blocks_by_chance(result.scores)
    return (
        f" At a constant accuracy, the average over these rows, chance alone would put {wording.number(chance, digits=1)} blocks "
        f"under the threshold, at least one in {wording.with_sign(any_chance, digits=0)} of such watches."
    )


def judged_text(record: RetrainRecord) -> str:
    """One retrain in full."""
    return _retrains([record])


def _block_cells(score: BlockScore) -> tuple[str, ...]:
    return (
        str(score.block),
        wording.moment(score.timestamp),
        f"{score.rows}*" if score.short else str(score.rows),
        kpi_words.Figures(score.task).in_brackets(score.kpi, score),
        wording.number(score.kappa),
        wording.number(score.kappa_temporal),
        wording.percent(score.baselines["no_change"]),
        wording.percent(score.baselines["same_time_yesterday"]),
        wording.percent(score.threshold),
        wording.drifted(score),
    )


@dataclass(frozen=True)
class _Form:
    """What the table of an error by block shows."""

    baselines: Sequence[str]
    digits: int
    short: bool = False  # the unretrained model is one of the numbered columns, and a threshold that stays the same stands in the legend


def _numbers_text(scores: Sequence[BlockScore]) -> str:
    """The blocks by an error, or by a KPI other than the task's own, with a legend.

    Where the table is too wide, decimals beyond three digits go first, then the columns of `_Form.short`, then the last baselines.
    """
    for form in _forms(scores):
        told = table(*_number_columns(scores, form), left={1}, widest=3 * FIGURE + 5)
        if max(map(len, told.splitlines())) <= COLUMNS:
            break
    every = list(scores[0].baselines)
    names = ["base model, unretrained"] * form.short + list(map(wording.baseline, form.baselines))
    legend = [f"[{at}] {name}" for at, name in enumerate(names, start=1)]
    if form.short and _steady(scores):
        legend.append(f"threshold {_figure(scores[0].threshold, digits=form.digits)}")
    if len(form.baselines) < len(every):
        legend.append(f"In the report only: {', '.join(map(wording.baseline, every[len(form.baselines) :]))}")
    return "\n".join([told, *map(paragraph, legend), *["* short block"] * any(score.short for score in scores)])


def _forms(scores: Sequence[BlockScore]) -> list[_Form]:
    """The forms of the table, the fullest first."""
    rivals, size = list(scores[0].baselines), _exponent(scores)
    most = min(kpi_words.Figures(scores[0].task, kpi=scores[0].kpi_name).of_kpi.digits, max(0, FIGURE - 2 - size))
    least = min(most, max(0, 2 - size))
    return [*(_Form(rivals, digits) for digits in range(most, least - 1, -1)), *(_Form(rivals[:kept], least, True) for kept in range(len(rivals), -1, -1))]


def _number_columns(scores: Sequence[BlockScore], form: _Form) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a form; rows set aside are a column where there are any."""
    first, own = scores[0], kpi_words.Figures(scores[0].task)
    figure: Callable[[float], str] = partial(_figure, digits=form.digits)
    columns: list[tuple[str, Callable[[BlockScore], str]]] = [
        ("block", lambda one: str(one.block)),
        ("time", lambda one: wording.moment(one.timestamp)),
        ("rows", lambda one: f"{one.rows}{'*' * one.short}"),
        (kpi_words.Figures(first.task, kpi=first.kpi_name).name, lambda one: f"{figure(one.kpi)} [{figure(one.lower)}, {figure(one.upper)}]"),
    ]
    if first.kpi_name:
        columns.append((own.title.replace("accuracy", "acc."), lambda one: (figure if own.plain else own.value)(one.task_kpi)))
    if first.task == REGRESSION:
        columns.append(("bias", lambda one: _figure(one.bias, digits=form.digits, write=wording.signed)))
    columns.append(("[1]" if form.short else "unre-\ntrained", lambda one: figure(one.kpi_unretrained)))
    columns += [(f"[{at}]", _baseline(name, figure)) for at, name in enumerate(form.baselines, start=1 + form.short)]
    if not (form.short and _steady(scores)):
        columns.append(("thresh-\nold", lambda one: figure(one.threshold)))
    if any(score.set_aside for score in scores):
        columns.append(("set\naside", lambda one: str(one.set_aside)))
    columns.append(("drift", wording.drifted))
    return [title for title, _ in columns], [[cell(score) for _, cell in columns] for score in scores]


def _baseline(name: str, figure: Callable[[float], str]) -> Callable[[BlockScore], str]:
    return lambda one: figure(one.baselines[name])


def _steady(scores: Sequence[BlockScore]) -> bool:
    """Whether all blocks have the same threshold."""
    return len({score.threshold for score in scores}) == 1


def _exponent(scores: Sequence[BlockScore]) -> int:
    """Power of ten of the largest KPI or threshold, 0 at least."""
    sizes = [abs(value) for score in scores for value in (score.kpi, score.upper, score.kpi_unretrained, score.threshold) if math.isfinite(value)]
    return int(math.log10(max([1.0, *sizes])))


def _figure(value: float, *, digits: int, write: Callable[..., str] = wording.number) -> str:
    """A number with so many decimals; one that takes over `FIGURE` characters in powers of ten.

    >>> _figure(1.234, digits=2), _figure(-12345678.0, digits=0)
    ('1.23', '−1.23e7')
    """
    text = write(value, digits=digits)
    if len(text.lstrip("+−")) <= FIGURE or not math.isfinite(value):
        return text
    power = int(f"{value:.2e}".partition("e")[2])
    return f"{write(value / 10.0**power)}e{power}"


def _kpis(result: WatchResult) -> str:
    write = kpi_words.of(result)
    rows = [("model" if result.reference else "served model", write.value(result.kpi, digits=2), "")]
    rows += [(name, write.value(kpi, digits=2), write.gain(result.kpi, kpi)) for name, kpi in kpi_words.compared(result).items()]
    return table(("on the same rows", write.title, write.lead_title), rows, left={0}, widest=44)


def _versions(result: WatchResult) -> str:
    write = kpi_words.of(result)
    rows = [
        (
            record.version + (" (served)" if record.version == result.served_version else ""),
            wording.served_blocks(record),
            f"{record.rows:,}",
            f"{record.trained_start:,}–{record.trained_stop:,}",
            write.value(record.kpi, digits=2),
            write.value(record.kpi_unretrained, digits=2),
            write.gain(record.kpi, record.kpi_unretrained),
        )
        for record in result.versions
    ]
    titles = (f"{write.name}\n", "unretrained\n") if write.plain else ("accuracy\n%", "unretrained\n%")
    return table(("version", "blocks", "rows", "trained on rows", *titles, f"gain\n{write.step}"), rows, left={0}) if rows else ""


def _retrains(retrains: Sequence[RetrainRecord], *, unit: str = "") -> str:
    if not retrains:
        return "No retrains."
    write = kpi_words.Figures(retrains[0].task, unit, retrains[0].kpi_name)
    rows = [
        (
            str(record.block) if record.block != NO_BLOCK else wording.UNDEFINED,
            wording.moment(record.timestamp),
            f"{write.value(record.before)} → {write.value(record.after)}",
            f"{record.judge_rows:,}",
            wording.p_value(record.p_value),
            str(record.trials),
            wording.duration(record.seconds),
            f"version {record.version}" if record.promoted else "no",
        )
        for record in retrains
    ]
    told = table(("after\nblock", "time", f"{write.title}\nbefore → after", "judge\nrows", "\np", "\ntrials", "\ntook", "\npromoted"), rows, left={1, 7})
    if len(retrains) > RETRAINS_IN_FULL:
        return told
    return "\n".join([told, *(_retrain_words(record) for record in retrains)])


def retrain_line(record: RetrainRecord) -> str:
    """One retrain as one line, printed when it is done."""
    came = f"version {record.version} promoted" if record.promoted else "not promoted"
    write = kpi_words.Figures(record.task, kpi=record.kpi_name)
    change = f"{write.value(record.before)} → {write.value(record.after)} {write.name if write.plain else '%'}"
    planned = record.policy not in {"triggered", "proactive"}
    what = "" if record.block == NO_BLOCK else " is a follow-up" if record.follow_up else f" ended ({record.policy})" if planned else " drifted"
    if record.policy == "continuous":
        return f"{wording.begun_at(record)}{what}: version {record.version} registered and swapped in within {wording.duration(record.seconds)}"
    return f"{wording.begun_at(record)}{what}: retrained in {wording.duration(record.seconds)}, {change} on {record.judge_rows} judge rows, {came}"


def _retrain_words(record: RetrainRecord) -> str:
    moved = ", ".join(f"{name} {old} → {new}" for name, old, new in wording.changed(record.champion_params, record.params))
    words = f"{wording.begun_at(record)}: {wording.sentence(record.reason)} {wording.sentence(record.decision)} Changed: {moved or 'no parameter'}."
    return paragraph(words, first="  ")


def paragraph(text: str, *, first: str = "") -> str:
    """Text wrapped for the terminal; later lines are indented by the length of `first`."""
    return textwrap.fill(_printable(text), COLUMNS, initial_indent=first, subsequent_indent=" " * len(first))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _cut(cell: str, widest: int) -> str:
    return cell if len(cell) <= widest else cell[: widest - 1] + "…"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: set[int], widest: int = CELL) -> str:
    """Aligned columns, right except those in `left`; a header cell may have several lines, other cells are truncated at `widest`."""
    depth = max(cell.count("\n") for cell in header)
    titles = [[""] * (depth - cell.count("\n")) + cell.split("\n") for cell in header]
    body = [[_cut(_printable(cell), widest) for cell in row] for row in rows]
    lines = [*(list(line) for line in zip(*titles, strict=True)), *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(depth + 1, ["─" * width for width in widths])
    aligned = ([cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in enumerate(zip(line, widths, strict=True))] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in aligned)
