"""One self-contained page: words from a template, plots that the browser draws with the plotly.js that the page carries.

The library is packed (350 kB) and the page unpacks it itself, so it needs no network and no server. Where there is no JavaScript the plots are
missing and nothing else: every figure also stands in a table.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined

from driftloop.errors import DataError
from driftloop.report import wording
from driftloop.system.files import replace_file
from monitoring.batch.report import measure_words, plots

LIBRARY: Final = Path(__file__).with_name("assets") / "plotly-basic-2.35.2.min.js.gz"


def render(template: str, drawings: Mapping[str, go.Figure], **values: Any) -> str:
    """The page of a template in `templates/`; all values are escaped.

    Args:
        template: a file that extends page.html.
        drawings: each is drawn into the element with its id.
        values: what else the template names.
    """
    drawn = {name: json.loads(figure.to_json(engine="json")) for name, figure in drawings.items()}
    page = _environment().get_template(template)
    keys = {name: plots.keys(figure) for name, figure in drawings.items()}
    html = page.render(plots=drawn, keys=keys, colours=plots.DARK, library=_library() if drawn else "", write=wording, words=measure_words, **values)
    return html.encode("utf-8", "backslashreplace").decode()  # a name may hold what UTF-8 cannot


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


@functools.cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("monitoring.batch.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@functools.cache
def _library() -> str:
    return base64.b64encode(LIBRARY.read_bytes()).decode("ascii")
