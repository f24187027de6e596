"""The monitor's root page: a few figures of each stream, and links to the rest."""

from __future__ import annotations

import math
from typing import Final
from urllib.parse import quote

from driftloop.report import wording
from monitoring.http.pages import Example, Fact, Front, Route, StreamCard, curl
from monitoring.online.monitor import Monitor
from monitoring.online.state import Known

TITLE: Final = "Monitor"
ABOUT: Final = (
    "Takes the records of the prediction services and says, for each stream, how well the serving version does, whether it drifts, and what to expect."
)
ROUTES: Final = (
    Route("GET", "/streams", "The streams' names"),
    Route("GET", "/streams/<stream>", "All that is known of one stream, as JSON"),
    Route("GET", "/reports/<stream>", "Leads to the stream's newest batch report; 404 before there is one"),
    Route("GET", "/metrics", "Metrics for Prometheus"),
    Route("GET", "/health", "200 while the process lives"),
    Route("GET", "/ready", "200 once the prediction log has been read or tried, else 503"),
    Route("POST", "/ingest/<stream>", "Records of a prediction service, sent by the shipper: at most 1,000 at a time"),
    Route("GET", "/", "This page, or with Accept: application/json the same as JSON"),
)


def front(monitor: Monitor, *, url: str) -> Front:
    """The root page of a monitor."""
    return Front(TITLE, ABOUT, url, [_card(watcher.known(), url=url) for watcher in monitor.watchers.values()], ROUTES)


def _card(known: Known, *, url: str) -> StreamCard:
    config, kpi, name = known.config, known.kpi, quote(known.config.name, safe="")
    measured = "no label yet" if math.isnan(kpi.value) else f"{kpi.value:.3f}{f' {config.unit}' if config.unit else ''} on {wording.count(kpi.rows, 'row')}"
    unit = f" {config.unit}" if config.unit else ""
    facts = (
        Fact("version that answers", known.version or "no prediction yet"),
        Fact("champion in the registry", known.champion or "not known"),
        Fact(config.kpi, measured, good={"good": True, "drifted": False}.get(known.answer.health)),
        Fact("threshold", f"{'at least' if config.higher_is_better else 'at most'} {config.threshold:g}{unit}"),
        Fact("verdict", known.answer.words),
        Fact("newest labelled row", f"{known.newest_labelled[:16].replace('T', ' ')} UTC" if known.newest_labelled else "none yet"),
    )
    examples = (
        Example("All that is known", curl(f"{url}/streams/{name}")),
        Example("Where the newest batch report is", f"{curl(f'{url}/reports/{name}')} -w '%{{redirect_url}}\\n'"),
    )
    about = f"{config.task.capitalize()}, registered model {config.model}, judged in blocks of {config.block_size} rows"
    return StreamCard(config.name, about, facts, examples, link=f"/streams/{name}")
