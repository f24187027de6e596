"""Flag types: amounts, shares, times, table formats, names and addresses."""

from __future__ import annotations

import argparse
import csv
import math
import sys
from datetime import datetime
from urllib.parse import urlsplit

from driftloop.data.times import formats, zone_names
from driftloop.drift import regret
from driftloop.errors import SettingsError
from driftloop.system.names import experiment_fault, model_fault

LONGEST_PERIOD = 100_000  # blocks


def amount(text: str) -> float:
    """A flag's type: a finite number of at least 0."""
    return _number(text, high=sys.float_info.max, form="finite number of at least 0")


def share(text: str) -> float:
    """A flag's type: a number in 0..1."""
    return _number(text, high=1, form="number in 0..1")


def period(text: str) -> str:
    """A flag's type: a number of blocks, or day, week or month, or nothing.

    >>> period("07"), period("week")
    ('7', 'week')
    """
    if text in {"", "day", "week", "month"}:
        return text
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LONGEST_PERIOD):
        raise argparse.ArgumentTypeError(f"{text!a:.40} is not a period: give a number of blocks in 1..{LONGEST_PERIOD}, or day, week or month")
    return str(int(text))


def retrain_cost(text: str) -> str:
    """A flag's type: what a retrain costs, as `regret.price` reads it, or nothing."""
    try:
        regret.price(text)
    except SettingsError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
    return text.strip()


def rate(text: str) -> float:
    """A flag's type: a number between 0 and 1, neither of them."""
    value = share(text)
    if value in {0, 1}:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _number(text: str, *, high: float, form: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a {form}")
    return value


def moment(text: str) -> str:
    """A flag's type: a time such as 2020-01-01, or nothing."""
    if text:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a time: write it as 2020-01-01 or 2020-01-01T12:30") from None
    return text


def time_format(text: str) -> str:
    """A flag's type: a format of `strptime` or one of `times.formats.NUMBERS`, or nothing."""
    if text and (told := formats.fault(text)):
        raise argparse.ArgumentTypeError(told)
    return text


def time_zone(text: str) -> str:
    """A flag's type: the IANA name of a zone, or nothing."""
    if text and (told := zone_names.fault(text)):
        raise argparse.ArgumentTypeError(told)
    return text


def names(text: str) -> list[str]:
    """The names of a comma-separated list; a name with a comma is in double quotes.

    >>> names('"load, kW", heat'), names("")
    (['load, kW', 'heat'], [])
    """
    (found,) = csv.reader([" ".join(text.split())], skipinitialspace=True) if text.strip() else ([],)
    return [name.strip() for name in found if name.strip()]


def model_name(text: str) -> str:
    """A flag's type: the name of a registered model, also its name in TorchServe."""
    if fault := model_fault(text):
        raise argparse.ArgumentTypeError(f"{text!a:.80} is not a valid model name: {fault}")
    return text


def experiment_name(text: str) -> str:
    """A flag's type: the name of an experiment, or nothing."""
    if text and (fault := experiment_fault(text)):
        raise argparse.ArgumentTypeError(f"{text!a:.80} is not a valid experiment name: {fault}")
    return text


def service_address(text: str) -> str:
    """A flag's type: a service's http://host:port; a trailing / is dropped.

    >>> service_address("http://127.0.0.1:8000/")
    'http://127.0.0.1:8000'
    """
    return _checked(text, schemes=("http", "https"), form="http://127.0.0.1:8000")


def address(text: str) -> str:
    """A flag's type: as `service_address`, or nothing."""
    return service_address(text) if text else text


def torchserve_address(text: str) -> str:
    """A flag's type: http://host:port; the port is required: that of the management API is one above."""
    found = _checked(text, schemes=("http",), form="http://127.0.0.1:8080")
    if urlsplit(found).port is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no port: write it as http://127.0.0.1:8080")
    return found


def swap_address(text: str) -> str:
    """A flag's type: as `torchserve_address`, or nothing."""
    return torchserve_address(text) if text else text


def mongodb_uri(text: str) -> str:
    """A flag's type: mongodb://host:port/database, or nothing; it may contain a password and is never shown."""
    parts = text.partition("://")
    if text and (parts[0] not in {"mongodb", "mongodb+srv"} or not parts[2].strip("/")):
        raise argparse.ArgumentTypeError("invalid MongoDB URI (hidden); expected mongodb://127.0.0.1:27017/driftloop")
    return text


def _checked(text: str, *, schemes: tuple[str, ...], form: str) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and not (parts.path.strip("/") or parts.query or parts.fragment)
    except ValueError:  # a port that is not a number, half an IPv6 address
        sound = False
    if not sound or any(character.isspace() for character in text):
        raise argparse.ArgumentTypeError(f"{text!a:.80} is not the address of a service; expected {form}")
    return text.rstrip("/")
