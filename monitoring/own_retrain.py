"""The command that retrains a model of one's own: `retrain` in the streams file, run without a shell in that file's folder."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Any, Final

from driftloop.errors import SettingsError

_OPERATORS: Final = frozenset("();<>|&")


def read(given: Any, where: str) -> tuple[str, ...]:
    """The words of a command, given as a text that is split as a shell would, or as a list of texts; none for None.

    Raises:
        SettingsError: it is neither, empty, or needs a shell.

    >>> read("python train.py --name 'a b'", "stream churn")
    ('python', 'train.py', '--name', 'a b')
    """
    if given is None:
        return ()
    what = f"{where}: retrain {given!a:.80}"
    try:
        words = _split(given) if isinstance(given, str) else given
    except ValueError as exc:
        raise SettingsError(f"{what}: {exc}: write it as a shell takes it, or as a list of texts") from exc
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise SettingsError(f"{what}: give a command such as 'python train.py', or the list of its words, numbers in quotes")
    if not words or not words[0].strip():
        raise SettingsError(f"{what}: is empty: give a command such as 'python train.py', or leave retrain out")
    if any("\0" in word for word in words):
        raise SettingsError(f"{what}: has a NUL character")
    return tuple(words)


def _split(text: str) -> list[str]:
    tokens = shlex.shlex(text, posix=True, punctuation_chars=True)
    tokens.whitespace_split, tokens.commenters = True, ""
    if found := next((token for token in tokens if token and set(token) <= _OPERATORS), ""):
        raise ValueError(f"{found} needs a shell and there is none (sh -c '…' runs one)")
    return shlex.split(text)


def fault(stream: str, words: tuple[str, ...], folder: Path) -> str:
    """Why the program of a stream's command cannot run now, in one line; "" where it can.

    >>> fault("churn", ("no-such-program",), Path("/tmp"))
    "stream churn: retrain: the program 'no-such-program' is not in PATH: install it, or correct `retrain` in the streams file"
    """
    program = words[0]
    if not folder.is_dir():
        return f"stream {stream}: retrain: the streams file's folder {folder} does not exist"
    what, path = f"stream {stream}: retrain: the program {program!a:.200}", folder / program
    if os.sep not in program:
        if shutil.which(program):
            return ""
        there = path.is_file()
        instead = f"write ./{program} or python {program}" if there else "install it, or correct `retrain` in the streams file"
        return f"{what} is not in PATH: {instead}"
    if not path.is_file():
        return f"{what} {'is a folder' if path.is_dir() else f'does not exist in {folder}'}: correct `retrain` in the streams file"
    if not os.access(path, os.X_OK):
        return f"{what} is not executable: chmod +x it, or name the program that runs it"
    return ""
