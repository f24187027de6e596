"""The exception hierarchy; each class has its exit code.

    DriftloopError            1   anything below, when nothing narrower fits; also a missing environment
    ├── SettingsError         2   a flag or a setting is wrong (argparse uses 2 too)
    ├── DataError             3   a file or a table cannot be used
    ├── TrackingError         4   the MLflow store cannot be used
    │   └── NoBaseRunError    5   the experiment holds no base model yet
    ├── ServingError          6   TorchServe did not start, load or answer
    │   ├── JavaMissingError  7   TorchServe needs Java and there is none
    │   └── UnansweredError   6   TorchServe or its worker ended during a request
    ├── TrainingError         8   a fit ended without a usable model
    ├── ArchiveError          9   the .mar could not be built or is invalid
    ├── SpoolError           11   the spool of records cannot be written or read
    ├── LogError             12   the prediction log's MongoDB cannot be used
    ├── PartError            13   a part of `monitoring local` did not start, or ended
    └── PlaceError           14   a disk is full, or temporary files cannot be written

Exit code 10 is not an error: drift was found and `--fail_on_drift` was given.
130 and 143 are the shell's codes for Ctrl-C and SIGTERM.

A message says what is wrong, where, and what to do, in one line.
"""

from __future__ import annotations

EXIT_DRIFT = 10
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class DriftloopError(Exception):
    """An error that the user can fix; `main` prints it as one line."""

    exit_code = 1


class SettingsError(DriftloopError):
    """A flag or setting is invalid."""

    exit_code = 2


class DataError(DriftloopError):
    """A data file is missing, unreadable or unusable."""

    exit_code = 3


class TrackingError(DriftloopError):
    """The MLflow tracking store is unreachable or lacks the requested object."""

    exit_code = 4


class NoBaseRunError(TrackingError):
    """The experiment holds no finished base run."""

    exit_code = 5


class ServingError(DriftloopError):
    """TorchServe did not start, did not load a model, or answered wrongly."""

    exit_code = 6


class JavaMissingError(ServingError):
    """No Java runtime was found for TorchServe."""

    exit_code = 7


class UnansweredError(ServingError):
    """TorchServe or its worker ended, or forgot the model, before a request was answered: it can be retried."""


class TrainingError(DriftloopError):
    """A fit ended without a usable model (diverged, or no rows to learn from)."""

    exit_code = 8


class ArchiveError(DriftloopError):
    """A model archive could not be built, or is invalid."""

    exit_code = 9


class SpoolError(DriftloopError):
    """The spool's folder is not writable or readable: a full disk, no permission."""

    exit_code = 11


class LogError(DriftloopError):
    """The prediction log in MongoDB is unusable."""

    exit_code = 12


class PartError(DriftloopError):
    """A part of `monitoring local` did not start, is not ready, or has ended."""

    exit_code = 13


class PlaceError(DriftloopError):
    """A disk is full, or the folder for temporary files is unusable."""

    exit_code = 14
