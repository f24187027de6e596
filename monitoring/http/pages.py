"""The HTML pages of our HTTP services: an overview with addresses and commands to paste.

Nothing is loaded, no script runs, and every name is escaped: the Content-Security-Policy allows only the page's style.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flask import Response, request
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from monitoring.http.answers import answer

STYLE: Final = Markup((Path(__file__).with_name("templates") / "page.css").read_text(encoding="utf-8"))  # escaped quotes would change the hash
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?")


@dataclass(frozen=True)
class Fact:
    """A fact about a stream; `good` colours it, None does not."""

    name: str
    value: str
    good: bool | None = None


@dataclass(frozen=True)
class Example:
    """A command to paste, and what it does."""

    about: str
    command: str


@dataclass(frozen=True)
class StreamCard:
    """One stream of a service."""

    name: str
    about: str
    facts: Sequence[Fact]
    examples: Sequence[Example]
    link: str = ""  # behind its name


@dataclass(frozen=True)
class Route:
    """A route of a service, described in one line."""

    method: str
    path: str
    about: str


@dataclass(frozen=True)
class Front:
    """The root page of a service that answers at `url`."""

    title: str
    about: str
    url: str
    streams: Sequence[StreamCard]
    routes: Sequence[Route]

    def as_json(self) -> dict[str, Any]:
        """The root page as JSON."""
        return {
            "service": self.title,
            "about": self.about,
            "streams": {stream.name: {fact.name: fact.value for fact in stream.facts} for stream in self.streams},
            "routes": [vars(route) for route in self.routes],
        }


def front(made: Front) -> Response:
    """The root page; as JSON for a client whose Accept prefers that."""
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        response = answer(made.as_json())
    else:
        response = page("front.html", title=made.title, front=made)
    response.headers["Vary"] = "Accept"
    return response


def page(template: str, *, title: str, package: str = "monitoring.http", **values: Any) -> Response:
    """A template of a package, on the shared layout."""
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("monitoring.http")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["json"] = json.dumps
    environment.filters["number"] = "{:g}".format
    response = Response(environment.get_template(template).render(title=title, style=STYLE, **values), content_type="text/html; charset=utf-8")
    response.headers |= {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return response


def own_url() -> str:
    """The URL by which the client reached us, for commands to paste; an invalid Host header is not echoed."""
    host = request.host if _HOST.fullmatch(request.host) else "127.0.0.1"
    return f"{request.scheme}://{host}"


def curl(url: str, body: Any = None) -> str:
    """A command to paste that gets `url`, or posts JSON there.

    >>> print(curl("http://127.0.0.1:8000/labels", {"id": "a", "label": "it's"}))
    curl -s http://127.0.0.1:8000/labels -H 'Content-Type: application/json' \\
        -d '{"id": "a", "label": "it'"'"'s"}'
    """
    command = f"curl -s {shlex.quote(url)}"
    return command if body is None else f"{command} -H 'Content-Type: application/json' \\\n    -d {shlex.quote(json.dumps(body))}"
