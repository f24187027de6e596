"""HTTP to our own services: ignores the environment's proxies and credentials."""

from __future__ import annotations

import threading

import requests


def session() -> requests.Session:
    """A session that ignores the environment: no proxies, no .netrc."""
    made = requests.Session()
    made.trust_env = False
    return made


class PerThread(threading.local):
    """One session, and so one keep-alive connection, per thread: sessions are not thread-safe."""

    def __init__(self) -> None:
        self.session = session()


def answers(url: str, *, timeout_s: float) -> bool:
    """True when a GET returns a status under 400 in time."""
    try:
        with session() as asking:
            return asking.get(url, timeout=timeout_s).ok
    except requests.RequestException:
        return False
