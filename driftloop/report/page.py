"""Builds a self-contained page: text from a template, plots drawn in the browser by the embedded plotly.js.

The library (350 kB) and the plots' data are compressed and the page unpacks them itself, so it needs no network and no server. Without
JavaScript only the plots are missing: every figure is also in a table.
"""

from __future__ import annotations

import base64
import functools
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from driftloop.report import wording

if TYPE_CHECKING:
    import plotly.graph_objects as go

PACKAGE: Final = "driftloop.report"
LIBRARY: Final = Path(__file__).with_name("assets") / "plotly-basic-4.1.1.min.js.gz"


def render(template: str, drawings: Mapping[str, go.Figure], *, package: str = PACKAGE, **values: Any) -> str:
    """The page of a template; all values are escaped.

    Args:
        template: a file that extends page.html.
        drawings: plots by the id of their element.
        package: the package with the folder `templates`.
        values: the template's other variables.
    """
    from driftloop.report import plots  # loads plotly: only when a page is written

    keys = {name: plots.keys(figure) for name, figure in drawings.items()}
    page = _environment(package).get_template(template)
    html = page.render(plots=_packed(drawings), keys=keys, colours=plots.DARK, library=_library() if drawings else "", write=wording, **values)
    return html.encode("utf-8", "backslashreplace").decode()  # a name may not be encodable in UTF-8


@functools.cache
def _environment(package: str) -> Environment:
    loader = ChoiceLoader([PackageLoader(package), PackageLoader(PACKAGE)])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _packed(drawings: Mapping[str, go.Figure]) -> str:
    drawn = {name: json.loads(figure.to_json(engine="json")) for name, figure in drawings.items()}
    return _ascii(gzip.compress(json.dumps(drawn).encode(), mtime=0)) if drawn else ""


@functools.cache
def _library() -> str:
    return _ascii(LIBRARY.read_bytes())


def _ascii(packed: bytes) -> str:
    return base64.b64encode(packed).decode("ascii")
