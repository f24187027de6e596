"""Renders the pages of batch monitoring and writes them atomically."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import plotly.graph_objects as go

from driftloop.errors import DataError
from driftloop.report import page
from driftloop.system.files import replace_file
from monitoring.batch.report import measure_words


def render(template: str, drawings: Mapping[str, go.Figure], **values: Any) -> str:
    """Like `driftloop.report.page.render`, with the templates of this room."""
    return page.render(template, drawings, package="monitoring.batch.report", words=measure_words, **values)


def write(path: Path, html: str) -> None:
    """Write a page atomically.

    Raises:
        DataError: it cannot be written; an earlier page is kept.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, html)
    except OSError as exc:
        raise DataError(f"page {path}: cannot be written: {exc.strerror}: free disk space, or give another path") from exc


def link(url: str) -> str:
    """The URL if it is safe to link, else "".

    >>> link("reports/2020-04.html"), link("https://127.0.0.1/x"), link("javascript:alert(1)")
    ('reports/2020-04.html', 'https://127.0.0.1/x', '')
    """
    try:
        return url if urlsplit(url.strip()).scheme in {"", "http", "https", "file"} else ""
    except ValueError:
        return ""
