"""Undo the last swap: the version before the champion serves again, by the same journalled protocol as a promotion.

    python rollback_model.py --torchserve_url http://127.0.0.1:8080 --reason "complaints about the new version"
    python rollback_model.py --torchserve_url http://127.0.0.1:8080 --version 3     # that version, however long ago it served
    python rollback_model.py                                                        # no server: only the registry's aliases

The version is verified on the table's rows before it takes requests, so the flags of the data are those of the deployment. Run twice, it goes back
two versions. Who did it, when and why is in the promotion log, in the version's description and its tags.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.call import flag
from driftloop.cli.script_flags import RollbackFlags
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("rollback_model.py", __doc__)
    learners.add_flag(parser)
    served = flag("", "the running TorchServe that serves the model, http://host:port; empty: only the registry's aliases are moved")
    parsing.add_flags(parser, RollbackFlags)
    parsing.add_flags(parser, flags.TaskFlags, title="training")
    parsing.add_flags(parser, flags.ExperimentFlags, flags.RegistryFlags, title="MLflow")
    parsing.add_flags(parser, flags.ServerFlags, flags.WorkerFlags, flags.ServingFlags, title="TorchServe", torchserve_url=served)
    parsing.add_flags(parser, flags.DataFlags, flags.TextFlags, title="data")
    return parser


def work(args: RollbackFlags) -> tuple[dict[str, Any], int]:
    """Go back; return what serves now."""
    from driftloop.watch.rollback import roll_back

    return roll_back(args, lambda: learners.load(args.learner, data_path=args.data_path))


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, RollbackFlags)


if __name__ == "__main__":
    sys.exit(main())
