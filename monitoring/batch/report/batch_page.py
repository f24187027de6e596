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
    """As `driftloop.report.page.render`, of the templates beside this module."""
    return page.render(template, drawings, package="monitoring.batch.report", words=measure_words, **values)


def write(path: Path, html: str) -> None:
    """Write a page aside and rename it into place.

    Raises:
        DataError: it cannot be written; an earlier one stays as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, html)
    except OSError as exc:
        raise DataError(f"page {path}: cannot be written: {exc.strerror}: make room, or give another place") from exc


def link(url: str) -> str:
    """The address if it is one to go to by a click, else "": a script is none.

    >>> link("reports/2020-04.html"), link("https://127.0.0.1/x"), link("javascript:alert(1)")
    ('reports/2020-04.html', 'https://127.0.0.1/x', '')
    """
    try:
        return url if urlsplit(url.strip()).scheme in {"", "http", "https", "file"} else ""
    except ValueError:
        return ""
