"""The monitor's root page: a few figures of each stream, and links to the rest."""

from __future__ import annotations

import math
from typing import Final
from urllib.parse import quote

from driftloop.predictions.later.label_delay import EARLY, LabelDelay
from driftloop.report import wording
from monitoring.http.pages import Example, Fact, Front, Route, StreamCard, curl
from monitoring.online.monitor import Monitor
from monitoring.online.state import Known

MOST_NAMED: Final = 3  # segments
TITLE: Final = "Monitor"
ABOUT: Final = "Reports, from the prediction services' records, how well each stream's version performs, whether it drifts, and what to expect."
ROUTES: Final = (
    Route("GET", "/streams", "The streams' names"),
    Route("GET", "/streams/<stream>", "The state of one stream, as JSON"),
    Route("GET", "/fleet", "All streams by the evidence against them, ?page= and ?per_page="),
    Route("GET", "/reports/<stream>", "Redirects to the stream's newest batch report; 404 without one"),
    Route("GET", "/promotions", "Who decided when, why and on which evidence that a version serves, ?stream=; newest first"),
    Route("GET", "/metrics", "Metrics for Prometheus"),
    Route("GET", "/health", "200 while the process is alive"),
    Route("GET", "/ready", "200 once the prediction log has been read or tried, else 503"),
    Route("POST", "/ingest/<stream>", "Records of a prediction service, sent by the shipper: at most 1,000 at a time"),
    Route("GET", "/", "This page; as JSON with Accept: application/json"),
)


def front(monitor: Monitor, *, url: str) -> Front:
    """The root page of a monitor."""
    return Front(TITLE, ABOUT, url, [_card(watcher.known(), url=url) for watcher in monitor.watchers.values()], ROUTES)


def _card(known: Known, *, url: str) -> StreamCard:
    config, kpi, name = known.config, known.kpi, quote(known.config.name, safe="")
    unit = f" {config.unit}" if config.unit else ""
    measured = "no label yet" if math.isnan(kpi.value) else f"{kpi.value:.3f}{unit} on {wording.count(kpi.rows, 'row')}"
    facts = (
        Fact("version in service", known.version or "no prediction yet"),
        Fact("champion in the registry", known.champion or "unknown"),
        Fact(config.kpi, measured, good={"good": True, "drifted": False}.get(known.answer.health)),
        Fact("threshold", f"{'at least' if config.higher_is_better else 'at most'} {config.threshold:g}{unit}"),
        Fact("verdict", known.answer.words),
        *_segments(known),
        *_labels(known),
        Fact("newest labelled row", f"{known.newest_labelled[:16].replace('T', ' ')} UTC" if known.newest_labelled else "none yet"),
    )
    examples = (
        Example("The stream's state", curl(f"{url}/streams/{name}")),
        Example("URL of the newest batch report", f"{curl(f'{url}/reports/{name}')} -w '%{{redirect_url}}\\n'"),
    )
    about = f"{config.task.capitalize()}, registered model {config.model}, judged in blocks of {config.block_size} rows"
    return StreamCard(config.name, about, facts, examples, link=f"/streams/{name}")


def _segments(known: Known) -> list[Fact]:
    """The segments of a stream that has some and a reference period."""
    if not known.segments:
        return []
    worse = [f"{one.name}, {known.config.kpi} {one.kpi:.3f} after {one.kpi_before:.3f}" for one in known.segments if one.drift]
    more = f" and {len(worse) - MOST_NAMED} more" if len(worse) > MOST_NAMED else ""
    judged = sum(not math.isnan(one.e_value) for one in known.segments)
    words = f"worse than before: {'; '.join(worse[:MOST_NAMED])}{more}" if worse else f"none of {judged} is proven to have become worse"
    return [Fact("segments", words, good=False if worse else None)]


def _labels(known: Known) -> list[Fact]:
    """The labels of a stream with a delay."""
    if not known.config.label_delay:
        return []
    delay = LabelDelay(known.labels.delay_seconds).words
    judged = "no row is as old yet" if math.isnan(known.coverage) else f"{wording.with_sign(known.coverage)} of the older rows have one"
    early = f"; {known.labels.early:,} early ones wait: {EARLY}" if known.labels.early else ""
    return [Fact("labels", f"judged {delay} after their row, {judged}{early}")]
