"""Runs TorchServe with the registry's champion, and the retrain hook: a self-healing container.

    python -m monitoring keeper --stream elec --monitor_url http://127.0.0.1:8010
    python -m monitoring keeper --stream elec --monitor_url http://monitor:8010 --host 0.0.0.0     # what docker-compose.yaml runs

TorchServe forgets its models when it ends, and its model API can run code, so only programs on its loopback may load one. This
program starts TorchServe, loads the champion (it trains a base model if there is none, and retries while MLflow is unreachable),
and then starts the hook. A hook that dies is restarted while TorchServe keeps serving. When TorchServe dies or no longer answers,
the program ends with an error, so that its supervisor (Docker, systemd) restarts it. It listens on TorchServe's usual ports and 8020.
"""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftloop.cli import call, parsing, runner
from driftloop.cli.call import Flags, flag, required
from driftloop.cli.flag_types import service_address
from driftloop.cli.parsing import whole
from driftloop.errors import DriftloopError, ServingError, SettingsError
from driftloop.serving.torchserve import Ports, TorchServe, archive_folder
from driftloop.system import processes
from driftloop.system.ports import HOST
from driftloop.watch import learners
from monitoring import stream_settings, stream_table
from monitoring.local import champion
from monitoring.local.progress import say
from monitoring.retrain import commands, webhook
from monitoring.stream_settings import StreamConfig

POLL_S = 1.0
PING_S = 5.0  # between two pings of TorchServe
DEAF_S = 60.0  # a TorchServe without an answer for so long counts as ended
HOOK_S = 25.0  # for the hook to end: a running retrain has 10 s to close its run in MLflow
AGAIN_S = (5.0, 60.0)  # pause after a first failure, and the longest


def pauses() -> Iterator[float]:
    """The pauses after successive failures, in seconds: each twice the previous one, up to a limit.

    >>> found = pauses()
    >>> [next(found) for _ in range(5)]
    [5.0, 10.0, 20.0, 40.0, 60.0]
    """
    pause_s, longest_s = AGAIN_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, longest_s)


class Pulse:
    """Whether TorchServe is alive: its process runs and answers pings."""

    def __init__(self, server: TorchServe) -> None:
        self._server, self._asked = server, -math.inf
        self._deaf_since: float | None = None

    def check(self) -> None:
        """Ping it, at most every PING_S seconds.

        Raises:
            ServingError: it ended, or has not answered for DEAF_S seconds.
        """
        if self._server.pid is None:
            raise ServingError("TorchServe ended")
        began = time.monotonic()
        if began - self._asked < PING_S:
            return
        self._asked = began
        if self._server.client.healthy():
            self._deaf_since = None
        elif self._deaf_since is None:
            self._deaf_since = began
        elif began - self._deaf_since > DEAF_S:
            raise ServingError(f"TorchServe has not answered for {DEAF_S:.0f} s")

    def wait(self, pause_s: float) -> None:
        """Wait, and `check` meanwhile.

        Raises:
            ServingError: as for `check`.
        """
        end = time.monotonic() + pause_s
        while time.monotonic() < end:
            self.check()
            time.sleep(POLL_S)


def put_back(stream: StreamConfig, server: TorchServe) -> None:
    """Serve the champion; on failure retry while TorchServe answers.

    Raises:
        ServingError: as for `Pulse.check`.
    """
    pause_s, pulse = pauses(), Pulse(server)
    while True:
        try:
            _, said = champion.serve(stream, torchserve_url=server.client.inference_url, flags=stream_table.flags(stream))
        except DriftloopError as exc:
            pulse.check()
            wait_s = next(pause_s)
            say(f"{exc}; next attempt in {wait_s:.0f} s")
            pulse.wait(wait_s)
        else:
            for line in [*said, f"{stream.name}: version {server.client.default_version(name=stream.model)} of {stream.model} is served"]:
                say(line)
            return


def watch(server: TorchServe, hook: tuple[str, ...]) -> None:
    """Run the hook, and restart it when it ends, while TorchServe answers.

    Raises:
        ServingError: as for `Pulse.check`.
    """
    pause_s, pulse = pauses(), Pulse(server)
    while True:
        began = time.monotonic()
        running = processes.Server(hook)
        try:
            while running.code is None:
                pulse.wait(POLL_S)
        finally:
            running.stop(grace_s=HOOK_S)
        if time.monotonic() - began > AGAIN_S[1]:  # it had run well: a first failure again
            pause_s = pauses()
        wait_s = next(pause_s)
        say(f"the retrain hook ended with exit code {running.code}; restart in {wait_s:.0f} s")
        pulse.wait(wait_s)


@dataclass(frozen=True)
class KeeperFlags(Flags):
    """The values of this command's flags."""

    stream: str = required("stream whose champion is served")
    streams_file: str = flag("", "YAML file that describes the streams; empty: the bundled monitoring/streams.yaml")
    monitor_url: str = required("the monitor, http://host:port", type=service_address)
    host: str = flag(HOST, "address of predictions, TorchServe's metrics and the hook, never of the model API")
    hook_port: int = flag(8020, "the hook's port", type=whole(1, 65535))
    state: str = flag(".driftloop/retrains", "folder of the retrains' state and logs")
    hook_flags: str = flag("", "more flags for python -m monitoring hook, as one text")


def hook_of(args: KeeperFlags, stream: StreamConfig, *, torchserve_url: str) -> tuple[str, ...]:
    """The command of the hook: it retrains the keeper's stream, and those that --hook_flags has a --command for.

    Raises:
        SettingsError: --hook_flags are not flags of a hook, or the stream names no table.
    """
    flags = ["--host", args.host, "--port", str(args.hook_port), "--monitor_url", args.monitor_url, "--torchserve_url", torchserve_url]
    flags += ["--state", str(Path(args.state)), *(["--streams_file", args.streams_file] if args.streams_file else [])]
    try:
        flags += shlex.split(args.hook_flags)
        hook = call.read(webhook.HookFlags, webhook.build_parser().parse_args(flags))
        given = hook.command or []
        own = [] if any(one.startswith(f"{stream.name}=") for one in given) else [f"{stream.name}={stream.retrain_alone()}"]
        streams = stream_settings.load(hook.streams_file)
        commands.retrained(commands.commands_of([*given, *own], streams), streams)
    except (ValueError, SettingsError) as exc:
        raise SettingsError(f"--hook_flags {args.hook_flags!a:.200}: {exc}") from exc
    flags += [word for one in own for word in ("--command", one)]
    return (sys.executable, "-m", "monitoring", "hook", *flags)


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    return parsing.parser("monitoring keeper", __doc__, KeeperFlags, result=False)


def work(args: KeeperFlags) -> tuple[dict[str, Any], int]:
    """Serve until a signal, or until TorchServe ends.

    Raises:
        SettingsError: there is no such stream, its learner cannot be imported, its table is not named or not there, or --hook_flags are wrong.
        ServingError: TorchServe did not start, or ended.
    """
    stream = stream_settings.pick(args.stream, args.streams_file)
    if not stream.ours:
        raise SettingsError(
            f"stream {stream.name} is served elsewhere or by model_uri, there is no model of ours to serve: start the hook alone (docs/any_model.md)"
        )
    learners.check(stream.learner)
    stream.retrain_alone()  # its table is needed to serve it, too
    stream_table.check(stream)
    ports = Ports()
    hook = hook_of(args, stream, torchserve_url=ports.url)
    with TorchServe(archive_folder(ports.url), ports=ports, host=args.host) as server:
        say("TorchServe runs; loading the champion")
        put_back(stream, server)
        watch(server, hook)
    return {}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, KeeperFlags)
