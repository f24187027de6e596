"""The command of each stream's retrain: our script, which knows TorchServe and the registry, or the person's own from the streams file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from driftloop.errors import SettingsError
from driftloop.settings import ROOT
from driftloop.watch import learners
from monitoring import own_retrain, stream_table
from monitoring.stream_settings import StreamConfig


@dataclass(frozen=True)
class Command:
    """What to run for a retrain."""

    words: Sequence[str]
    own: bool = False  # the person's: its exit code decides; ours prints its outcome as JSON
    folder: Path | None = None  # working directory; None: the hook's
    env: Mapping[str, str] = field(default_factory=dict)  # on top of the hook's


def retrain_command(commands: Mapping[str, str], streams: Mapping[str, StreamConfig], *, torchserve_url: str) -> Callable[[str, str], Command]:
    """Returns a function that builds the command to retrain a stream on the rows before a time.

    A stream without one in `commands` has its own. Our script reads the table that the stream's file names, unless its command names another.
    The function raises as `stream_table.flags`.

    >>> from monitoring import stream_settings
    >>> make = retrain_command({"elec": "retrain_model.py --seed 3"}, stream_settings.load(), torchserve_url="http://127.0.0.1:8080")
    >>> make("elec", "2020-04-01T07:30:00.000Z").words[-8:-4]
    ['3', '--json', '--until_time', '2020-04-01T07:30:00.000Z']
    """

    def make(stream: str, until_time: str) -> Command:
        config = streams[stream]
        if stream not in commands:
            env = {"DRIFTLOOP_STREAM": stream, "DRIFTLOOP_MODEL": config.model, "DRIFTLOOP_UNTIL_TIME": until_time}
            return Command(config.retrain, own=True, folder=Path(config.folder), env=env)
        script, *flags = shlex.split(commands[stream])
        path = str(ROOT / script) if script.endswith(".py") else script
        table = [] if names_table(commands[stream]) else stream_table.flags(config)
        more = ["--json", "--until_time", until_time, "--register_model_name", config.model, "--torchserve_url", torchserve_url]
        return Command([sys.executable, path, *table, *flags, *more])

    return make


def names_table(command: str) -> bool:
    """Whether the script and flags of a retrain name the table.

    >>> names_table("retrain_model.py --data_path=my.csv"), names_table("retrain_model.py --seed 3")
    (True, False)
    """
    return any(word.partition("=")[0] == "--data_path" for word in shlex.split(command))


def commands_of(given: Sequence[str] | None, streams: Mapping[str, StreamConfig]) -> dict[str, str]:
    """The script and flags of ours that retrain each stream: those given as STREAM=WORDS, else of every stream in the file that is served here.

    Raises:
        SettingsError: a given one is invalid, or none is given and a stream of the file names no table.
    """
    if not given:
        names = ", ".join(streams)
        each = f"; or give --command STREAM=WORDS for each stream to retrain ({names}), WORDS such as 'retrain_model.py --data_path TABLE --target LABEL'"
        return {name: stream.retrain_alone(instead=each) for name, stream in streams.items() if stream.ours}
    commands = dict(one.partition("=")[::2] for one in given)
    for stream, words in commands.items():
        try:
            complete = stream in streams and shlex.split(words)
        except ValueError as exc:
            raise SettingsError(f"--command {stream}={words}: {exc}: write WORDS as a shell takes them") from exc
        if not complete:
            raise SettingsError(f"--command {stream}={words}: give STREAM=WORDS with one of {', '.join(streams)}")
    return commands


def retrained(commands: Mapping[str, str], streams: Mapping[str, StreamConfig]) -> list[str]:
    """The streams that can be retrained: by a command of ours, or by their own.

    Raises:
        SettingsError: there is none, or the program of an own command cannot run.
    """
    found = [*commands, *(name for name, stream in streams.items() if stream.retrain and name not in commands)]
    if not found:
        raise SettingsError(f"no stream can be retrained ({', '.join(streams)}): give `retrain: COMMAND` in the streams file (docs/any_model.md)")
    for told in (fault(commands, streams[name]) for name in found if name not in commands):
        if told:
            raise SettingsError(told)
    return found


def fault(commands: Mapping[str, str], stream: StreamConfig) -> str:
    """Why the command of a stream cannot run now, in one line; "" where it can."""
    if stream.name not in commands:
        return own_retrain.fault(stream.name, stream.retrain, Path(stream.folder))
    return "" if names_table(commands[stream.name]) else stream_table.fault(stream)


def alone(stream: StreamConfig) -> dict[str, str]:
    """`commands_of` the one stream of a program that knows no table but the stream's own."""
    return {} if stream.retrain else {stream.name: stream.retrain_alone()}


def check_alone(stream: StreamConfig, *, instead: str) -> None:
    """Check that a program can retrain a stream with what the streams file says.

    Args:
        instead: what else helps, such as a flag.

    Raises:
        SettingsError: it cannot.
    """
    if not stream.retrain:
        stream.retrain_alone(instead=instead)
        learners.check(stream.learner)
    if told := fault(alone(stream), stream):
        raise SettingsError(told)
