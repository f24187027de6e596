"""HTTP to our own services, on this machine or beside it: no proxy of the environment stands between, and none of its passwords is sent."""

from __future__ import annotations

import threading

import requests


def session() -> requests.Session:
    """A session that does not read the environment: no proxies, no .netrc."""
    made = requests.Session()
    made.trust_env = False
    return made


class PerThread(threading.local):
    """One session, and so one kept connection, a thread: sessions are not meant to be shared."""

    def __init__(self) -> None:
        self.session = session()


def answers(url: str, *, timeout_s: float) -> bool:
    """True when a GET is answered with a code under 400 in time."""
    try:
        with session() as asking:
            return asking.get(url, timeout=timeout_s).ok
    except requests.RequestException:
        return False
